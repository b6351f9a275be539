//! A peer in a process of its own, to be killed: signs in and enters a room with voice and picture.

use anyhow::{Context, Result};
use engine::api::{Intent, Secret, Stage};
use engine::{Engine, EngineConfig};
use media::{DeviceChoice, Synthetic};
use protocol::{DeviceId, RoomId, UserId};

#[tokio::main]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let mut next =
        |what: &str| arguments.next().with_context(|| format!("room-peer SERVER USER TICKET ROOM: no {what}"));
    let (server, user, ticket) = (next("server")?.parse()?, UserId::new(next("user")?)?, Secret(next("ticket")?));
    let room = RoomId::number(next("room")?.parse()?)?;
    let mut config = EngineConfig::new(DeviceId::new("room-peer")?);
    config.microphone = DeviceChoice::Synthetic(Synthetic::Tone(440));
    config.speaker = DeviceChoice::None;
    config.camera = DeviceChoice::Synthetic(Synthetic::Pattern("peer".to_owned()));
    config.watch_devices = false;
    let engine = Engine::start(config);
    engine.request(Intent::SignIn { server, user, ticket }).await?;
    engine.request(Intent::EnterRoom { room, camera: true, key: None }).await?;
    let mut snapshots = engine.snapshots();
    snapshots.wait_for(|snapshot| matches!(snapshot.stage, Stage::Live(_))).await?;
    println!("in");
    snapshots.wait_for(|snapshot| matches!(snapshot.stage, Stage::Ended(_) | Stage::Idle)).await?;
    Ok(())
}
