//! Records of calls: each participant reads their own role and result, and deletes for themselves alone.
#![allow(clippy::wildcard_enum_match_arm, reason = "a test looks at the events it is about")]

use anyhow::{Result, bail, ensure};
use engine::api::{Answer, Intent};
use protocol::{
    CallEndReason, CallId, CallMediaType, CallRecord, CallRole, CallScene, Event, RecordFilter, RecordResult,
};
use std::time::Duration;
use tests_calls::steps::{about, answer, call, hears, records, talk, user, users};
use tests_calls::{House, Person};

/// What stands in a record, without its times.
fn of(record: &CallRecord) -> (CallRole, RecordResult, CallEndReason, CallScene, CallMediaType) {
    (record.role, record.result, record.reason, record.scene, record.media_type)
}

async fn record_of(person: &Person, call: &CallId) -> Result<CallRecord> {
    let all = records(person).await?;
    match all.into_iter().find(|record| record.call_id == *call) {
        Some(record) => Ok(record),
        None => bail!("{} has no record of {call:?}", person.user),
    }
}

async fn filtered(person: &Person, result_type: RecordResult) -> Result<Vec<CallId>> {
    let filter = RecordFilter { result_type: Some(result_type), ..RecordFilter::default() };
    match person.ask(Intent::QueryRecentCalls(filter)).await? {
        Answer::Records { records, .. } => Ok(records.into_iter().map(|record| record.call_id).collect()),
        other => bail!("{other:?}"),
    }
}

