//! Coming, coming back, leaving, and who is told what.

use super::*;
use proto::participant_info::State;

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_newcomer_learns_who_is_there_and_the_others_learn_of_it() {
    let mut world = World::new(1);
    let anna = world.join("anna");
    let boris = world.join("boris");
    let Some(Message::Join(join)) = world.told(boris).first() else { panic!("JoinResponse comes first") };
    assert_eq!(join.other_participants[0].identity, "anna");
    assert_eq!(join.enabled_publish_codecs[0].mime, "video/H264");
    assert!(join.ping_interval > 0 && !join.subscriber_primary && join.room.is_some());
    assert_eq!(world.view(anna, "boris").map(|info| info.state()), Some(State::Active));
    assert_eq!(world.history(), ["started n:1", "joined anna", "joined boris"]);
}

#[test]
fn a_goodbye_is_told_at_once_and_the_last_one_ends_the_room() {
    let mut world = World::new(2);
    let anna = world.join("anna");
    let boris = world.join("boris");
    world.ask(boris, Asked::Leave(proto::LeaveRequest::default()));
    let info = world.view(anna, "boris").expect("told without time passing");
    assert_eq!((info.state(), info.disconnect_reason()), (State::Disconnected, DisconnectReason::ClientInitiated));
    assert!(!world.room.is_finished());
    world.ask(anna, Asked::Leave(proto::LeaveRequest::default()));
    assert!(world.room.is_finished());
    assert_eq!(world.history().last(), Some(&"finished n:1".to_owned()));
    assert!(world.room.handle_join(world.now, joining("carla", Wiring::One)).is_err());
}

#[test]
fn removal_and_deletion_tell_their_reasons_and_forbid_to_come_back() {
    let mut world = World::new(3);
    let (anna, boris) = (world.join("anna"), world.join("boris"));
    assert!(!world.room.handle_remove(world.now, "nobody"));
    assert!(world.room.handle_remove(world.now, "boris"));
    world.drain();
    let leave = world.told(boris).iter().find_map(|message| match message {
        Message::Leave(leave) => Some(leave.clone()),
        _ => None,
    });
    let leave = leave.expect("boris is told");
    assert_eq!(leave.reason(), DisconnectReason::ParticipantRemoved);
    assert_eq!(leave.action(), proto::leave_request::Action::Disconnect);
    assert!(world.removed.contains(&boris));
    assert_eq!(
        world.view(anna, "boris").map(|info| info.disconnect_reason()),
        Some(DisconnectReason::ParticipantRemoved)
    );
    world.room.handle_delete(world.now);
    world.drain();
    assert_eq!(world.leave_reason(anna), Some(DisconnectReason::RoomDeleted));
    assert!(world.room.is_finished());
}

#[test]
fn the_same_identity_replaces_the_older_membership() {
    let mut world = World::new(4);
    let first = world.join("anna");
    let second = world.join("anna");
    assert_eq!(world.leave_reason(first), Some(DisconnectReason::DuplicateIdentity));
    assert!(world.removed.contains(&first) && !world.removed.contains(&second));
    assert!(!world.room.is_finished());
    assert_eq!(world.room.participants().len(), 1);
}

#[test]
fn a_dead_process_is_out_after_five_seconds_without_a_packet() {
    let mut world = World::new(5);
    let (anna, boris) = (world.join("anna"), world.join("boris"));
    world.room.handle_signal_closed(world.now, boris);
    world.pass(SECOND * 3);
    world.room.handle_packet_seen(world.now, boris);
    world.pass(SECOND * 4);
    assert!(!world.removed.contains(&boris), "a packet came 4 s ago");
    world.pass(SECOND);
    assert!(world.removed.contains(&boris));
    let reason = world.view(anna, "boris").map(|info| info.disconnect_reason());
    assert_eq!(reason, Some(DisconnectReason::SignalClose));
}

#[test]
fn silence_with_an_open_socket_lasts_ninety_seconds() {
    let mut world = World::new(6);
    let (anna, boris) = (world.join("anna"), world.join("boris"));
    for _ in 0..8 {
        world.pass(SECOND * 10);
        world.ask(anna, Asked::PingReq(proto::Ping::default()));
    }
    world.pass(SECOND * 9);
    assert!(!world.removed.contains(&boris));
    world.pass(SECOND);
    assert!(world.removed.contains(&boris) && !world.removed.contains(&anna));
    let reason = world.view(anna, "boris").map(|info| info.disconnect_reason());
    assert_eq!(reason, Some(DisconnectReason::ConnectionTimeout));
}

#[test]
fn a_resume_in_time_keeps_the_membership_and_tells_what_was_missed() {
    let mut world = World::new(7);
    let (anna, boris) = (world.join("anna"), world.join("boris"));
    let sid = world.room.sid_of(boris).expect("in").to_owned();
    world.room.handle_signal_closed(world.now, boris);
    world.pass(SECOND * 4);
    world.publish(anna, "mic", Kind::Audio);
    world.forget();
    assert_eq!(world.room.find(&sid, "anna"), None, "not with another's token");
    assert_eq!(world.room.find(&sid, "boris"), Some(boris));
    assert!(world.room.handle_resume(world.now, boris));
    world.drain();
    assert!(matches!(world.told(boris)[0], Message::Reconnect(_)));
    assert_eq!(world.view(boris, "anna").map(|info| info.tracks.len()), Some(1));
    world.obey();
    assert_eq!(world.bound.len(), 1, "what came meanwhile is subscribed");
    world.pass(SECOND * 80);
    assert!(!world.removed.contains(&boris));
}

