//! Group calls and what goes with them, between real engines through the real server.
#![allow(clippy::wildcard_enum_match_arm, reason = "a test looks at the events it is about")]

use anyhow::{Context as _, Result};
use engine::api::{Answer, Intent, Presence, Session, Stage};
use protocol::{CallEndReason, CallId, CallMediaType, Event, Profile, RecordResult, UserId};
use std::time::Duration;
use tests_calls::{House, Person};

fn users(names: &[&str]) -> Vec<UserId> {
    names.iter().map(|name| UserId::new(*name).expect("a short word")).collect()
}

async fn call(caller: &Person, callees: &[&str], media: CallMediaType) -> Result<CallId> {
    let callees = users(callees);
    let intent = Intent::Call { callees, media, user_data: String::new(), timeout: None, room: None };
    match caller.ask(intent).await? {
        Answer::Call(call) => Ok(call),
        other => anyhow::bail!("{other:?}"),
    }
}

fn invite(names: &[&str], add_person: bool) -> Intent {
    Intent::InviteUser { users: users(names), user_data: String::new(), timeout: None, add_person }
}

/// Rung, and in.
async fn answer(person: &mut Person) -> Result<()> {
    person.wait("onCallReceived").await?;
    person.ask(Intent::Accept { camera: false }).await?;
    person.wait("onCallBegin").await?;
    Ok(())
}

async fn hears(person: &mut Person, who: &str) -> Result<()> {
    let who = UserId::new(who)?;
    person.wait_for_volumes(|volumes| volumes.get(&who).is_some_and(|volume| *volume > 10)).await
}

