//! Processes die and servers start again, in the middle of calls: whoever comes back is told and can go on.
#![allow(clippy::wildcard_enum_match_arm, reason = "a test looks at the events it is about")]

use anyhow::{Result, ensure};
use engine::api::{Intent, Session, Stage};
use protocol::{CallEndReason, CallMediaType, Event, RecordResult};
use std::time::Duration;
use tests_calls::steps::{about, answer, call, hears, keeps_hearing, records, talk, user, users};
use tests_calls::{Headless, House, Person};

#[tokio::test(flavor = "multi_thread")]
async fn a_callee_whose_process_dies_while_it_rings_is_rung_again_at_its_next_start() -> Result<()> {
    let house = House::open().await?;
    let mut alice = Person::plain(&house, "alice").await?;
    let mut bob = Headless::start(&house, "bob", "bobs-box").await?;
    let placed = call(&alice, &["bob"], CallMediaType::Voice).await?;
    bob.event("onCallReceived").await?;
    bob.kill().await?;
    let mut bob = Headless::start(&house, "bob", "bobs-box").await?;
    let rung = bob.event("onCallReceived").await?;
    assert_eq!((&rung["callId"], &rung["callerId"]), (&placed.as_str().into(), &"alice".into()));
    bob.done("accept").await?;
    bob.event("onCallBegin").await?;
    alice.wait("onCallBegin").await?;
    hears(&mut alice, "bob").await?;
    alice.ask(Intent::Hangup).await?;
    let end = bob.event("onCallEnd").await?;
    assert_eq!((&end["reason"], &end["userId"]), (&1.into(), &"alice".into()));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_callee_whose_process_dies_while_it_rings_and_stays_away_is_no_answer() -> Result<()> {
    let house = House::open().await?;
    let mut alice = Person::plain(&house, "alice").await?;
    let mut bob = Headless::start(&house, "bob", "bobs-box").await?;
    alice.call_for("bob", CallMediaType::Voice, Some(Duration::from_secs(3))).await?;
    bob.event("onCallReceived").await?;
    bob.kill().await?;
    about(&mut alice, "onUserNoResponse", "bob").await?;
    let end = alice.wait("onCallCancelled").await?;
    let as_no_answer = |event: &Event| matches!(event, Event::OnCallCancelled { reason: CallEndReason::NoResponse, caller_id, .. } if *caller_id == user("alice"));
    assert!(as_no_answer(&end), "{end:?}");
    let mut bob = Headless::start(&house, "bob", "bobs-box").await?;
    let recent = bob.done("recent").await?;
    let record = &recent["records"][0];
    assert_eq!((&record["result"], &record["reason"], &record["totalTime"]), (&1.into(), &3.into(), &0.into()));
    assert!(!bob.seen.iter().any(|line| line["event"] == "onCallReceived"), "{:?}", bob.seen);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_callee_whose_process_dies_in_a_call_for_two_is_told_at_its_next_start() -> Result<()> {
    let house = House::open().await?;
    let mut alice = Person::plain(&house, "alice").await?;
    let mut bob = Headless::start(&house, "bob", "bobs-box").await?;
    let placed = call(&alice, &["bob"], CallMediaType::Voice).await?;
    bob.event("onCallReceived").await?;
    bob.done("accept").await?;
    alice.wait("onCallBegin").await?;
    hears(&mut alice, "bob").await?;
    bob.kill().await?;
    about(&mut alice, "onUserLeave", "bob").await?;
    let end = alice.wait("onCallEnd").await?;
    let gone = |event: &Event| matches!(event, Event::OnCallEnd { reason: CallEndReason::Offline, user_id, .. } if *user_id == user("bob"));
    assert!(gone(&end), "{end:?}");

    let mut bob = Headless::start(&house, "bob", "bobs-box").await?;
    let told = bob.event("onCallEnd").await?;
    assert_eq!((&told["callId"], &told["reason"]), (&placed.as_str().into(), &4.into()), "{told}");
    assert_eq!((&told["callRole"], &told["userId"], &told["inviterId"]), (&2.into(), &"bob".into(), &"alice".into()));
    let recent = bob.done("recent").await?;
    let record = &recent["records"][0];
    assert_eq!((&record["result"], &record["reason"], &record["role"]), (&2.into(), &4.into(), &2.into()), "{record}");
    assert_eq!(record["totalTime"], told["totalTime"], "{record} {told}");
    // Told once: the next start hears nothing of it.
    bob.done("sign-out").await?;
    bob.kill().await?;
    let mut bob = Headless::start(&house, "bob", "bobs-box").await?;
    bob.done("recent").await?;
    assert!(!bob.seen.iter().any(|line| line["event"] == "onCallEnd"), "{:?}", bob.seen);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn one_whose_process_dies_in_a_group_call_comes_back_by_the_card() -> Result<()> {
    let house = House::open().await?;
    let mut alice = Person::plain(&house, "alice").await?;
    let mut bob = Person::plain(&house, "bob").await?;
    let mut carol = Headless::start(&house, "carol", "carols-box").await?;
    call(&alice, &["bob", "carol"], CallMediaType::Voice).await?;
    answer(&mut bob, false).await?;
    carol.event("onCallReceived").await?;
    carol.done("accept").await?;
    about(&mut alice, "onUserJoin", "carol").await?;
    hears(&mut bob, "carol").await?;
    carol.kill().await?;
    // At once, before anybody else has noticed.
    let mut carol = Headless::start(&house, "carol", "carols-box").await?;
    let told = carol.event("onCallEnd").await?;
    assert_eq!((&told["reason"], &told["userId"]), (&4.into(), &"carol".into()), "{told}");
    about(&mut alice, "onUserLeave", "carol").await?;
    // Before or after the word of the end: as the server sees the dead connection earlier or later.
    carol.has("the card", |line| line["cards"][0]["members"] == serde_json::json!(["alice", "bob"])).await?;
    carol.done("join").await?;
    carol.event("onCallBegin").await?;
    about(&mut alice, "onUserJoin", "carol").await?;
    about(&mut bob, "onUserLeave", "carol").await?;
    about(&mut bob, "onUserJoin", "carol").await?;
    hears(&mut bob, "carol").await?;
    carol.wait("bob's voice", |line| line["event"] == "onFirstAudioFrame" && line["userId"] == "bob").await?;
    alice.ask(Intent::Hangup).await?;
    bob.ask(Intent::Hangup).await?;
    let end = carol.event("onCallEnd").await?;
    assert_eq!((&end["reason"], &end["userId"]), (&1.into(), &"bob".into()), "{end}");
    Ok(())
}

/// Signed in, after having been lost.
async fn come_back(people: [&Person; 2]) -> Result<()> {
    for person in people {
        person.see("online", |snapshot| matches!(snapshot.session, Session::Online { .. })).await?;
        // Online may have been said before the loss was seen: an answer is of the new server.
        records(person).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ring_outlives_a_restart_of_the_server() -> Result<()> {
    let house = House::open().await?;
    let mut alice = Person::plain(&house, "alice").await?;
    let mut bob = Person::plain(&house, "bob").await?;
    call(&alice, &["bob"], CallMediaType::Voice).await?;
    bob.wait("onCallReceived").await?;
    let house = house.restart().await?;
    come_back([&alice, &bob]).await?;
    bob.ask(Intent::Accept { camera: false }).await?;
    bob.wait("onCallBegin").await?;
    alice.wait("onCallBegin").await?;
    hears(&mut alice, "bob").await?;
    hears(&mut bob, "alice").await?;
    for person in [&mut alice, &mut bob] {
        let received = person.names().iter().filter(|name| *name == "onCallReceived").count();
        ensure!(received == usize::from(person.user == user("bob")), "{:?}", person.names());
    }
    drop(house);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_call_outlives_a_restart_of_the_server_and_so_do_records() -> Result<()> {
    let house = House::open().await?;
    let mut alice = Person::plain(&house, "alice").await?;
    let mut bob = Person::plain(&house, "bob").await?;
    // A record from before.
    call(&alice, &["bob"], CallMediaType::Voice).await?;
    bob.wait("onCallReceived").await?;
    bob.ask(Intent::Reject).await?;
    alice.wait("onCallCancelled").await?;

    talk(&mut alice, &mut bob, CallMediaType::Voice).await?;
    hears(&mut alice, "bob").await?;
    let house = house.restart().await?;
    come_back([&alice, &bob]).await?;
    keeps_hearing(&alice, "bob").await?;
    keeps_hearing(&bob, "alice").await?;
    for person in [&mut alice, &mut bob] {
        person.see("still in", |snapshot| matches!(snapshot.stage, Stage::Live(_))).await?;
        person.listen();
        ensure!(!person.names().contains(&"onCallEnd".to_owned()), "{:?}", person.names());
    }
    bob.ask(Intent::Hangup).await?;
    bob.wait("onCallEnd").await?;
    about(&mut alice, "onUserLeave", "bob").await?;
    let end = alice.wait("onCallEnd").await?;
    let Event::OnCallEnd { reason: CallEndReason::Hangup, total_time, .. } = end else { anyhow::bail!("{end:?}") };

    let house = house.restart().await?;
    come_back([&alice, &bob]).await?;
    for (person, result) in [(&alice, RecordResult::Outgoing), (&bob, RecordResult::Incoming)] {
        let all = records(person).await?;
        let found: Vec<_> = all.iter().map(|record| (record.result, record.reason, record.total_time)).collect();
        let expected = [(result, CallEndReason::Hangup, total_time), (result, CallEndReason::Reject, 0)];
        assert_eq!(found, expected, "{}", person.user);
        assert!(all.iter().all(|record| record.inviter == user("alice") && record.invite_list == users(&["bob"])));
    }
    drop(house);
    Ok(())
}
