//! The device's session alone: what it makes of a server that misbehaves or stays away.
#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm, reason = "a test that is surprised fails")]

use call::CallSession;
use call::session::{CallState, Deadline, Identity, Link, Output};
use protocol::message::{PlaceCall, Reply, Welcome};
use protocol::vocabulary::{Older, OlderEvent};
use protocol::{
    CallEndReason, CallId, CallMediaType, CallRole, ClientMessage, Code, DeviceId, Event, Profile, Push, Refusal,
    Request, RoomId, ServerMessage, UnixMillis, UserId,
};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

fn user(name: &str) -> UserId {
    UserId::new(name).unwrap()
}

fn call() -> CallId {
    CallId::new("c1").unwrap()
}

// Any instant will do as the zero of virtual time.
#[allow(clippy::disallowed_methods)]
fn zero() -> Instant {
    Instant::now()
}

fn drain(session: &mut CallSession) -> Vec<Output> {
    std::iter::from_fn(|| session.poll_output()).collect()
}

fn fresh() -> CallSession {
    let device = DeviceId::new("desk").unwrap();
    let identity = Identity { user: user("bob"), device, client: "test".to_owned(), sdk_app_id: None };
    CallSession::new(identity, "ticket")
}

fn welcome(resumed: bool) -> ServerMessage {
    let session = "s".to_owned();
    ServerMessage::Welcome(Welcome {
        version: 1,
        session,
        resumed,
        heartbeat_ms: 10_000,
        now: UnixMillis(1_000_000),
        profile: Profile::default(),
        multi_device: false,
    })
}

fn online(now: Instant) -> CallSession {
    let mut session = fresh();
    session.handle_connected(now);
    session.handle_message(welcome(false), now);
    drain(&mut session);
    assert_eq!(session.link(), &Link::Online);
    session
}

fn event(seq: u64, push: Push) -> ServerMessage {
    ServerMessage::Event { seq, push }
}

fn invited() -> Push {
    Push::Invited {
        call_id: call(),
        caller_id: user("alice"),
        callee_id_list: vec![user("bob")],
        group_id: String::new(),
        call_media_type: CallMediaType::Video,
        user_data: String::new(),
        room_id: RoomId::number(7).unwrap(),
        ring_until: UnixMillis(1_030_000),
        is_group: false,
        profiles: BTreeMap::new(),
    }
}

fn begun() -> Push {
    Push::Begun {
        call_id: call(),
        room_id: RoomId::number(7).unwrap(),
        call_media_type: CallMediaType::Video,
        call_role: CallRole::Called,
        began_at: UnixMillis(1_005_000),
        members: vec![user("alice")],
        ringing: vec![],
        ringing_until: BTreeMap::new(),
        is_group: false,
        inviter_id: None,
        profiles: BTreeMap::new(),
        access: None,
    }
}

/// What a call of these people asks for.
fn voice_call(callees: &[&str]) -> PlaceCall {
    PlaceCall {
        callee_id_list: callees.iter().map(|name| user(name)).collect(),
        call_media_type: CallMediaType::Voice,
        user_data: String::new(),
        timeout: None,
        room_id: None,
        group_id: String::new(),
    }
}

#[test]
fn an_event_seen_before_is_acknowledged_and_not_told_again() {
    let now = zero();
    let mut session = online(now);
    session.handle_message(event(1, invited()), now);
    assert!(drain(&mut session).iter().any(|output| matches!(output, Output::Event(Event::OnCallReceived { .. }))));
    session.handle_message(event(1, invited()), now);
    assert_eq!(drain(&mut session), [Output::Send(ClientMessage::Ack { seq: 1 })]);
}

#[test]
fn a_gap_closes_the_connection_and_the_resume_names_what_has_arrived() {
    let now = zero();
    let mut session = online(now);
    session.handle_message(event(1, invited()), now);
    session.handle_message(event(3, begun()), now);
    assert_eq!(session.link(), &Link::Down);
    drain(&mut session);
    session.handle_connected(now);
    let Output::Send(ClientMessage::Hello(hello)) = &drain(&mut session)[0] else { panic!() };
    assert_eq!(hello.resume.as_ref().unwrap().last_seq, 1);
}

#[test]
fn an_event_of_a_newer_server_is_acknowledged_and_skipped() {
    let now = zero();
    let mut session = online(now);
    session.handle_message(event(1, Push::Unknown), now);
    assert_eq!(drain(&mut session), [Output::Send(ClientMessage::Ack { seq: 1 })]);
}