#[test]
fn a_resume_tells_who_left_and_what_became_of_oneself_and_of_the_room() {
    let mut world = World::new(9);
    let (boris, clara) = (world.join("boris"), world.join("clara"));
    world.pass(SECOND);
    world.room.handle_signal_closed(world.now, boris);
    world.ask(clara, Asked::Leave(proto::LeaveRequest::default()));
    world.room.handle_act(world.now, Act::SetMetadata("theme".into())).expect("small");
    let update = proto::UpdateParticipantRequest { identity: "boris".into(), name: "Bo".into(), ..Default::default() };
    world.room.handle_act(world.now, Act::Update(Box::new(update))).expect("there");
    world.drain();
    world.forget();
    world.room.handle_resume(world.now, boris);
    world.drain();
    let gone = world.view(boris, "clara").expect("told");
    assert_eq!((gone.state(), gone.disconnect_reason()), (State::Disconnected, DisconnectReason::ClientInitiated));
    assert_eq!(world.view(boris, "boris").map(|info| info.name).as_deref(), Some("Bo"));
    let theme = world.told(boris).iter().find_map(|message| match message {
        Message::RoomUpdate(update) => update.room.as_ref().map(|room| room.metadata.as_str()),
        _ => None,
    });
    assert_eq!(theme, Some("theme"));
    world.forget();
    world.pass(SECOND);
    world.room.handle_signal_seen(world.now, boris);
    world.room.handle_resume(world.now, boris);
    world.drain();
    assert!(world.view(boris, "clara").is_none(), "what was heard is not told again");
}

#[test]
fn a_resume_takes_nobody_for_gone_who_is_in_again() {
    let mut world = World::new(10);
    let (boris, old) = (world.join("boris"), world.join("clara"));
    let gone = world.room.sid_of(old).expect("in").to_owned();
    let departures = |world: &mut World| {
        world.forget();
        world.room.handle_resume(world.now, boris);
        world.drain();
        let Some(Message::Update(update)) = world.told(boris).get(1) else { panic!("everybody's state comes second") };
        let gone = update.participants.iter().filter(|info| info.state() == State::Disconnected);
        gone.map(|info| info.sid.clone()).collect::<Vec<_>>()
    };
    world.pass(SECOND);
    // The server takes the socket for open: the new membership may have been told.
    world.join("clara");
    assert_eq!(departures(&mut world), Vec::<String>::new());
    world.pass(SECOND);
    let second = world.room.participants().into_iter().find(|info| info.identity == "clara").expect("in").sid;
    assert_ne!(second, gone);
    world.room.handle_signal_closed(world.now, boris);
    world.join("clara");
    assert_eq!(departures(&mut world), [second], "the one before it is known to have been missed");
}

#[test]
fn a_hidden_member_is_told_and_not_told_of() {
    let mut world = World::new(8);
    let anna = world.join("anna");
    let mut hidden = joining("ghost", Wiring::One);
    hidden.permission.hidden = true;
    let ghost = world.join_as(hidden);
    assert!(world.view(anna, "ghost").is_none());
    assert_eq!(world.room.info().num_participants, 1);
    world.ask(anna, Asked::Leave(proto::LeaveRequest::default()));
    assert!(world.view(ghost, "anna").is_some());
}

#[test]
fn a_room_that_nobody_enters_ends() {
    let mut world = World::new(9);
    world.pass(SECOND * 299);
    assert!(!world.room.is_finished());
    world.pass(SECOND);
    assert!(world.room.is_finished());
}

#[test]
fn pings_are_answered() {
    let mut world = World::new(10);
    let anna = world.join("anna");
    world.ask(anna, Asked::PingReq(proto::Ping { timestamp: 42, rtt: 1 }));
    assert!(matches!(world.told(anna).last(), Some(Message::PongResp(pong)) if pong.last_ping_timestamp == 42));
}

#[test]
fn names_change_only_where_the_token_allows() {
    let mut world = World::new(11);
    let anna = world.join("anna");
    let mut free = joining("boris", Wiring::One);
    free.permission.can_update_metadata = true;
    let boris = world.join_as(free);
    let rename = |name: &str| {
        Asked::UpdateMetadata(proto::UpdateParticipantMetadata {
            name: name.into(),
            request_id: 7,
            ..Default::default()
        })
    };
    world.ask(anna, rename("queen"));
    world.ask(boris, rename("king"));
    assert!(world.view(boris, "anna").is_none_or(|info| info.name == "ANNA"));
    assert_eq!(world.view(anna, "boris").map(|info| info.name), Some("king".into()));
    assert!(world.told(anna).iter().any(|message| matches!(message, Message::RequestResponse(response)
        if response.request_id == 7 && response.reason() == proto::request_response::Reason::NotAllowed)));
}
