//! Group calls between real engines through the real server, with voices and pictures.
#![allow(clippy::wildcard_enum_match_arm, reason = "a test looks at the events it is about")]

use anyhow::{Context as _, Result, ensure};
use engine::api::{Answer, Intent, Link, Live, Presence, Snapshot, Stage};
use protocol::{CallEndReason, CallMediaType, Event, Profile, UserId};
use std::time::Duration;
use tests_calls::steps::{about, answer, call, hears, invite, keeps_hearing, sees, talk, user, users};
use tests_calls::{House, PATIENCE, Person};

fn live(snapshot: &Snapshot) -> Option<&Live> {
    match &snapshot.stage {
        Stage::Live(live) => Some(live),
        _ => None,
    }
}

/// Waits until the length of the call in seconds is more than its rounding.
async fn last_a_while() {
    tokio::time::sleep(Duration::from_millis(2500)).await;
}

/// The end of a call: why, by whom, and its length as it was from the begin to the end that this person saw.
fn check_end(person: &Person, reason: CallEndReason, by: &str) -> Result<()> {
    let end = person.history.iter().rev().find(|event| matches!(event, Event::OnCallEnd { .. }));
    let Some(Event::OnCallEnd { reason: why, user_id, total_time, .. }) = end else {
        anyhow::bail!("{}: no end in {:?}", person.user, person.names())
    };
    ensure!((*why, user_id.as_str()) == (reason, by), "{}: {end:?}", person.user);
    let lasted = person.time_of("onCallEnd")?.duration_since(person.time_of("onCallBegin")?)?.as_secs_f64();
    let told = *total_time as f64;
    // Whole seconds, cut off; each of both reports may have come later than the other.
    ensure!((lasted - 2.0..=lasted + 1.0).contains(&told), "{}: {told} s said, {lasted} s seen", person.user);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_timer_goes_on_when_the_only_other_one_leaves_while_a_third_is_rung() -> Result<()> {
    let house = House::open().await?;
    let mut alice = Person::plain(&house, "alice").await?;
    let mut bob = Person::plain(&house, "bob").await?;
    let _carol = Person::plain(&house, "carol").await?;
    call(&alice, &["bob", "carol"], CallMediaType::Voice).await?;
    answer(&mut bob, false).await?;
    hears(&mut alice, "bob").await?;
    bob.ask(Intent::Hangup).await?;
    about(&mut alice, "onUserLeave", "bob").await?;
    let with_carol_alone = |live: &Live| live.people.iter().all(|person| person.user != user("bob"));
    alice
        .see("carol rung in a call that runs", |snapshot| {
            live(snapshot).is_some_and(|live| with_carol_alone(live) && live.link == Link::Up)
        })
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn three_hear_and_see_each_other_and_the_call_outlives_its_inviter() -> Result<()> {
    let house = House::open().await?;
    let mut alice = Person::simple(&house, "alice").await?;
    let mut bob = Person::simple(&house, "bob").await?;
    let mut carol = Person::simple(&house, "carol").await?;
    call(&alice, &["bob", "carol"], CallMediaType::Video).await?;
    answer(&mut bob, true).await?;
    alice.wait("onCallBegin").await?;
    let rings = |live: &Live| {
        let ringing = |person: &engine::api::Person| matches!(person.presence, Presence::Ringing { until: Some(_) });
        live.group && live.people.iter().any(|person| person.user == user("carol") && ringing(person))
    };
    alice.see("carol's tile, ringing", |snapshot| live(snapshot).is_some_and(rings)).await?;
    answer(&mut carol, true).await?;
    about(&mut alice, "onUserJoin", "carol").await?;
    about(&mut bob, "onUserJoin", "carol").await?;

    let all = ["alice", "bob", "carol"];
    for person in [&mut alice, &mut bob, &mut carol] {
        let me = person.user.as_str().to_owned();
        for other in all.into_iter().filter(|other| *other != me) {
            hears(person, other).await.with_context(|| format!("{me} does not hear {other}"))?;
            sees(person, other).await?;
        }
        let shown = |live: &Live| live.people.iter().filter(|person| !person.local && person.picture.is_some()).count();
        person.see("two pictures", |snapshot| live(snapshot).map(shown) == Some(2)).await?;
    }
    last_a_while().await;

    alice.ask(Intent::Hangup).await?;
    alice.wait("onCallEnd").await?;
    check_end(&alice, CallEndReason::Hangup, "alice")?;
    alice.see("closed devices", |snapshot| !snapshot.devices.camera_on && !snapshot.devices.microphone_on).await?;
    about(&mut bob, "onUserLeave", "alice").await?;
    about(&mut carol, "onUserLeave", "alice").await?;
    // The others go on, with voice and picture.
    let before = carol.engine.report().await;
    let came = |report: &engine::Report, who: &str| report.remotes.get(&user(who)).map_or(0, |r| r.video_frames);
    tokio::time::timeout(PATIENCE, async {
        while came(&carol.engine.report().await, "bob") < came(&before, "bob") + 10 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await
    .context("no picture of bob after alice had left")?;
    keeps_hearing(&carol, "bob").await?;
    keeps_hearing(&bob, "carol").await?;

    bob.ask(Intent::Hangup).await?;
    bob.wait("onCallEnd").await?;
    about(&mut carol, "onUserLeave", "bob").await?;
    carol.wait("onCallEnd").await?;
    check_end(&bob, CallEndReason::Hangup, "bob")?;
    check_end(&carol, CallEndReason::Hangup, "bob")?;
    for person in [&bob, &carol] {
        person.see("closed devices", |snapshot| !snapshot.devices.camera_on && !snapshot.devices.microphone_on).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fourth_is_invited_and_one_comes_back_by_the_card() -> Result<()> {
    let house = House::open().await?;
    let mut alice = Person::plain(&house, "alice").await?;
    let mut bob = Person::plain(&house, "bob").await?;
    let mut carol = Person::plain(&house, "carol").await?;
    let mut dave = Person::plain(&house, "dave").await?;
    let nickname = Profile { nickname: "Ann".to_owned(), avatar: String::new() };
    alice.ask(Intent::SetSelfInfo(nickname)).await?;

    call(&alice, &["bob", "carol"], CallMediaType::Voice).await?;
    answer(&mut bob, false).await?;
    alice.wait("onCallBegin").await?;
    answer(&mut carol, false).await?;
    about(&mut alice, "onUserJoin", "carol").await?;
    hears(&mut carol, "bob").await?;
    hears(&mut bob, "alice").await?;

    bob.ask(invite(&["dave"], false)).await?;
    about(&mut carol, "onUserInviting", "dave").await?;
    let rung = dave.wait("onCallReceived").await?;
    let Event::OnCallReceived { caller_id, callee_id_list, .. } = &rung else { unreachable!() };
    assert_eq!(caller_id, &user("bob"), "{rung:?}");
    let mut told: Vec<&UserId> = callee_id_list.iter().collect();
    told.sort();
    assert_eq!(told, users(&["alice", "carol", "dave"]).iter().collect::<Vec<_>>(), "{rung:?}");
    dave.ask(Intent::Accept { camera: false }).await?;
    dave.wait("onCallBegin").await?;
    about(&mut alice, "onUserJoin", "dave").await?;
    hears(&mut dave, "carol").await?;
    let name = |snapshot: &Snapshot| snapshot.book.profiles.values().any(|profile| profile.nickname == "Ann");
    dave.see("alice's name", name).await?;

    carol.ask(Intent::Hangup).await?;
    carol.wait("onCallEnd").await?;
    about(&mut alice, "onUserLeave", "carol").await?;
    carol.see("the card", |snapshot| snapshot.book.cards.iter().any(|card| card.members.len() == 3)).await?;
    carol.ask(Intent::JoinCall { call: None, camera: false }).await?;
    carol.wait("onCallBegin").await?;
    about(&mut dave, "onUserJoin", "carol").await?;
    hears(&mut carol, "dave").await?;
    hears(&mut dave, "carol").await?;

    for person in [&mut alice, &mut carol] {
        person.ask(Intent::Hangup).await?;
        person.wait("onCallEnd").await?;
    }
    bob.ask(Intent::Hangup).await?;
    dave.wait("onCallEnd").await?;
    check_end(&dave, CallEndReason::Hangup, "bob")?;
    carol.see("no card", |snapshot| snapshot.book.cards.is_empty()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_third_is_added_to_a_call_for_two_and_the_server_ends_it() -> Result<()> {
    let house = House::open().await?;
    let mut alice = Person::plain(&house, "alice").await?;
    let mut bob = Person::plain(&house, "bob").await?;
    let mut carol = Person::plain(&house, "carol").await?;
    let call = talk(&mut alice, &mut bob, CallMediaType::Voice).await?;
    let alone = |live: &Live| !live.group;
    alice.see("a call for two", |snapshot| live(snapshot).is_some_and(alone)).await?;
    let refused = alice.ask(invite(&["carol"], false)).await.err().context("refused")?;
    assert_eq!(refused.code, -1205);
    alice.ask(invite(&["carol"], true)).await?;
    about(&mut alice, "onUserInviting", "carol").await?;
    about(&mut bob, "onUserInviting", "carol").await?;
    for person in [&alice, &bob] {
        person.see("a group call", |snapshot| live(snapshot).is_some_and(|live| live.group)).await?;
    }
    answer(&mut carol, false).await?;
    about(&mut bob, "onUserJoin", "carol").await?;
    hears(&mut bob, "carol").await?;
    hears(&mut carol, "alice").await?;
    last_a_while().await;

    assert!(house.end_call(call).await);
    for person in [&mut alice, &mut bob, &mut carol] {
        person.wait("onCallEnd").await?;
        check_end(person, CallEndReason::EndByServer, person.user.as_str())?;
        person.see("a closed microphone", |snapshot| !snapshot.devices.microphone_on).await?;
    }
    Ok(())
}

/// What a wish is refused with changes nothing.
#[tokio::test(flavor = "multi_thread")]
async fn wishes_that_do_not_fit_the_state_are_refused_with_their_codes() -> Result<()> {
    let house = House::open().await?;
    let mut alice = Person::plain(&house, "alice").await?;
    let mut bob = Person::plain(&house, "bob").await?;
    let code = |answer: Result<Answer, engine::api::Refusal>| answer.err().map(|refusal| refusal.code);
    let place = |names: &[&str]| Intent::Call {
        callees: users(names),
        media: CallMediaType::Voice,
        user_data: String::new(),
        timeout: None,
        room: None,
    };
    let accept = Intent::Accept { camera: false };
    for wish in [accept.clone(), Intent::Reject, Intent::Ignore, Intent::Hangup, invite(&["bob"], true)] {
        assert_eq!(code(alice.ask(wish.clone()).await), Some(-1203), "{wish:?}");
    }
    assert_eq!(code(alice.ask(Intent::JoinCall { call: None, camera: false }).await), Some(-1203));
    let nine = ["b1", "b2", "b3", "b4", "b5", "b6", "b7", "b8", "b9"];
    for wrong in [&[][..], &["alice"], &["bob", "bob"], &nine, &["nobody"]] {
        let refused = alice.ask(place(wrong)).await.err().with_context(|| format!("{wrong:?}"))?;
        assert_eq!(refused.code, -1202, "{wrong:?}");
        ensure!(wrong != ["nobody"] || refused.message.contains("nobody"), "{refused}");
    }
    alice.see("a closed microphone", |snapshot| !snapshot.devices.microphone_on).await?;
    talk(&mut alice, &mut bob, CallMediaType::Voice).await?;
    assert_eq!(code(alice.ask(place(&["bob"])).await), Some(-1203));
    assert_eq!(code(alice.ask(accept).await), Some(-1203));
    assert_eq!(code(alice.ask(Intent::SwitchCallMediaType(CallMediaType::Video)).await), Some(-1205));
    hears(&mut alice, "bob").await
}
