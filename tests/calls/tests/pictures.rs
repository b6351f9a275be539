//! How the own camera is sent (`setVideoEncoderParams`), and how others' pictures are shown (`setVideoRenderParams`).

use anyhow::{Context, Result, ensure};
use engine::api::{
    Intent, Person as Tile, Rotation, Snapshot, Stage, VideoEncoderParams, VideoRenderParams, VideoResolution,
};
use protocol::CallMediaType;
use std::time::{Duration, Instant};
use tests_calls::{House, PATIENCE, Person};

/// Between two looks at a picture that is waited for.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);

fn tile<'s>(snapshot: &'s Snapshot, user: &str) -> Option<&'s Tile> {
    let Stage::Live(live) = &snapshot.stage else { return None };
    live.people.iter().find(|person| person.user.as_str() == user)
}

/// Waits until `person` sees a picture of `user` with such a width and height.
async fn sees(person: &Person, user: &str, what: &str, wanted: impl Fn(u32, u32) -> bool) -> Result<()> {
    let until = Instant::now() + PATIENCE;
    let mut size = (0, 0);
    while Instant::now() < until {
        let track = tile(&person.engine.snapshots().borrow(), user).and_then(|tile| tile.picture);
        size = track.map_or((0, 0), |track| person.screen.size(track));
        if size != (0, 0) && wanted(size.0, size.1) {
            return Ok(());
        }
        tokio::time::sleep(LOOK_INTERVAL).await;
    }
    anyhow::bail!("{} sees {user} in {size:?}, not {what}", person.user)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_camera_is_sent_as_wished_and_shown_as_wished() -> Result<()> {
    let house = House::open().await?;
    let mut alice = Person::simple(&house, "alice").await?;
    let mut bob = Person::simple(&house, "bob").await?;
    let upright = VideoEncoderParams { resolution: VideoResolution::P360, portrait: true };
    alice.ask(Intent::VideoEncoderParams(upright)).await?;
    alice.call("bob", CallMediaType::Video).await?;
    bob.wait("onCallReceived").await?;
    bob.ask(Intent::Accept { camera: true }).await?;
    bob.wait("onCallBegin").await?;
    alice.wait("onCallBegin").await?;
    sees(&bob, "alice", "upright", |width, height| width < height && width <= 360 && height <= 640).await?;
    sees(&alice, "bob", "lying", |width, height| width > height).await?;

    // While it is sent: another shape, and the call goes on.
    let lying = VideoEncoderParams { resolution: VideoResolution::P360, portrait: false };
    alice.ask(Intent::VideoEncoderParams(lying)).await?;
    sees(&bob, "alice", "lying", |width, height| (width, height) == (640, 360)).await?;

    let shown = VideoRenderParams { fit: true, rotation: Rotation::Quarter };
    let user = alice.user.clone();
    bob.ask(Intent::VideoRenderParams { user, params: shown }).await?;
    bob.see("alice as wished", |snapshot| tile(snapshot, "alice").is_some_and(|tile| tile.render == shown)).await?;
    let own = alice.engine.snapshots().borrow().clone();
    let own = tile(&own, "alice").context("alice's own tile")?;
    ensure!(own.render == VideoRenderParams::default(), "what one sees is nobody else's affair");
    alice.ask(Intent::Hangup).await?;
    bob.wait("onCallEnd").await?;
    Ok(())
}
