//! Whole calls on both back ends: they begin, carry media, and end with the right reasons, whoever carries the rooms.
#![allow(clippy::wildcard_enum_match_arm, reason = "a test looks at the events it is about")]

use anyhow::{Result, ensure};
use engine::api::{Ended, Intent, Stage as Screen};
use protocol::{CallEndReason, CallMediaType, Event, ExitReason, RoomId, UserId};
use std::time::{Duration, Instant};
use tests_calls::{PATIENCE, Person};
use tests_rooms::{Backend, Stage};

macro_rules! on_both {
    ($($row:ident),* $(,)?) => {
        mod embedded_rooms {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $row() -> anyhow::Result<()> {
                super::$row(super::Stage::open(super::Backend::Embedded).await?).await
            })*
        }
        mod livekit_server {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $row() -> anyhow::Result<()> {
                super::$row(super::Stage::open(super::Backend::LiveKit).await?).await
            })*
        }
    };
}

on_both!(hanging_up_ends_it_for_both, a_removal_ends_it_for_everyone, a_dismissal_ends_it_for_everyone);

fn user(name: &str) -> UserId {
    UserId::new(name).expect("a short word")
}

/// Alice calls Bob; both are in, hear and see each other.
async fn call(stage: &Stage) -> Result<(Person, Person, RoomId)> {
    let (mut alice, mut bob) = (stage.person("alice").await?, stage.person("bob").await?);
    alice.call("bob", CallMediaType::Video).await?;
    bob.wait("onCallReceived").await?;
    bob.ask(Intent::Accept { camera: true }).await?;
    let Event::OnCallBegin { room_id, .. } = bob.wait("onCallBegin").await? else { anyhow::bail!("no call began") };
    alice.wait("onCallBegin").await?;
    for person in [&mut alice, &mut bob] {
        person.wait_for("first voice", |event| matches!(event, Event::OnFirstAudioFrame { .. })).await?;
        person.see("a picture", |snapshot| {
            matches!(&snapshot.stage, Screen::Live(live) if live.people.iter().any(|p| !p.local && p.picture.is_some()))
        })
        .await?;
    }
    Ok((alice, bob, room_id))
}

async fn ended(person: &mut Person, reason: CallEndReason) -> Result<()> {
    let event = person.wait("onCallEnd").await?;
    ensure!(matches!(&event, Event::OnCallEnd { reason: why, .. } if *why == reason), "{}: {event:?}", person.user);
    person.see("closed devices", |snapshot| !snapshot.devices.microphone_on && !snapshot.devices.camera_on).await
}

async fn hanging_up_ends_it_for_both(stage: Stage) -> Result<()> {
    for _ in 0..2 {
        let (mut alice, mut bob, _) = call(&stage).await?;
        alice.ask(Intent::Hangup).await?;
        ended(&mut alice, CallEndReason::Hangup).await?;
        bob.wait("onUserLeave").await?;
        ended(&mut bob, CallEndReason::Hangup).await?;
    }
    Ok(())
}

async fn a_removal_ends_it_for_everyone(stage: Stage) -> Result<()> {
    let (mut alice, mut bob, room) = call(&stage).await?;
    stage.house.rooms().remove(&room.wire_name(), "bob", Some("carol".to_owned())).await?;
    let exit = bob.wait("onExitRoom").await?;
    assert_eq!(exit, Event::OnExitRoom { reason: ExitReason::Removed });
    bob.see("the banner with its author", |snapshot| {
        let by = Some(user("carol"));
        matches!(&snapshot.stage, Screen::Ended(Ended::Room { reason: ExitReason::Removed, by: who, .. }) if *who == by)
    })
    .await?;
    ended(&mut alice, CallEndReason::EndByServer).await
}

async fn a_dismissal_ends_it_for_everyone(stage: Stage) -> Result<()> {
    let (mut alice, mut bob, room) = call(&stage).await?;
    stage.house.rooms().dismiss(&room.wire_name(), Some("carol".to_owned())).await?;
    for person in [&mut alice, &mut bob] {
        let exit = person.wait("onExitRoom").await?;
        assert_eq!(exit, Event::OnExitRoom { reason: ExitReason::Dismissed });
        person
            .see("the banner with its author", |snapshot| {
                let by = Some(user("carol"));
                matches!(&snapshot.stage, Screen::Ended(Ended::Room { reason: ExitReason::Dismissed, by: who, .. })
                    if *who == by)
            })
            .await?;
    }
    Ok(())
}