#[test]
fn a_silent_server_is_given_up_after_two_and_a_half_heartbeats() {
    let now = zero();
    let mut session = online(now);
    let (at, why) = session.poll_timeout().unwrap();
    assert_eq!((at - now, why), (Duration::from_secs(25), Deadline::Heartbeat));
    session.handle_message(ServerMessage::Ping {}, now + Duration::from_secs(10));
    assert_eq!(session.poll_timeout().unwrap().0 - now, Duration::from_secs(35));
    session.handle_timeout(now + Duration::from_secs(35));
    assert_eq!(session.link(), &Link::Down);
    assert!(drain(&mut session).contains(&Output::Close));
    assert_eq!(session.poll_timeout(), None);
}

#[test]
fn a_ring_ends_here_when_the_server_stays_away() {
    let now = zero();
    let mut session = online(now);
    session.handle_message(event(1, invited()), now);
    session.handle_closed();
    drain(&mut session);
    let (at, why) = session.poll_timeout().unwrap();
    assert_eq!((at - now, why), (Duration::from_secs(35), Deadline::Call));
    session.handle_timeout(at);
    assert_eq!(session.call(), &CallState::Idle);
    let told = drain(&mut session);
    let cancelled = |output: &Output| {
        matches!(output, Output::Event(Event::OnCallCancelled { reason: CallEndReason::NoResponse, caller_id, .. })
            if *caller_id == user("bob"))
    };
    assert_eq!(told.iter().filter(|output| cancelled(output)).count(), 1, "{told:?}");
}

#[test]
fn an_answer_that_was_given_up_here_and_got_through_is_taken_back() {
    let now = zero();
    let mut session = online(now);
    let hangups = |sent: &[Output]| {
        let of_call = |output: &&Output| {
            matches!(output, Output::Send(ClientMessage::Request { request: Request::Hangup { call_id }, .. })
                if *call_id == call())
        };
        sent.iter().filter(of_call).count()
    };
    session.handle_message(event(1, invited()), now);
    session.accept().unwrap();
    session.handle_closed();
    let (at, _) = session.poll_timeout().unwrap();
    session.handle_timeout(at);
    assert_eq!(session.call(), &CallState::Idle);
    drain(&mut session);
    session.handle_connected(at);
    session.handle_message(welcome(true), at);
    assert_eq!(hangups(&drain(&mut session)), 1);
    session.handle_message(event(2, begun()), at);
    assert_eq!(hangups(&drain(&mut session)), 0, "once");
    // The first one was answered too soon: the call begins all the same.
    session.handle_message(ServerMessage::Error { id: Some(2), refusal: Code::WrongState.into() }, at);
    session.handle_message(event(3, begun()), at);
    assert_eq!(hangups(&drain(&mut session)), 1);
    assert_eq!(session.call(), &CallState::Idle);
}

#[test]
fn hanging_up_without_a_server_releases_the_room_at_once_and_ends_after_two_seconds() {
    let now = zero();
    let mut session = online(now);
    session.handle_message(event(1, invited()), now);
    session.accept().unwrap();
    session.handle_message(event(2, begun()), now + Duration::from_secs(5));
    session.handle_closed();
    drain(&mut session);
    let later = now + Duration::from_secs(65);
    session.hangup(later).unwrap();
    assert_eq!(drain(&mut session), [Output::LeaveRoom { call: call() }]);
    session.handle_timeout(later + Duration::from_secs(2));
    let told = drain(&mut session);
    assert!(
        matches!(&told[0], Output::Event(Event::OnCallEnd { total_time: 62, reason: CallEndReason::Hangup, .. })),
        "{told:?}"
    );
    assert!(matches!(&told[1], Output::Over(ended) if ended.with == [user("alice")] && ended.seconds == Some(62)));
    assert!(matches!(&told[2..], [Output::Done { result: Ok(_), .. }]), "nobody is kept waiting: {told:?}");
    // The server hears of it as soon as it can, and what it then says is no news.
    session.handle_connected(later);
    session.handle_message(welcome(true), later);
    let sent = drain(&mut session);
    let hangups = sent.iter().filter(|output| matches!(output, Output::Send(ClientMessage::Request { id: 2, .. })));
    assert_eq!(hangups.count(), 1, "{sent:?}");
}

