//! One table of what can happen in a room, played on both back ends: the same events and reasons, within the times of
//! each. `docs/rooms.md` and `docs/operations.md` say what these times are.
#![allow(clippy::wildcard_enum_match_arm, reason = "a test looks at the events it is about")]

use anyhow::{Context as _, Result, ensure};
use engine::api::{Intent, Person as Seen, Presence, Stage as Screen};
use protocol::{Event, ExitReason, LeaveReason, RoomId, UserId};
use server::rooms::{Blocked, RoomsError};
use std::collections::BTreeMap;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tests_calls::{PATIENCE, Person};
use tests_rooms::{Backend, Stage};

/// How long a busy machine may take beyond what a back end takes by itself.
const SLACK: Duration = Duration::from_secs(15);

/// The times of one back end: at the earliest, at the latest.
struct Bounds {
    /// From somebody's exit until the others know.
    exit: Duration,
    /// From a removal or a dismissal until everybody knows.
    put_out: Duration,
    /// From the death of a process until the others know.
    killed: (Duration, Duration),
    /// From the last that was heard of somebody until the others know.
    silent: (Duration, Duration),
    /// For how long an old token lets somebody in who was removed; `None`: not at all.
    old_token: Option<Duration>,
}

const EMBEDDED: Bounds = Bounds {
    exit: Duration::from_millis(100),
    put_out: Duration::from_millis(300),
    killed: (Duration::from_secs(4), Duration::from_secs(8)),
    silent: (Duration::from_secs(85), Duration::from_secs(95)),
    old_token: None,
};

const LIVEKIT: Bounds = Bounds {
    exit: Duration::from_secs(4),
    put_out: Duration::from_secs(4),
    killed: (Duration::from_secs(4), Duration::from_secs(25)),
    silent: (Duration::from_secs(10), Duration::from_secs(25)),
    old_token: Some(Duration::from_secs(12)),
};

macro_rules! table {
    ($($row:ident),* $(,)?) => {
        mod embedded_rooms {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $row() -> anyhow::Result<()> {
                super::$row(super::Stage::open(super::Backend::Embedded).await?, &super::EMBEDDED).await
            })*
        }
        mod livekit_server {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $row() -> anyhow::Result<()> {
                super::$row(super::Stage::open(super::Backend::LiveKit).await?, &super::LIVEKIT).await
            })*
        }
    };
}

table!(
    enter,
    media_both_ways,
    exit,
    remove,
    removed_with_an_old_token,
    block_and_free,
    dismiss,
    duplicate_identity,
    cut_signal,
    cut_media,
    cut_off_for_good,
    kill_the_client,
    restart_the_server,
);

// ---- what rows are made of ----

fn user(name: &str) -> UserId {
    UserId::new(name).expect("a short word")
}

fn room() -> RoomId {
    RoomId::number(7).expect("a small number")
}

/// Says how long something took, for the documentation, and that it was in time.
fn in_time(what: &str, backend: Backend, began: Instant, at_least: Duration, at_most: Duration) -> Result<()> {
    let took = began.elapsed();
    println!("{backend:?}: {what} after {took:?}");
    ensure!(took >= at_least, "{what} after {took:?}, before {at_least:?}");
    ensure!(took <= at_most + SLACK, "{what} after {took:?}, longer than {at_most:?}");
    Ok(())
}

async fn enter_room(person: &mut Person) -> Result<()> {
    person.ask(Intent::EnterRoom { room: room(), camera: true, key: None }).await?;
    entered(person).await
}

async fn entered(person: &mut Person) -> Result<()> {
    match person.wait("onEnterRoom").await? {
        Event::OnEnterRoom { result } if result >= 0 => Ok(()),
        refused => anyhow::bail!("{}: {refused:?}", person.user),
    }
}