/// Without a single webhook the listings tell the call plane of a removal that somebody else asked LiveKit for.
#[tokio::test(flavor = "multi_thread")]
async fn without_webhooks_calls_work_and_removals_at_livekit_itself_are_noticed() -> Result<()> {
    let stage = Stage::open_livekit(false).await?;
    let (mut alice, mut bob, room) = call(&stage).await?;
    stage.remove_at_livekit(&room, "bob").await?;
    let exit = bob.wait("onExitRoom").await?;
    assert_eq!(exit, Event::OnExitRoom { reason: ExitReason::Removed });
    // The call plane learns late that Bob is gone, waits for him, and lets him go.
    let wanted = |event: &Event| matches!(event, Event::OnCallEnd { .. });
    let end = alice.wait_longer("onCallEnd", Duration::from_secs(90), wanted).await?;
    assert!(matches!(end, Event::OnCallEnd { .. }));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn livekit_out_of_the_servers_reach_ends_no_call_and_new_ones_say_why() -> Result<()> {
    let stage = Stage::open(Backend::LiveKit).await?;
    let (mut alice, mut bob, _) = call(&stage).await?;
    let mut carol = stage.person("carol").await?;
    stage.wire.cut_others();
    // The server asks every few seconds, in vain.
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(20) {
        for person in [&mut alice, &mut bob] {
            person.listen();
            let told = person.names();
            for name in ["onCallEnd", "onExitRoom", "onConnectionLost", "onRemoteUserLeaveRoom"] {
                ensure!(!told.iter().any(|told| told == name), "{}: {told:?}", person.user);
            }
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    carol.call("dave", CallMediaType::Voice).await.expect_err("nobody has ever heard of dave");
    let dave = stage.person("dave").await?;
    carol.call("dave", CallMediaType::Voice).await?;
    let cancelled = carol.wait("onCallCancelled").await?;
    let by_server = |event: &Event| matches!(event, Event::OnCallCancelled { reason: CallEndReason::EndByServer, .. });
    ensure!(by_server(&cancelled), "{cancelled:?}");
    let failed = stage.house.rooms().open("n:9").await.unwrap_err().to_string();
    ensure!(failed.contains("LiveKit cannot be reached"), "{failed}");
    drop(dave);

    stage.wire.mend_others();
    let deadline = Instant::now() + PATIENCE;
    while let Err(error) = stage.house.rooms().open("n:9").await {
        ensure!(Instant::now() < deadline, "{error}");
    }
    alice.ask(Intent::Hangup).await?;
    ended(&mut bob, CallEndReason::Hangup).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_of_the_call_plane_is_not_heard_in_a_call_on_livekit() -> Result<()> {
    let stage = Stage::open(Backend::LiveKit).await?;
    let (mut alice, mut bob, room) = call(&stage).await?;
    let stage = stage.restart_house().await?;
    for person in [&mut alice, &mut bob] {
        person.see("online", |snapshot| matches!(snapshot.session, engine::api::Session::Online { .. })).await?;
        person.listen();
        let told = person.names();
        for name in ["onCallEnd", "onExitRoom", "onConnectionLost", "onRemoteUserLeaveRoom"] {
            ensure!(!told.iter().any(|told| told == name), "{}: {told:?}", person.user);
        }
    }
    // What the restarted server knows of the room it has asked LiveKit for.
    let members = stage.house.rooms().list(&room.wire_name()).await?;
    ensure!(members.len() == 2, "{members:?}");
    stage.house.rooms().remove(&room.wire_name(), "bob", None).await?;
    assert_eq!(bob.wait("onExitRoom").await?, Event::OnExitRoom { reason: ExitReason::Removed });
    ended(&mut alice, CallEndReason::EndByServer).await
}