#[test]
fn who_calls_learns_that_nobody_answered_also_when_the_server_stays_away() {
    let now = zero();
    let mut session = online(now);
    let wish = voice_call(&["alice"]);
    let id = session.place(wish, now).unwrap();
    let answer = Reply { call_id: Some(call()), room_id: Some(RoomId::number(7).unwrap()), ..Reply::default() };
    session.handle_message(ServerMessage::Reply { id, answer }, now);
    session.handle_closed();
    drain(&mut session);
    let (at, _) = session.poll_timeout().unwrap();
    session.handle_timeout(at);
    let told = drain(&mut session).into_iter().filter_map(|output| match output {
        Output::Event(event) => Some(event),
        _ => None,
    });
    let told: Vec<_> = told.collect();
    assert!(
        matches!(&told[..], [
            Event::OnUserNoResponse { user_id, .. },
            Event::OnCallCancelled { reason: CallEndReason::NoResponse, caller_id, user_id: by, .. },
        ] if (user_id.as_str(), caller_id.as_str(), by.as_str()) == ("alice", "bob", "alice")),
        "{told:?}"
    );
}

#[test]
fn a_hang_up_is_done_when_the_next_call_may_begin_and_not_before() {
    let now = zero();
    let mut session = online(now);
    session.handle_message(event(1, invited()), now);
    let id = session.reject(now).unwrap();
    drain(&mut session);
    // The server's answer and its word about the call come one after the other.
    session.handle_message(ServerMessage::Reply { id, answer: Reply::default() }, now);
    assert_eq!(drain(&mut session), []);
    let (call_id, inviter_id, reason) = (call(), user("alice"), CallEndReason::Reject);
    let over = Push::Cancelled { call_id, caller_id: user("bob"), reason, user_id: user("bob"), inviter_id };
    session.handle_message(event(2, over), now);
    let told = drain(&mut session);
    let order = told.iter().filter(|output| !matches!(output, Output::Send(_))).collect::<Vec<_>>();
    assert!(
        matches!(&order[..], [
            Output::Event(Event::OnCallCancelled { .. }),
            Output::Over(_),
            Output::Done { id: answered, result: Ok(_) },
        ] if *answered == id),
        "{told:?}"
    );
    assert_eq!(session.call(), &CallState::Idle);
}

#[test]
fn a_server_that_has_forgotten_us_ends_the_call_and_every_request() {
    let now = zero();
    let mut session = online(now);
    session.handle_message(event(1, invited()), now);
    let id = session.accept().unwrap();
    session.handle_closed();
    session.handle_connected(now);
    drain(&mut session);
    session.handle_message(welcome(false), now);
    let told = drain(&mut session);
    let refusal = Refusal::new(Code::SessionGone);
    assert_eq!(told[0], Output::Done { id, result: Err(refusal) });
    assert!(matches!(&told[1], Output::Event(Event::OnCallCancelled { reason: CallEndReason::Offline, .. })));
}

#[test]
fn a_room_is_not_entered_over_a_dead_link_but_entered_again() {
    let now = zero();
    let mut session = online(now);
    session.handle_closed();
    let room = RoomId::number(7).unwrap();
    let refused = session.enter_room(room.clone(), false, None).unwrap_err();
    assert_eq!(refused.known(), Some(Code::Signalling));
    // Whoever is in the room already waits for the link.
    session.enter_room(room, true, None).unwrap();
}

#[test]
fn a_call_taken_back_before_it_has_a_name_is_hung_up_when_it_gets_one() {
    let now = zero();
    let mut session = online(now);
    let wish = voice_call(&["alice"]);
    let id = session.place(wish, now).unwrap();
    assert_eq!(session.hangup(now).unwrap(), None);
    assert_eq!(session.call(), &CallState::Idle);
    drain(&mut session);
    let answer = Reply { call_id: Some(call()), room_id: Some(RoomId::number(7).unwrap()), ..Reply::default() };
    session.handle_message(ServerMessage::Reply { id, answer }, now);
    let sent = drain(&mut session);
    assert!(matches!(&sent[..], [Output::Send(ClientMessage::Request { .. })]), "{sent:?}");
    assert_eq!(session.call(), &CallState::Idle);
}