fn seconds(event: &Event) -> Result<u64> {
    match event {
        Event::OnCallEnd { total_time, .. } => Ok(*total_time),
        other => bail!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_participant_reads_their_own_role_and_result_and_deletes_for_themselves_alone() -> Result<()> {
    use CallRole::{Called, Caller};
    use CallScene::SingleCall;
    use RecordResult::{Incoming, Missed, Outgoing};
    let voice = CallMediaType::Voice;
    let house = House::open().await?;
    let mut alice = Person::plain(&house, "alice").await?;
    let mut bob = Person::plain(&house, "bob").await?;
    let mut expected = Vec::new();

    // Answered, and talked for a while.
    let answered = talk(&mut alice, &mut bob, CallMediaType::Video).await?;
    hears(&mut alice, "bob").await?;
    tokio::time::sleep(Duration::from_millis(1500)).await;
    bob.ask(Intent::Hangup).await?;
    let lasted = seconds(&bob.wait("onCallEnd").await?)?;
    ensure!(lasted >= 1, "{lasted} s");
    alice.wait("onCallEnd").await?;
    for person in [&alice, &bob] {
        assert_eq!(record_of(person, &answered).await?.total_time, lasted, "{}", person.user);
    }
    expected.push((answered, (Outgoing, Incoming), CallEndReason::Hangup, CallMediaType::Video));

    // Declined, taken back, not answered, ignored.
    let declined = call(&alice, &["bob"], voice).await?;
    bob.wait("onCallReceived").await?;
    bob.ask(Intent::Reject).await?;
    alice.wait("onCallCancelled").await?;
    expected.push((declined, (Outgoing, Incoming), CallEndReason::Reject, voice));
    let taken_back = call(&alice, &["bob"], voice).await?;
    bob.wait("onCallReceived").await?;
    alice.ask(Intent::Hangup).await?;
    about(&mut bob, "onCallCancelled", "alice").await?;
    expected.push((taken_back, (Outgoing, Missed), CallEndReason::Canceled, voice));
    let Answer::Call(silent) = alice.call_for("bob", voice, Some(Duration::from_secs(1))).await? else {
        bail!("no id")
    };
    bob.wait("onCallReceived").await?;
    about(&mut alice, "onUserNoResponse", "bob").await?;
    alice.wait("onCallCancelled").await?;
    expected.push((silent, (Outgoing, Missed), CallEndReason::NoResponse, voice));
    let ignored = call(&alice, &["bob"], voice).await?;
    bob.wait("onCallReceived").await?;
    bob.ask(Intent::Ignore).await?;
    about(&mut alice, "onUserLineBusy", "bob").await?;
    alice.wait("onCallCancelled").await?;
    expected.push((ignored, (Outgoing, Missed), CallEndReason::LineBusy, voice));

    for (call, (outgoing, incoming), reason, media) in &expected {
        assert_eq!(of(&record_of(&alice, call).await?), (Caller, *outgoing, *reason, SingleCall, *media));
        let of_bob = record_of(&bob, call).await?;
        assert_eq!(of(&of_bob), (Called, *incoming, *reason, SingleCall, *media));
        assert_eq!((&of_bob.inviter, of_bob.invite_list.as_slice()), (&user("alice"), users(&["bob"]).as_slice()));
    }
    let newest_first: Vec<_> = expected.iter().rev().map(|(call, ..)| call.clone()).collect();
    let order = records(&bob).await?.into_iter().map(|record| record.call_id).collect::<Vec<_>>();
    assert_eq!(order, newest_first);
    assert_eq!(filtered(&bob, Missed).await?, newest_first[..3]);
    assert_eq!(filtered(&bob, Incoming).await?, newest_first[3..]);
    assert_eq!(filtered(&alice, Outgoing).await?, newest_first);

    // The window's list follows by itself.
    bob.see("five records", |snapshot| snapshot.book.recent.len() == 5).await?;
    bob.ask(Intent::DeleteRecordCalls(newest_first[..3].to_vec())).await?;
    bob.see("two records", |snapshot| snapshot.book.recent.len() == 2).await?;
    assert_eq!(records(&bob).await?.len(), 2);
    assert_eq!(records(&alice).await?.len(), 5, "hers are hers");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_group_call_each_has_the_time_that_they_were_in() -> Result<()> {
    let house = House::open().await?;
    let mut alice = Person::plain(&house, "alice").await?;
    let mut bob = Person::plain(&house, "bob").await?;
    let mut carol = Person::plain(&house, "carol").await?;
    let mut dave = Person::plain(&house, "dave").await?;
    let talked = call(&alice, &["bob", "carol", "dave"], CallMediaType::Voice).await?;
    answer(&mut bob, false).await?;
    dave.wait("onCallReceived").await?;
    dave.ask(Intent::Reject).await?;
    about(&mut bob, "onUserReject", "dave").await?;
    answer(&mut carol, false).await?;
    hears(&mut carol, "bob").await?;
    bob.ask(Intent::Hangup).await?;
    let of_bob = seconds(&bob.wait("onCallEnd").await?)?;
    // It is over for them, and runs for others: both have their records now.
    let early = record_of(&bob, &talked).await?;
    assert_eq!((early.total_time, early.reason, early.result), (of_bob, CallEndReason::Hangup, RecordResult::Incoming));
    assert_eq!(record_of(&dave, &talked).await?.reason, CallEndReason::Reject);
    assert!(records(&carol).await?.is_empty(), "still in");
    tokio::time::sleep(Duration::from_millis(1500)).await;
    carol.ask(Intent::Hangup).await?;
    let of_carol = seconds(&carol.wait("onCallEnd").await?)?;
    let of_alice = seconds(&alice.wait("onCallEnd").await?)?;
    for (person, lasted) in [(&alice, of_alice), (&bob, of_bob), (&carol, of_carol), (&dave, 0)] {
        let record = record_of(person, &talked).await?;
        assert_eq!(record.total_time, lasted, "{}", person.user);
        assert_eq!((record.scene, record.inviter), (CallScene::MultiCall, user("alice")));
        assert_eq!(record.invite_list, users(&["bob", "carol", "dave"]));
    }
    ensure!(of_alice > of_bob, "{of_alice} s, {of_bob} s");
    Ok(())
}
