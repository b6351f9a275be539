//! Signing in elsewhere, several devices of one user, and tickets that expire, between real engines through the real server.
#![allow(clippy::wildcard_enum_match_arm, reason = "a test looks at the events it is about")]

use anyhow::{Context as _, Result, ensure};
use engine::api::{Intent, Secret, Session, Stage};
use protocol::{CallEndReason, CallMediaType, Event};
use std::time::{Duration, SystemTime};
use tests_calls::steps::{about, answer, call, hears, invite, talk, user};
use tests_calls::{House, Person};

const HOUR: Duration = Duration::from_secs(3600);

async fn at(house: &House, name: &str, device: &str) -> Result<Person> {
    Person::on_device(house, name, device, house.ticket_for(name, HOUR)?).await
}

/// Bob's desk and phone, both signed in.
async fn two_devices(house: &House) -> Result<(Person, Person)> {
    let desk = at(house, "bob", "desk").await?;
    desk.ask(Intent::EnableMultiDevice(true)).await?;
    let phone = at(house, "bob", "phone").await?;
    phone.see("the ability", |snapshot| snapshot.book.multi_device).await?;
    Ok((desk, phone))
}

/// The other device is told within a second, and why.
fn check_silenced(desk: &Person, phone: &Person, by: &str, reason: CallEndReason) -> Result<()> {
    let told = desk.history.iter().rev().find(|event| matches!(event, Event::OnCallCancelled { .. }));
    let Some(Event::OnCallCancelled { caller_id, reason: why, user_id, inviter_id, .. }) = told else {
        anyhow::bail!("not cancelled: {:?}", desk.names())
    };
    ensure!((*why, caller_id, user_id) == (reason, &user("bob"), &user("bob")), "{told:?}");
    ensure!(*inviter_id == user("alice"), "{told:?}");
    // Either may have been reported first.
    let (silenced, answered) = (desk.time_of("onCallCancelled")?, phone.time_of(by)?);
    let apart = silenced.duration_since(answered).unwrap_or_default();
    ensure!(apart < Duration::from_secs(1), "silent only {apart:?} later");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn answering_on_one_device_silences_the_other_with_reason_7() -> Result<()> {
    let house = House::open().await?;
    let mut alice = Person::plain(&house, "alice").await?;
    let (mut desk, mut phone) = two_devices(&house).await?;
    call(&alice, &["bob"], CallMediaType::Voice).await?;
    desk.wait("onCallReceived").await?;
    answer(&mut phone, false).await?;
    desk.wait("onCallCancelled").await?;
    check_silenced(&desk, &phone, "onCallBegin", CallEndReason::OtherDeviceAccepted)?;
    alice.wait("onCallBegin").await?;
    hears(&mut alice, "bob").await?;
    desk.see("no open microphone", |snapshot| !snapshot.devices.microphone_on).await?;
    // The desk is in no call, and its user is in one.
    let callees = vec![user("alice")];
    let place =
        Intent::Call { callees, media: CallMediaType::Voice, user_data: String::new(), timeout: None, room: None };
    assert_eq!(desk.ask(place).await.err().map(|refusal| refusal.code), Some(-1203));
    phone.ask(Intent::Hangup).await?;
    alice.wait("onCallEnd").await?;
    desk.listen();
    assert!(!desk.names().contains(&"onCallEnd".to_owned()), "{:?}", desk.names());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn declining_on_one_device_silences_the_other_with_reason_8() -> Result<()> {
    let house = House::open().await?;
    let mut alice = Person::plain(&house, "alice").await?;
    let (mut desk, mut phone) = two_devices(&house).await?;
    call(&alice, &["bob"], CallMediaType::Voice).await?;
    desk.wait("onCallReceived").await?;
    phone.wait("onCallReceived").await?;
    phone.ask(Intent::Reject).await?;
    let here = phone.wait("onCallCancelled").await?;
    assert!(matches!(here, Event::OnCallCancelled { reason: CallEndReason::Reject, .. }), "{here:?}");
    desk.wait("onCallCancelled").await?;
    check_silenced(&desk, &phone, "onCallCancelled", CallEndReason::OtherDeviceReject)?;
    about(&mut alice, "onUserReject", "bob").await?;
    alice.wait("onCallCancelled").await?;
    for person in [&alice, &desk, &phone] {
        person.see("an end", |snapshot| matches!(snapshot.stage, Stage::Ended(_))).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_signs_out_leaves_nothing_on_the_screen() -> Result<()> {
    let house = House::open().await?;
    let mut alice = Person::plain(&house, "alice").await?;
    let mut bob = Person::plain(&house, "bob").await?;
    talk(&mut alice, &mut bob, CallMediaType::Voice).await?;
    bob.ask(Intent::Hangup).await?;
    alice.see("an end", |snapshot| matches!(snapshot.stage, Stage::Ended(_))).await?;
    alice.ask(Intent::SignOut).await?;
    alice.see("a clear screen", |snapshot| snapshot.stage == Stage::Idle).await?;
    // A call that is ended by signing out is over, too.
    let ticket = Secret(house.ticket(&alice.user));
    alice.ask(Intent::SignIn { server: house.url(), user: alice.user.clone(), ticket }).await?;
    talk(&mut alice, &mut bob, CallMediaType::Voice).await?;
    alice.ask(Intent::SignOut).await?;
    alice.see("a clear screen again", |snapshot| snapshot.stage == Stage::Idle).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_later_sign_in_takes_over_and_the_earlier_leaves_its_call() -> Result<()> {
    let house = House::open().await?;
    let mut alice = Person::plain(&house, "alice").await?;
    let mut desk = at(&house, "bob", "desk").await?;
    talk(&mut alice, &mut desk, CallMediaType::Voice).await?;
    hears(&mut alice, "bob").await?;
    let mut phone = at(&house, "bob", "phone").await?;
    desk.wait_for("being kicked", |event| *event == Event::OnKickedOffline).await?;
    let left = |event: &Event| matches!(event, Event::OnCallEnd { .. });
    desk.has("the end of its call", left).await?;
    desk.see("a clear screen", |snapshot| matches!(snapshot.session, Session::KickedOffline { .. })).await?;
    desk.see("closed devices", |snapshot| !snapshot.devices.microphone_on).await?;
    about(&mut alice, "onUserLeave", "bob").await?;
    let end = alice.wait("onCallEnd").await?;
    let by_bob = |event: &Event| matches!(event, Event::OnCallEnd { reason: CallEndReason::Hangup, user_id, .. } if user_id.as_str() == "bob");
    assert!(by_bob(&end), "{end:?}");
    // The later one is the one that is called.
    talk(&mut alice, &mut phone, CallMediaType::Voice).await?;
    desk.listen();
    assert!(desk.names().iter().filter(|name| *name == "onCallReceived").count() == 1, "{:?}", desk.names());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_expires_in_a_call_and_a_new_one_is_handed_in() -> Result<()> {
    let house = House::open().await?;
    let mut alice = Person::plain(&house, "alice").await?;
    let _carol = Person::plain(&house, "carol").await?;
    let lifetime = Duration::from_secs(5);
    let minted = SystemTime::now();
    let short = house.ticket_for("bob", lifetime)?;
    let mut bob = Person::on_device(&house, "bob", "desk", short).await?;
    talk(&mut alice, &mut bob, CallMediaType::Voice).await?;
    bob.wait("onUserSigExpired").await?;
    // A ticket's times are whole seconds.
    let after = bob.time_of("onUserSigExpired")?.duration_since(minted)?;
    let on_time = lifetime - Duration::from_secs(1)..lifetime + Duration::from_secs(2);
    assert!(on_time.contains(&after), "expired after {after:?}");

    let refused = bob.ask(invite(&["carol"], true)).await.err().context("refused")?;
    assert_eq!(refused.code, -70001);
    let bad = bob.ask(Intent::RenewTicket(Secret("damaged".to_owned()))).await.err().context("refused")?;
    assert_eq!(bad.code, -70003);
    let foreign = Secret(house.ticket_for("alice", HOUR)?);
    let bad = bob.ask(Intent::RenewTicket(foreign)).await.err().context("refused")?;
    assert_eq!(bad.code, -70013);
    bob.ask(Intent::RenewTicket(Secret(house.ticket_for("bob", HOUR)?))).await?;
    bob.see("online", |snapshot| matches!(snapshot.session, Session::Online { .. })).await?;
    bob.ask(invite(&["carol"], true)).await?;
    about(&mut alice, "onUserInviting", "carol").await?;
    hears(&mut bob, "alice").await?;
    hears(&mut alice, "bob").await?;
    bob.ask(Intent::Hangup).await?;
    bob.wait("onCallEnd").await?;
    assert_eq!(bob.names().iter().filter(|name| *name == "onUserSigExpired").count(), 1, "{:?}", bob.names());
    Ok(())
}
