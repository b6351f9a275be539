//! What people do and notice in many tests.

use crate::PATIENCE;
use crate::person::{Person, name_of};
use anyhow::{Context as _, Result, bail};
use engine::api::{Answer, Intent};
use protocol::{CallId, CallMediaType, CallRecord, Event, RecordFilter, UserId};
use std::time::Duration;

/// A user id.
#[must_use]
pub fn user(name: &str) -> UserId {
    UserId::new(name).expect("a short word")
}

/// User ids.
#[must_use]
pub fn users(names: &[&str]) -> Vec<UserId> {
    names.iter().map(|name| user(name)).collect()
}

/// Places a call.
pub async fn call(caller: &Person, callees: &[&str], media: CallMediaType) -> Result<CallId> {
    let (callees, user_data) = (users(callees), "hello".to_owned());
    let answer = caller.ask(Intent::Call { callees, media, user_data, timeout: None, room: None }).await?;
    let Answer::Call(call) = answer else { bail!("{answer:?}") };
    Ok(call)
}

/// Ringing more people.
#[must_use]
pub fn invite(names: &[&str], add_person: bool) -> Intent {
    Intent::InviteUser { users: users(names), user_data: String::new(), timeout: None, add_person }
}

/// Is rung and answers.
pub async fn answer(person: &mut Person, camera: bool) -> Result<()> {
    person.wait("onCallReceived").await?;
    person.ask(Intent::Accept { camera }).await?;
    person.wait("onCallBegin").await?;
    Ok(())
}

/// A call for two that has begun at both.
pub async fn talk(caller: &mut Person, callee: &mut Person, media: CallMediaType) -> Result<CallId> {
    let call = call(caller, &[callee.user.as_str()], media).await?;
    answer(callee, media == CallMediaType::Video).await?;
    caller.wait("onCallBegin").await?;
    Ok(call)
}

/// Hears somebody's voice from now on.
pub async fn hears(person: &mut Person, who: &str) -> Result<()> {
    let who = user(who);
    person.wait_for_volumes(|volumes| volumes.get(&who).is_some_and(|volume| *volume > 10)).await
}

/// A second of somebody's voice arrives from now on: what is still loud from before does not count.
pub async fn keeps_hearing(person: &Person, who: &str) -> Result<()> {
    let packets = async || {
        let report = person.engine.report().await;
        report.remotes.get(&user(who)).map_or(0, |remote| remote.audio_packets)
    };
    let before = packets().await;
    let coming = async {
        while packets().await < before + 50 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let came = tokio::time::timeout(PATIENCE, coming).await;
    came.with_context(|| format!("{}: no voice of {who} any more", person.user))
}

/// Has seen a picture of somebody, sooner or later.
pub async fn sees(person: &mut Person, who: &str) -> Result<()> {
    let first = |event: &Event| matches!(event, Event::OnFirstVideoFrame { user_id, .. } if user_id.as_str() == who);
    person.has("a picture", first).await
}

/// Waits for an event about somebody.
pub async fn about(person: &mut Person, name: &str, who: &str) -> Result<()> {
    let wanted =
        |event: &Event| name_of(event) == name && serde_json::to_value(event).is_ok_and(|json| json["userId"] == who);
    person.wait_for(&format!("{name} {who}"), wanted).await?;
    Ok(())
}

/// Reads one's records.
pub async fn records(person: &Person) -> Result<Vec<CallRecord>> {
    let answer = person.ask(Intent::QueryRecentCalls(RecordFilter::default())).await?;
    let Answer::Records { records, .. } = answer else { bail!("{answer:?}") };
    Ok(records)
}

/// Everything that the server has said so far has been reported: its answer to a question comes behind it. Whoever is
/// not signed in any more has nothing to wait for.
pub async fn settle<'a>(people: impl IntoIterator<Item = &'a mut Person>) {
    for person in people {
        let _ = person.ask(Intent::QueryRecentCalls(RecordFilter::default())).await;
        person.listen();
    }
}
