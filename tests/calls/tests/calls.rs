//! Calls between two engines through the real server.
#![allow(clippy::wildcard_enum_match_arm, reason = "a test looks at the events it is about")]

use anyhow::{Context, Result};
use engine::api::{Ended, Intent, Stage};
use media::picture::timecode;
use media::{DeviceChoice, Synthetic};
use protocol::{CallEndReason, CallMediaType, Event, ExitReason, LeaveReason, RoomId, UserId};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tests_calls::{House, PATIENCE, Person, Proxy, melody, strongest_tones};

fn user(name: &str) -> UserId {
    UserId::new(name).expect("a short word")
}

/// Both are in and hear and see each other.
async fn connect(alice: &mut Person, bob: &mut Person) -> Result<RoomId> {
    alice.call(bob.user.as_str(), CallMediaType::Video).await?;
    bob.wait("onCallReceived").await?;
    bob.ask(Intent::Accept { camera: true }).await?;
    let begun = bob.wait("onCallBegin").await?;
    alice.wait("onCallBegin").await?;
    for person in [alice, bob] {
        person.wait_for("first voice", |event| matches!(event, Event::OnFirstAudioFrame { .. })).await?;
        person.see("a picture", |snapshot| {
            matches!(&snapshot.stage, Stage::Live(live) if live.people.iter().any(|p| !p.local && p.picture.is_some()))
        })
        .await?;
    }
    match begun {
        Event::OnCallBegin { room_id, .. } => Ok(room_id),
        other => anyhow::bail!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_video_call_carries_the_voice_and_the_picture_that_were_sent() -> Result<()> {
    let house = House::open().await?;
    let (sent, heard) = (house.dir.path().join("melody.wav"), house.dir.path().join("heard.wav"));
    let tones = melody(&sent)?;
    let mut alice = Person::arrive(&house, "alice", DeviceChoice::File(sent), DeviceChoice::None).await?;
    let microphone = DeviceChoice::Synthetic(Synthetic::Tone(440));
    let mut bob = Person::arrive(&house, "bob", microphone, DeviceChoice::File(heard.clone())).await?;

    connect(&mut alice, &mut bob).await?;
    // The melody lasts 1.2 s and repeats.
    bob.wait_for_volumes(|map| map.get(&user("alice")).is_some_and(|v| *v > 20) && map.contains_key(&user("bob")))
        .await?;
    tokio::time::timeout(PATIENCE, async {
        loop {
            let preview = bob.engine.snapshots().borrow().devices.preview;
            if bob.screen.timecodes(preview).len() > 40 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await?;
    let preview = bob.engine.snapshots().borrow().devices.preview;
    let codes = bob.screen.timecodes(preview);
    let now = timecode::now();
    assert!(codes.windows(2).all(|pair| pair[0] < pair[1]), "pictures came out of order: {codes:?}");
    let age = now.wrapping_sub(*codes.last().unwrap());
    assert!(age < 5000, "the last picture is {age} ms old");

    bob.ask(Intent::Hangup).await?;
    bob.wait("onCallEnd").await?;
    alice.wait("onUserLeave").await?;
    alice.wait("onCallEnd").await?;
    drop(bob);

    let heard = strongest_tones(&heard, &tones)?;
    let expected: Vec<u32> = tones.iter().copied().cycle().take(3 * tones.len()).collect();
    // In the order in which they were sent, from wherever the listener came in.
    let found = (0..tones.len()).any(|start| {
        let wanted: Vec<u32> = expected[start..start + tones.len()].to_vec();
        heard.windows(tones.len()).any(|window| window == wanted)
    });
    assert!(found, "heard {heard:?} of {tones:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn declining_cancelling_and_silence_are_told_apart() -> Result<()> {
    let house = House::open().await?;
    let mut alice = Person::simple(&house, "alice").await?;
    let mut bob = Person::simple(&house, "bob").await?;

    alice.call("bob", CallMediaType::Voice).await?;
    bob.wait("onCallReceived").await?;
    bob.ask(Intent::Reject).await?;
    alice.wait("onUserReject").await?;
    let cancelled = alice.wait("onCallCancelled").await?;
    assert!(matches!(cancelled, Event::OnCallCancelled { reason: CallEndReason::Reject, .. }), "{cancelled:?}");
    bob.wait("onCallCancelled").await?;

    alice.see("over", |snapshot| matches!(snapshot.stage, Stage::Ended(_))).await?;
    alice.call("bob", CallMediaType::Voice).await?;
    bob.wait("onCallReceived").await?;
    alice.ask(Intent::Hangup).await?;
    let cancelled = bob.wait("onCallCancelled").await?;
    assert!(
        matches!(&cancelled, Event::OnCallCancelled { reason: CallEndReason::Canceled, caller_id, .. } if *caller_id == user("alice")),
        "{cancelled:?}"
    );
    alice.wait("onCallCancelled").await?;

    alice.call_for("bob", CallMediaType::Voice, Some(Duration::from_secs(1))).await?;
    bob.wait("onCallReceived").await?;
    alice.wait("onUserNoResponse").await?;
    let cancelled = alice.wait("onCallCancelled").await?;
    assert!(matches!(cancelled, Event::OnCallCancelled { reason: CallEndReason::NoResponse, .. }), "{cancelled:?}");
    bob.wait("onCallCancelled").await?;
    for person in [&alice, &bob] {
        assert!(!person.names().contains(&"onCallEnd".to_owned()), "no call began: {:?}", person.names());
        person.see("a closed microphone", |snapshot| !snapshot.devices.microphone_on).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn hanging_up_is_told_in_the_documented_order_and_the_next_call_works() -> Result<()> {
    let house = House::open().await?;
    let mut alice = Person::simple(&house, "alice").await?;
    let mut bob = Person::simple(&house, "bob").await?;
    for _ in 0..2 {
        connect(&mut alice, &mut bob).await?;
        alice.ask(Intent::Hangup).await?;
        let ended = alice.wait("onCallEnd").await?;
        assert!(matches!(ended, Event::OnCallEnd { reason: CallEndReason::Hangup, .. }), "{ended:?}");
        bob.wait("onUserLeave").await?;
        bob.wait("onCallEnd").await?;
        bob.see("the end", |snapshot| {
            matches!(&snapshot.stage, Stage::Ended(Ended::Call { by, seconds: Some(_), .. }) if *by == user("alice"))
        })
        .await?;
        for person in [&mut alice, &mut bob] {
            person.see("a closed camera", |snapshot| !snapshot.devices.camera_on).await?;
            person.forget();
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn while_it_rings_the_caller_sees_whether_their_microphone_hears_anything() -> Result<()> {
    let house = House::open().await?;
    let mut alice = Person::simple(&house, "alice").await?;
    let mut bob = Person::simple(&house, "bob").await?;
    alice.call("bob", CallMediaType::Voice).await?;
    bob.wait("onCallReceived").await?;
    let mut levels = alice.engine.levels();
    let heard = levels.wait_for(|levels| levels.volume.get(&user("alice")).is_some_and(|level| *level > 10));
    tokio::time::timeout(PATIENCE, heard).await.context("no level")??;
    alice.listen();
    assert!(!alice.names().contains(&"onCallBegin".to_owned()));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_server_does_not_confirm_an_answer_the_call_is_being_answered_and_can_be_declined() -> Result<()> {
    // Long enough that the connection is not given up meanwhile.
    let house = House::open_beating(Duration::from_secs(60)).await?;
    let way = Proxy::open(house.address()).await?;
    let alice = Person::simple(&house, "alice").await?;
    let mut bob = Person::arrive_by(&house, way.url(), "bob", DeviceChoice::None, DeviceChoice::None).await?;
    alice.call("bob", CallMediaType::Video).await?;
    bob.wait("onCallReceived").await?;
    let rings =
        |answering| move |stage: &Stage| matches!(stage, Stage::Incoming { answering: is, .. } if *is == answering);
    bob.see("a ring", |snapshot| rings(false)(&snapshot.stage)).await?;
    way.hold();
    let engine = bob.engine.clone();
    let accepting = tokio::spawn(async move { engine.request(Intent::Accept { camera: true }).await });
    bob.see("answering", |snapshot| rings(true)(&snapshot.stage) && snapshot.devices.camera_on).await?;
    bob.ask(Intent::Reject).await?;
    bob.see("closed devices", |snapshot| matches!(snapshot.stage, Stage::Ended(_)) && !snapshot.devices.camera_on)
        .await?;
    accepting.abort();
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_removed_is_told_so_and_the_others_too() -> Result<()> {
    let house = House::open().await?;
    let mut alice = Person::simple(&house, "alice").await?;
    let mut bob = Person::simple(&house, "bob").await?;
    let room = connect(&mut alice, &mut bob).await?;
    house.remove(&room, "bob").await?;
    let exit = bob.wait("onExitRoom").await?;
    assert_eq!(exit, Event::OnExitRoom { reason: ExitReason::Removed });
    bob.see("the banner", |snapshot| {
        matches!(snapshot.stage, Stage::Ended(Ended::Room { reason: ExitReason::Removed, .. }))
    })
    .await?;
    let left = alice.wait("onRemoteUserLeaveRoom").await?;
    assert_eq!(left, Event::OnRemoteUserLeaveRoom { user_id: user("bob"), reason: LeaveReason::Removed });
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dismissed_room_ends_for_everybody() -> Result<()> {
    let house = House::open().await?;
    let mut alice = Person::simple(&house, "alice").await?;
    let mut bob = Person::simple(&house, "bob").await?;
    let room = connect(&mut alice, &mut bob).await?;
    house.dismiss(&room).await?;
    for person in [&mut alice, &mut bob] {
        let exit = person.wait("onExitRoom").await?;
        assert_eq!(exit, Event::OnExitRoom { reason: ExitReason::Dismissed });
        person
            .see("the banner", |snapshot| {
                matches!(snapshot.stage, Stage::Ended(Ended::Room { reason: ExitReason::Dismissed, .. }))
            })
            .await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_of_every_socket_neither_ends_the_call_nor_stops_the_media() -> Result<()> {
    let house = House::open().await?;
    let proxy = Proxy::open(house.address()).await?;
    let mut alice = Person::simple(&house, "alice").await?;
    let tone = DeviceChoice::Synthetic(Synthetic::Tone(440));
    let mut bob = Person::arrive_by(&house, proxy.url(), "bob", tone, DeviceChoice::None).await?;
    connect(&mut alice, &mut bob).await?;
    let before = bob.engine.report().await.packets_received;
    proxy.cut();
    bob.see("offline", |snapshot| matches!(snapshot.session, engine::api::Session::Offline { .. })).await?;
    proxy.mend();
    bob.see("online", |snapshot| matches!(snapshot.session, engine::api::Session::Online { .. })).await?;
    // Media never went by these sockets, and the room's signal comes back by itself: switching the camera off reaches
    // the other side through it.
    bob.ask(Intent::Camera(false)).await?;
    alice
        .wait_for("no picture of bob", |event| {
            matches!(event, Event::OnUserVideoAvailable { user_id, is_video_available: false } if user_id.as_str() == "bob")
        })
        .await?;
    tokio::time::timeout(PATIENCE, async {
        while bob.engine.report().await.packets_received <= before {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await
    .context("no packet came after the cut")?;
    bob.listen();
    for name in ["onCallEnd", "onConnectionLost", "onExitRoom"] {
        assert!(!bob.names().contains(&name.to_owned()), "{name} in {:?}", bob.names());
    }
    alice.ask(Intent::Hangup).await?;
    bob.wait("onCallEnd").await?;
    Ok(())
}

/// Kills its process at the end, whatever the test does.
struct Peer(Child);

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_whose_process_dies_is_gone_for_the_others() -> Result<()> {
    let house = House::open().await?;
    let mut alice = Person::simple(&house, "alice").await?;
    let bob = user("bob");
    let mut peer = Peer(
        Command::new(env!("CARGO_BIN_EXE_call-peer"))
            .args([house.url().as_str(), bob.as_str(), &house.ticket(&bob)])
            .stdout(Stdio::piped())
            .spawn()?,
    );
    let mut ready = String::new();
    let output = peer.0.stdout.take().unwrap();
    tokio::task::spawn_blocking(move || {
        std::io::BufRead::read_line(&mut std::io::BufReader::new(output), &mut ready).map(|_| ready)
    })
    .await??;
    alice.call("bob", CallMediaType::Video).await?;
    alice.wait("onFirstAudioFrame").await?;
    peer.0.kill()?;
    let killed_at = Instant::now();
    alice
        .see("bob reconnecting", |snapshot| {
            let gone = |p: &engine::api::Person| {
                matches!(p.presence, engine::api::Presence::Reconnecting | engine::api::Presence::Left(_))
            };
            matches!(&snapshot.stage, Stage::Live(live) if live.people.iter().any(|p| !p.local && gone(p)))
        })
        .await?;
    let left = alice.wait("onRemoteUserLeaveRoom").await?;
    assert_eq!(left, Event::OnRemoteUserLeaveRoom { user_id: bob, reason: LeaveReason::TimedOut });
    println!("told after {:?}", killed_at.elapsed());
    Ok(())
}