#[test]
fn a_call_given_up_while_the_server_was_away_is_not_placed_at_the_resume() {
    let now = zero();
    let mut session = online(now);
    let wish = voice_call(&["alice"]);
    let id = session.place(wish, now).unwrap();
    session.handle_closed();
    session.hangup(now).unwrap();
    drain(&mut session);
    session.handle_connected(now);
    session.handle_message(welcome(true), now);
    let sent = drain(&mut session);
    let placed =
        |output: &Output| matches!(output, Output::Send(ClientMessage::Request { request: Request::Call(_), .. }));
    assert!(!sent.iter().any(placed), "{sent:?}");
    let joined = session.join(call(), now).unwrap();
    session.handle_closed();
    session.hangup(now).unwrap();
    session.handle_connected(now);
    session.handle_message(welcome(true), now);
    let sent = drain(&mut session);
    let harmless = |output: &&Output| {
        matches!(output, Output::Send(ClientMessage::Request { id: at, request: Request::Hangup { call_id } })
            if (*at == id || *at == joined) && *call_id != call())
    };
    assert_eq!(sent.iter().filter(harmless).count(), 2, "{sent:?}");
    // Carried out before the connection was lost, it is hung up as soon as its answer comes.
    let answer = Reply { call_id: Some(call()), room_id: Some(RoomId::number(7).unwrap()), ..Reply::default() };
    session.handle_message(ServerMessage::Reply { id, answer }, now);
    let sent = drain(&mut session);
    assert!(
        matches!(&sent[..], [Output::Send(ClientMessage::Request { request: Request::Hangup { call_id }, .. })]
            if *call_id == call()),
        "{sent:?}"
    );
}

#[test]
fn the_older_page_names_the_inviter_of_the_call_in_which_somebody_did_not_answer() {
    let now = zero();
    let mut session = online(now);
    let page = Older::new(user("bob"));
    let mut sponsors = Vec::new();
    let mut note = |session: &mut CallSession| {
        for output in drain(session) {
            if let Output::Event(event) = output
                && let Some(OlderEvent::NoResp { sponsor, .. }) = page.tell(&event)
            {
                sponsors.push(sponsor);
            }
        }
    };
    let silent = |call_id| Push::UserNoResponse { call_id, user_id: user("carol") };
    session.handle_message(event(1, invited()), now);
    session.handle_message(event(2, silent(call())), now);
    let id = session.ignore(now).unwrap();
    session.handle_message(ServerMessage::Reply { id, answer: Reply::default() }, now);
    note(&mut session);
    // Of an ignored call no end is told; the next one is bob's own.
    let wish = voice_call(&["carol", "dave"]);
    let id = session.place(wish, now).unwrap();
    let own = CallId::new("c2").unwrap();
    let answer = Reply { call_id: Some(own.clone()), room_id: Some(RoomId::number(8).unwrap()), ..Reply::default() };
    session.handle_message(ServerMessage::Reply { id, answer }, now);
    session.handle_message(event(3, silent(own)), now);
    note(&mut session);
    assert_eq!(sponsors, [user("alice"), user("bob")]);
}

#[test]
fn a_refused_sign_in_says_why_and_a_new_ticket_cures_it() {
    let now = zero();
    let mut session = fresh();
    session.handle_connected(now);
    session.handle_message(ServerMessage::Error { id: None, refusal: Code::SigForged.into() }, now);
    assert_eq!(session.link(), &Link::Refused(Code::SigForged.into()));
    assert_eq!(session.accept().unwrap_err().known(), Some(Code::SigForged));
    assert!(drain(&mut session).contains(&Output::Close));
    session.renew_ticket("another").unwrap();
    assert_eq!(session.link(), &Link::Down);
    session.handle_connected(now);
    let Output::Send(ClientMessage::Hello(hello)) = &drain(&mut session)[0] else { panic!() };
    assert_eq!(hello.user_sig, "another");
}

#[test]
fn a_server_that_does_not_know_a_method_is_too_old_and_named_so() {
    let now = zero();
    let mut session = online(now);
    let id = session.recent_calls(protocol::RecordFilter::default()).unwrap();
    drain(&mut session);
    session.handle_message(ServerMessage::Error { id: Some(id), refusal: Code::UnknownCommand.into() }, now);
    let told = drain(&mut session);
    assert!(
        matches!(&told[..], [Output::Done { result: Err(refusal), .. }]
            if refusal.known() == Some(Code::ServerOutdated) && refusal.message.contains("upgrade the server")),
        "{told:?}"
    );
}

#[test]
fn a_server_that_picks_another_version_is_refused_and_the_side_to_upgrade_is_named() {
    for (version, code) in [(2, Code::ClientOutdated), (0, Code::ServerOutdated)] {
        let now = zero();
        let mut session = fresh();
        session.handle_connected(now);
        let ServerMessage::Welcome(ours) = welcome(false) else { panic!() };
        session.handle_message(ServerMessage::Welcome(Welcome { version, ..ours }), now);
        assert_eq!(session.link(), &Link::Refused(code.into()));
    }
}