async fn wait_about(person: &mut Person, what: &str, name: &str) -> Result<()> {
    let user = UserId::new(name)?;
    let wanted = |event: &Event| {
        let json = serde_json::to_value(event).unwrap_or_default();
        json["event"] == what && json["userId"] == user.as_str()
    };
    person.wait_for(&format!("{what} {name}"), wanted).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn three_talk_a_fourth_is_invited_and_one_comes_back_by_the_card() -> Result<()> {
    let house = House::open().await?;
    let mut alice = Person::simple(&house, "alice").await?;
    let mut bob = Person::simple(&house, "bob").await?;
    let mut carol = Person::simple(&house, "carol").await?;
    let mut dave = Person::simple(&house, "dave").await?;
    let nickname = Profile { nickname: "Ann".to_owned(), avatar: String::new() };
    alice.ask(Intent::SetSelfInfo(nickname)).await?;

    call(&alice, &["bob", "carol"], CallMediaType::Voice).await?;
    answer(&mut bob).await?;
    alice.wait("onCallBegin").await?;
    alice
        .see("carol's tile, ringing", |snapshot| {
            let rings = |presence: &Presence| matches!(presence, Presence::Ringing { until: Some(_) });
            matches!(&snapshot.stage, Stage::Live(live) if live.group && live.people.iter().any(|p| rings(&p.presence)))
        })
        .await?;
    answer(&mut carol).await?;
    wait_about(&mut alice, "onUserJoin", "carol").await?;
    hears(&mut carol, "bob").await?;
    hears(&mut bob, "alice").await?;

    bob.ask(invite(&["dave"], false)).await?;
    wait_about(&mut carol, "onUserInviting", "dave").await?;
    answer(&mut dave).await?;
    wait_about(&mut alice, "onUserJoin", "dave").await?;
    hears(&mut dave, "carol").await?;
    let name =
        |snapshot: &engine::api::Snapshot| snapshot.book.profiles.values().any(|profile| profile.nickname == "Ann");
    dave.see("alice's name", name).await?;

    carol.ask(Intent::Hangup).await?;
    carol.wait("onCallEnd").await?;
    wait_about(&mut alice, "onUserLeave", "carol").await?;
    carol.see("the card", |snapshot| snapshot.book.cards.iter().any(|card| card.members.len() == 3)).await?;
    carol.ask(Intent::JoinCall { call: None, camera: false }).await?;
    carol.wait("onCallBegin").await?;
    hears(&mut carol, "dave").await?;

    // The inviter leaves: the call goes on until one is left.
    for person in [&mut alice, &mut carol] {
        person.ask(Intent::Hangup).await?;
        person.wait("onCallEnd").await?;
    }
    bob.ask(Intent::Hangup).await?;
    dave.wait("onCallEnd").await?;
    dave.see("the record", |snapshot| {
        snapshot.book.recent.first().is_some_and(|record| record.result == RecordResult::Incoming)
    })
    .await?;
    carol.see("no card", |snapshot| snapshot.book.cards.is_empty()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_busy_callee_finds_a_missed_call_and_a_third_is_added_to_a_call_for_two() -> Result<()> {
    let house = House::open().await?;
    let mut alice = Person::simple(&house, "alice").await?;
    let mut bob = Person::simple(&house, "bob").await?;
    let mut carol = Person::simple(&house, "carol").await?;
    call(&alice, &["bob"], CallMediaType::Voice).await?;
    answer(&mut bob).await?;
    alice.wait("onCallBegin").await?;

    call(&carol, &["bob"], CallMediaType::Voice).await?;
    wait_about(&mut carol, "onUserLineBusy", "bob").await?;
    carol.wait("onCallCancelled").await?;
    let refused = alice.ask(invite(&["carol"], false)).await.err().context("refused")?;
    assert_eq!(refused.code, -1205);
    alice.ask(invite(&["carol"], true)).await?;
    answer(&mut carol).await?;
    wait_about(&mut bob, "onUserJoin", "carol").await?;
    hears(&mut bob, "carol").await?;

    let Stage::Live(live) = alice.engine.snapshots().borrow().stage.clone() else { anyhow::bail!("not in a call") };
    assert!(house.end_call(live.call.context("a call")?).await);
    for person in [&mut alice, &mut bob, &mut carol] {
        let end = person.wait("onCallEnd").await?;
        assert!(matches!(end, Event::OnCallEnd { reason: CallEndReason::EndByServer, .. }), "{end:?}");
    }
    bob.see("the missed call", |snapshot| {
        let missed = |record: &protocol::CallRecord| {
            record.result == RecordResult::Missed && record.reason == CallEndReason::LineBusy
        };
        snapshot.book.recent.iter().any(missed) && snapshot.book.recent.len() == 2
    })
    .await?;
    let records: Vec<_> = bob.engine.snapshots().borrow().book.recent.iter().map(|r| r.call_id.clone()).collect();
    bob.ask(Intent::DeleteRecordCalls(records)).await?;
    bob.see("an empty list", |snapshot| snapshot.book.recent.is_empty()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_video_call_becomes_a_voice_call_and_the_cameras_close() -> Result<()> {
    let house = House::open().await?;
    let mut alice = Person::simple(&house, "alice").await?;
    let mut bob = Person::simple(&house, "bob").await?;
    call(&alice, &["bob"], CallMediaType::Video).await?;
    bob.wait("onCallReceived").await?;
    bob.ask(Intent::Accept { camera: true }).await?;
    alice.wait("onCallBegin").await?;
    for person in [&alice, &bob] {
        person.see("an open camera", |snapshot| snapshot.devices.camera_on).await?;
    }
    bob.ask(Intent::SwitchCallMediaType(CallMediaType::Voice)).await?;
    for person in [&mut alice, &mut bob] {
        person.wait("onCallMediaTypeChanged").await?;
        person.see("a closed camera", |snapshot| !snapshot.devices.camera_on).await?;
        let voice = |stage: &Stage| matches!(stage, Stage::Live(live) if live.media == CallMediaType::Voice);
        person.see("a voice call", |snapshot| voice(&snapshot.stage)).await?;
    }
    hears(&mut alice, "bob").await
}

#[tokio::test(flavor = "multi_thread")]
async fn answering_on_one_device_silences_the_other() -> Result<()> {
    let house = House::open().await?;
    let mut alice = Person::simple(&house, "alice").await?;
    let hour = Duration::from_secs(3600);
    let mut desk = Person::on_device(&house, "bob", "desk", house.ticket_for("bob", hour)?).await?;
    desk.ask(Intent::EnableMultiDevice(true)).await?;
    let mut phone = Person::on_device(&house, "bob", "phone", house.ticket_for("bob", hour)?).await?;
    phone.see("the ability", |snapshot| snapshot.book.multi_device).await?;
    call(&alice, &["bob"], CallMediaType::Voice).await?;
    desk.wait("onCallReceived").await?;
    answer(&mut phone).await?;
    let silent = desk.wait("onCallCancelled").await?;
    assert!(matches!(silent, Event::OnCallCancelled { reason: CallEndReason::OtherDeviceAccepted, .. }), "{silent:?}");
    alice.wait("onCallBegin").await?;
    hears(&mut alice, "bob").await?;
    phone.ask(Intent::Hangup).await?;
    alice.wait("onCallEnd").await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_later_sign_in_takes_over_and_the_earlier_leaves_its_call() -> Result<()> {
    let house = House::open().await?;
    let mut alice = Person::simple(&house, "alice").await?;
    let hour = Duration::from_secs(3600);
    let mut desk = Person::on_device(&house, "bob", "desk", house.ticket_for("bob", hour)?).await?;
    call(&alice, &["bob"], CallMediaType::Voice).await?;
    answer(&mut desk).await?;
    let phone = Person::on_device(&house, "bob", "phone", house.ticket_for("bob", hour)?).await?;
    desk.wait("onKickedOffline").await?;
    desk.wait("onCallEnd").await?;
    desk.see("a clear screen", |snapshot| matches!(snapshot.session, Session::KickedOffline { .. })).await?;
    alice.wait("onCallEnd").await?;
    phone.see("online", |snapshot| matches!(snapshot.session, Session::Online { .. })).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_expires_in_a_call_and_a_new_one_is_handed_in() -> Result<()> {
    let house = House::open().await?;
    let mut alice = Person::simple(&house, "alice").await?;
    let short = house.ticket_for("bob", Duration::from_secs(5))?;
    let mut bob = Person::on_device(&house, "bob", "desk", short).await?;
    call(&alice, &["bob"], CallMediaType::Voice).await?;
    answer(&mut bob).await?;
    bob.wait("onUserSigExpired").await?;
    let refused = bob.ask(invite(&["carol"], true)).await.err().context("refused")?;
    assert_eq!(refused.code, -70001);
    let bad = bob.ask(Intent::RenewTicket(engine::api::Secret("damaged".to_owned()))).await.err().context("refused")?;
    assert_eq!(bad.code, -70003);
    let ticket = house.ticket_for("bob", Duration::from_secs(3600))?;
    bob.ask(Intent::RenewTicket(engine::api::Secret(ticket))).await?;
    hears(&mut bob, "alice").await?;
    bob.ask(Intent::Hangup).await?;
    let end = alice.wait("onCallEnd").await?;
    assert!(matches!(end, Event::OnCallEnd { reason: CallEndReason::Hangup, .. }), "{end:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crashed_client_is_told_at_its_next_start_and_joins_again() -> Result<()> {
    let house = House::open().await?;
    let mut alice = Person::simple(&house, "alice").await?;
    let mut bob = Person::simple(&house, "bob").await?;
    let hour = Duration::from_secs(3600);
    let mut carol = Person::on_device(&house, "carol", "desk", house.ticket_for("carol", hour)?).await?;
    call(&alice, &["bob", "carol"], CallMediaType::Voice).await?;
    answer(&mut bob).await?;
    answer(&mut carol).await?;
    hears(&mut bob, "carol").await?;
    // The same installation starts anew while its old process is still there, as after a crash that nobody has noticed.
    let mut again = Person::on_device(&house, "carol", "desk", house.ticket_for("carol", hour)?).await?;
    let end = again.wait("onCallEnd").await?;
    assert!(matches!(end, Event::OnCallEnd { reason: CallEndReason::Offline, .. }), "{end:?}");
    wait_about(&mut alice, "onUserLeave", "carol").await?;
    again.see("the card", |snapshot| snapshot.book.cards.len() == 1).await?;
    again.ask(Intent::JoinCall { call: None, camera: false }).await?;
    again.wait("onCallBegin").await?;
    wait_about(&mut alice, "onUserJoin", "carol").await?;
    hears(&mut again, "bob").await
}