async fn hears_and_sees(person: &mut Person, who: &str) -> Result<()> {
    let (one, two) = (user(who), user(who));
    // In whatever order they come.
    let from = person.history.len();
    let heard = move |event: &Event| matches!(event, Event::OnFirstAudioFrame { user_id, .. } if *user_id == one);
    let seen = move |event: &Event| matches!(event, Event::OnFirstVideoFrame { user_id, .. } if *user_id == two);
    let deadline = Instant::now() + PATIENCE;
    loop {
        person.listen();
        let history = &person.history;
        if history.iter().any(&heard) && history.iter().any(&seen) {
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "{}: no media of {who}: {:?}", person.user, &history[from..]);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Alice and Bob are in, hear and see each other.
async fn two(stage: &Stage) -> Result<(Person, Person)> {
    let (mut alice, mut bob) = (stage.person("alice").await?, stage.person("bob").await?);
    enter_room(&mut alice).await?;
    enter_room(&mut bob).await?;
    hears_and_sees(&mut alice, "bob").await?;
    hears_and_sees(&mut bob, "alice").await?;
    alice.forget();
    bob.forget();
    Ok((alice, bob))
}

async fn left(person: &mut Person, who: &str, reason: LeaveReason, patience: Duration) -> Result<()> {
    let who = user(who);
    let is_it = |event: &Event| matches!(event, Event::OnRemoteUserLeaveRoom { user_id, .. } if *user_id == who);
    let event = person.wait_longer("onRemoteUserLeaveRoom", patience, is_it).await?;
    ensure!(event == Event::OnRemoteUserLeaveRoom { user_id: who, reason }, "{}: {event:?}", person.user);
    Ok(())
}

async fn put_out(person: &mut Person, reason: ExitReason) -> Result<()> {
    let exit = person.wait("onExitRoom").await?;
    ensure!(exit == Event::OnExitRoom { reason }, "{}: {exit:?}", person.user);
    person.see("closed devices", |snapshot| !snapshot.devices.microphone_on && !snapshot.devices.camera_on).await
}

/// Waits for somebody's tile.
async fn tile(person: &Person, who: &str, what: &str, wanted: impl Fn(&Seen) -> bool) -> Result<()> {
    let who = user(who);
    let is_it = |snapshot: &engine::api::Snapshot| matches!(&snapshot.stage, Screen::Live(live) if live.people.iter().any(|seen| seen.user == who && wanted(seen)));
    person.see(what, is_it).await
}

/// Media comes from now on.
async fn media_flows(person: &Person) -> Result<()> {
    let before = person.engine.report().await.packets_received;
    let deadline = Instant::now() + PATIENCE;
    while person.engine.report().await.packets_received <= before + 10 {
        ensure!(Instant::now() < deadline, "{}: no media", person.user);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

/// Nothing of this was reported.
fn never(person: &mut Person, names: &[&str]) -> Result<()> {
    person.listen();
    let told = person.names();
    for name in names {
        ensure!(!told.iter().any(|told| told == name), "{}: {name} in {told:?}", person.user);
    }
    Ok(())
}

// ---- the rows ----

async fn enter(stage: Stage, _: &Bounds) -> Result<()> {
    let (mut alice, mut bob) = (stage.person("alice").await?, stage.person("bob").await?);
    enter_room(&mut alice).await?;
    enter_room(&mut bob).await?;
    for (person, other) in [(&mut alice, "bob"), (&mut bob, "alice")] {
        let seen = person.wait("onRemoteUserEnterRoom").await?;
        assert_eq!(seen, Event::OnRemoteUserEnterRoom { user_id: user(other) });
    }
    Ok(())
}

async fn media_both_ways(stage: Stage, _: &Bounds) -> Result<()> {
    let (mut alice, mut bob) = (stage.person("alice").await?, stage.person("bob").await?);
    enter_room(&mut alice).await?;
    enter_room(&mut bob).await?;
    for (person, other) in [(&mut alice, "bob"), (&mut bob, "alice")] {
        hears_and_sees(person, other).await?;
        person.wait_for_volumes(|volumes| volumes.get(&user(other)).is_some_and(|volume| *volume > 20)).await?;
        for available in [
            Event::OnUserAudioAvailable { user_id: user(other), is_audio_available: true },
            Event::OnUserVideoAvailable { user_id: user(other), is_video_available: true },
        ] {
            ensure!(person.history.contains(&available), "{}: no {available:?}", person.user);
        }
        person.forget();
    }
    for on in [false, true] {
        bob.ask(Intent::Microphone(on)).await?;
        let heard = alice.wait("onUserAudioAvailable").await?;
        assert_eq!(heard, Event::OnUserAudioAvailable { user_id: user("bob"), is_audio_available: on });
    }
    Ok(())
}

async fn exit(stage: Stage, bounds: &Bounds) -> Result<()> {
    let (mut alice, mut bob) = two(&stage).await?;
    let began = Instant::now();
    bob.ask(Intent::ExitRoom).await?;
    left(&mut alice, "bob", LeaveReason::Left, PATIENCE).await?;
    in_time("others told of an exit", stage.backend, began, Duration::ZERO, bounds.exit)?;
    put_out(&mut bob, ExitReason::Own).await?;
    never(&mut alice, &["onExitRoom", "onConnectionLost"])?;
    enter_room(&mut bob).await?;
    hears_and_sees(&mut bob, "alice").await
}

async fn remove(stage: Stage, bounds: &Bounds) -> Result<()> {
    let (mut alice, mut bob) = two(&stage).await?;
    let began = Instant::now();
    stage.house.remove(&room(), "bob").await?;
    put_out(&mut bob, ExitReason::Removed).await?;
    in_time("told of the removal", stage.backend, began, Duration::ZERO, bounds.put_out)?;
    left(&mut alice, "bob", LeaveReason::Removed, PATIENCE).await?;
    in_time("others told of a removal", stage.backend, began, Duration::ZERO, bounds.put_out)?;
    never(&mut alice, &["onExitRoom"])?;
    // Removal is no ban.
    bob.forget();
    enter_room(&mut bob).await?;
    hears_and_sees(&mut bob, "alice").await?;
    never(&mut bob, &["onExitRoom"])
}

async fn removed_with_an_old_token(stage: Stage, bounds: &Bounds) -> Result<()> {
    let (mut alice, mut guest) = (stage.person("alice").await?, stage.person("visitor").await?);
    enter_room(&mut alice).await?;
    let enter = stage.enter_by_token(&room(), "guest")?;
    guest.ask(enter.clone()).await?;
    entered(&mut guest).await?;
    hears_and_sees(&mut alice, "guest").await?;
    stage.house.remove(&room(), "guest").await?;
    put_out(&mut guest, ExitReason::Removed).await?;
    left(&mut alice, "guest", LeaveReason::Removed, PATIENCE).await?;
    guest.forget();
    let began = Instant::now();
    guest.ask(enter).await?;
    match bounds.old_token {
        None => {
            let refused = guest.wait("onEnterRoom").await?;
            ensure!(matches!(refused, Event::OnEnterRoom { result } if result < 0), "{refused:?}");
        }
        Some(at_most) => {
            entered(&mut guest).await?;
            put_out(&mut guest, ExitReason::Removed).await?;
            in_time("put out who came with an old token", stage.backend, began, Duration::ZERO, at_most)?;
            // It may be so soon that the others never heard of the guest; who did hears of the end, too.
            alice.listen();
            let is_entry = |event: &&Event| matches!(event, Event::OnRemoteUserEnterRoom { .. });
            if alice.history.iter().filter(is_entry).count() > 1 {
                left(&mut alice, "guest", LeaveReason::Removed, PATIENCE).await?;
            }
        }
    }
    alice
        .see("nobody else", |snapshot| {
            let alone = |people: &[Seen]| people.iter().all(|seen| seen.local);
            matches!(&snapshot.stage, Screen::Live(live) if alone(&live.people))
        })
        .await
}

async fn block_and_free(stage: Stage, _: &Bounds) -> Result<()> {
    let (mut alice, mut bob) = two(&stage).await?;
    let (rooms, name) = (stage.house.rooms(), room().wire_name());
    let audible = |available| Event::OnUserAudioAvailable { user_id: user("bob"), is_audio_available: available };
    let visible = |available| Event::OnUserVideoAvailable { user_id: user("bob"), is_video_available: available };
    let free = Blocked::default();
    for blocked in [Blocked { voice: true, ..free }, Blocked { picture: true, ..free }] {
        rooms.block(&name, "bob", blocked).await?;
        let (told, other) = if blocked.voice {
            (alice.wait("onUserAudioAvailable").await?, visible(false))
        } else {
            (alice.wait("onUserVideoAvailable").await?, audible(false))
        };
        assert_eq!(told, if blocked.voice { audible(false) } else { visible(false) });
        ensure!(!alice.history.contains(&other), "the other one is not blocked: {:?}", alice.names());
        // What is not blocked still comes.
        media_flows(&alice).await?;
        rooms.block(&name, "bob", free).await?;
        let name = if blocked.voice { "onUserAudioAvailable" } else { "onUserVideoAvailable" };
        assert_eq!(alice.wait(name).await?, if blocked.voice { audible(true) } else { visible(true) });
        alice.forget();
    }
    let loud = |volumes: &BTreeMap<UserId, u8>| volumes.get(&user("bob")).is_some_and(|volume| *volume > 20);
    alice.wait_for_volumes(loud).await?;
    let before = alice.screen.timecodes(alice.engine.snapshots().borrow().devices.preview).len();
    let deadline = Instant::now() + PATIENCE;
    while alice.screen.timecodes(alice.engine.snapshots().borrow().devices.preview).len() <= before + 5 {
        ensure!(Instant::now() < deadline, "no picture of bob");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(rooms.block(&name, "nobody", free).await, Err(RoomsError::NoMember));
    never(&mut bob, &["onExitRoom", "onConnectionLost"])?;
    never(&mut alice, &["onExitRoom", "onRemoteUserLeaveRoom"])
}

async fn dismiss(stage: Stage, bounds: &Bounds) -> Result<()> {
    let (mut alice, mut bob) = two(&stage).await?;
    let began = Instant::now();
    stage.house.dismiss(&room()).await?;
    for person in [&mut alice, &mut bob] {
        put_out(person, ExitReason::Dismissed).await?;
        in_time("told of the dismissal", stage.backend, began, Duration::ZERO, bounds.put_out)?;
    }
    // The same name is a new room.
    enter_room(&mut alice).await
}

async fn duplicate_identity(stage: Stage, _: &Bounds) -> Result<()> {
    let mut alice = stage.person("alice").await?;
    let (mut first, mut second) = (stage.person("visitor").await?, stage.person("visitor-2").await?);
    enter_room(&mut alice).await?;
    first.ask(stage.enter_by_token(&room(), "guest")?).await?;
    entered(&mut first).await?;
    hears_and_sees(&mut alice, "guest").await?;
    alice.forget();
    second.ask(stage.enter_by_token(&room(), "guest")?).await?;
    entered(&mut second).await?;
    first.wait("onKickedOffline").await?;
    hears_and_sees(&mut second, "alice").await?;
    // For the others it is the same person.
    tile(&alice, "guest", "the guest", |seen| seen.presence == Presence::In).await?;
    never(&mut alice, &["onExitRoom", "onConnectionLost"])?;
    never(&mut second, &["onExitRoom", "onKickedOffline"])
}

async fn cut_signal(stage: Stage, _: &Bounds) -> Result<()> {
    let (mut alice, mut bob) = two(&stage).await?;
    stage.wire.cut_signal("bob");
    bob.wait("onConnectionLost").await?;
    media_flows(&alice).await?;
    media_flows(&bob).await?;
    stage.wire.mend("bob");
    bob.wait("onConnectionRecovery").await?;
    // Through the signal that is back.
    bob.ask(Intent::Camera(false)).await?;
    let dark = alice.wait("onUserVideoAvailable").await?;
    assert_eq!(dark, Event::OnUserVideoAvailable { user_id: user("bob"), is_video_available: false });
    never(&mut bob, &["onExitRoom", "onRemoteUserLeaveRoom"])?;
    never(&mut alice, &["onExitRoom", "onRemoteUserLeaveRoom", "onConnectionLost"])
}

async fn cut_media(stage: Stage, _: &Bounds) -> Result<()> {
    let (mut alice, mut bob) = two(&stage).await?;
    stage.wire.cut_media("bob");
    tile(&alice, "bob", "bob reconnecting", |seen| seen.presence == Presence::Reconnecting).await?;
    bob.wait("onConnectionLost").await?;
    stage.wire.mend("bob");
    bob.wait("onConnectionRecovery").await?;
    tile(&alice, "bob", "bob in", |seen| seen.presence == Presence::In).await?;
    media_flows(&bob).await?;
    never(&mut bob, &["onExitRoom"])?;
    never(&mut alice, &["onExitRoom", "onRemoteUserLeaveRoom", "onConnectionLost"])
}

async fn cut_off_for_good(stage: Stage, bounds: &Bounds) -> Result<()> {
    let (mut alice, mut bob) = two(&stage).await?;
    stage.wire.silence("bob");
    let began = Instant::now();
    tile(&alice, "bob", "bob reconnecting", |seen| seen.presence == Presence::Reconnecting).await?;
    bob.wait("onConnectionLost").await?;
    left(&mut alice, "bob", LeaveReason::TimedOut, bounds.silent.1 + SLACK).await?;
    in_time("others told of a silent loss", stage.backend, began, bounds.silent.0, bounds.silent.1)?;
    // A room waits longer for its way back than the others do.
    stage.wire.mend("bob");
    bob.wait("onConnectionRecovery").await?;
    let back = alice.wait("onRemoteUserEnterRoom").await?;
    assert_eq!(back, Event::OnRemoteUserEnterRoom { user_id: user("bob") });
    media_flows(&bob).await?;
    never(&mut bob, &["onExitRoom"])
}

/// Kills its process at the end, whatever the test does.
struct Peer(Child);

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

async fn kill_the_client(stage: Stage, bounds: &Bounds) -> Result<()> {
    let mut alice = stage.person("alice").await?;
    enter_room(&mut alice).await?;
    let (server, ticket) = (stage.house.url().to_string(), stage.house.ticket(&user("bob")));
    let mut peer = Command::new(env!("CARGO_BIN_EXE_room-peer"));
    let mut peer = Peer(peer.args([&server, "bob", &ticket, "7"]).stdout(Stdio::null()).spawn()?);
    hears_and_sees(&mut alice, "bob").await?;
    peer.0.kill()?;
    let began = Instant::now();
    tile(&alice, "bob", "bob reconnecting", |seen| seen.presence == Presence::Reconnecting).await?;
    left(&mut alice, "bob", LeaveReason::TimedOut, bounds.killed.1 + SLACK).await?;
    in_time("others told of a dead process", stage.backend, began, bounds.killed.0, bounds.killed.1)
}

async fn restart_the_server(stage: Stage, _: &Bounds) -> Result<()> {
    let (mut alice, mut bob) = two(&stage).await?;
    let stage = stage.restart_rooms().await?;
    let began = Instant::now();
    for (person, other) in [(&alice, "bob"), (&bob, "alice")] {
        tile(person, other, "the other one back", |seen| seen.presence == Presence::In && seen.picture.is_some())
            .await
            .with_context(|| format!("on {:?}", stage.backend))?;
        media_flows(person).await?;
    }
    in_time("back after a restart", stage.backend, began, Duration::ZERO, PATIENCE)?;
    never(&mut alice, &["onExitRoom", "onError"])?;
    never(&mut bob, &["onExitRoom", "onError"])
}
