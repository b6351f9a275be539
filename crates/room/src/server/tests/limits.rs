//! What is refused because it is too much.

use super::*;
use crate::server::limits::{ATTRIBUTES_LIMIT, DATA_LIMIT, METADATA_LIMIT, NAME_LIMIT, TooLarge};

fn small_room(seed: u64, max_participants: u32, departure: Duration) -> World {
    let mut world = World::new(seed);
    let mut config = RoomConfig::new("n:1".into(), seed, 0);
    config.max_participants = max_participants;
    config.departure_timeout = departure;
    world.room = Room::new(config, world.now);
    world
}

fn refusals(world: &World, member: MemberId) -> Vec<(proto::request_response::Reason, String)> {
    let told = world.told(member).iter().filter_map(|message| match message {
        Message::RequestResponse(response) => Some((response.reason(), response.message.clone())),
        _ => None,
    });
    told.collect()
}

fn screen(cid: &str) -> Asked {
    Asked::AddTrack(proto::AddTrackRequest {
        cid: cid.into(),
        r#type: proto::TrackType::Video.into(),
        source: proto::TrackSource::ScreenShare.into(),
        ..Default::default()
    })
}

#[test]
fn a_full_room_takes_nobody_but_who_is_in_already_and_who_serves() {
    let mut world = small_room(70, 2, Duration::ZERO);
    let (anna, _) = (world.join("anna"), world.join("boris"));
    let refused = world.room.handle_join(world.now, joining("carla", Wiring::One));
    assert_eq!(refused, Err(JoinRefused::Full { limit: 2 }));
    assert!(refused.expect_err("full").to_string().contains("-102052"));
    assert_eq!(world.room.may_join(&joining("carla", Wiring::One)), Err(JoinRefused::Full { limit: 2 }));
    assert!(world.room.poll_output().is_none(), "nobody hears of it");
    let mut recorder = joining("recorder", Wiring::One);
    recorder.kind = proto::participant_info::Kind::Egress;
    world.join_as(recorder);
    assert!(world.room.info().active_recording);
    world.join("anna");
    assert_eq!(world.leave_reason(anna), Some(DisconnectReason::DuplicateIdentity));
    world.room.handle_remove(world.now, "boris");
    world.drain();
    world.join("carla");
}

#[test]
fn an_emptied_room_waits_for_its_departure_timeout() {
    let mut world = small_room(71, 0, Duration::from_secs(20));
    let anna = world.join("anna");
    world.ask(anna, Asked::Leave(proto::LeaveRequest::default()));
    world.pass(Duration::from_secs(19));
    assert!(!world.room.is_finished());
    let anna = world.join("anna");
    world.pass(Duration::from_secs(5));
    world.ask(anna, Asked::Leave(proto::LeaveRequest::default()));
    world.pass(Duration::from_secs(20));
    assert!(world.room.is_finished());
    assert_eq!(world.room.info().departure_timeout, 20);
}

#[test]
fn one_screen_is_shared_at_a_time() {
    let mut world = World::new(72);
    let (anna, boris) = (world.join("anna"), world.join("boris"));
    world.ask(anna, screen("first"));
    world.ask(boris, screen("second"));
    let (reason, why) = refusals(&world, boris).pop().expect("refused");
    assert_eq!(reason, proto::request_response::Reason::LimitExceeded);
    assert!(why.contains("-102016"), "{why}");
    world.ask(anna, screen("another window of the same person"));
    assert!(refusals(&world, anna).is_empty());
    world.ask(anna, Asked::Leave(proto::LeaveRequest::default()));
    world.forget();
    world.ask(boris, screen("now"));
    assert!(refusals(&world, boris).is_empty());
}

#[test]
fn what_is_too_large_changes_nothing() {
    let mut world = World::new(73);
    let mut free = joining("anna", Wiring::One);
    free.permission.can_update_metadata = true;
    let anna = world.join_as(free.clone());
    let change = |name: usize, metadata: usize, attribute: usize| proto::UpdateParticipantMetadata {
        name: "n".repeat(name),
        metadata: "m".repeat(metadata),
        attributes: [("k".to_owned(), "v".repeat(attribute))].into(),
        request_id: 1,
    };
    let limits = (NAME_LIMIT, METADATA_LIMIT, ATTRIBUTES_LIMIT - 1);
    world.ask(anna, Asked::UpdateMetadata(change(limits.0, limits.1, limits.2)));
    assert_eq!(refusals(&world, anna).pop().expect("answered").0, proto::request_response::Reason::Ok);
    for too_much in [change(limits.0 + 1, 0, 0), change(0, limits.1 + 1, 0), change(0, 0, limits.2 + 1)] {
        world.ask(anna, Asked::UpdateMetadata(too_much));
        let reason = refusals(&world, anna).pop().expect("answered").0;
        assert_eq!(reason, proto::request_response::Reason::LimitExceeded);
    }
    let more = [("another".to_owned(), "v".to_owned())].into();
    let request = proto::UpdateParticipantRequest { identity: "anna".into(), attributes: more, ..Default::default() };
    let refused = world.room.handle_act(world.now, Act::Update(Box::new(request)));
    assert_eq!(refused, Err(Refused::TooLarge(TooLarge::Attributes)), "all attributes count, not the new alone");
    assert_eq!(world.room.participants()[0].attributes["k"].len(), limits.2);
    let refused = world.room.handle_act(world.now, Act::SetMetadata("m".repeat(METADATA_LIMIT + 1)));
    assert_eq!(refused, Err(Refused::TooLarge(TooLarge::Metadata)));
    let large = proto::SendDataRequest { data: vec![0; DATA_LIMIT], ..Default::default() };
    assert_eq!(world.room.handle_act(world.now, Act::Send(Box::new(large))), Err(Refused::TooLarge(TooLarge::Data)));
    free.metadata = "m".repeat(METADATA_LIMIT + 1);
    free.identity = "boris".into();
    assert_eq!(world.room.handle_join(world.now, free), Err(JoinRefused::TooLarge(TooLarge::Metadata)));
}

#[test]
fn a_data_packet_that_is_too_large_is_dropped() {
    use prost::Message as _;
    let mut world = World::new(74);
    let (anna, _) = (world.join("anna"), world.join("boris"));
    let packet = |size: usize| {
        let user = proto::UserPacket { payload: vec![7; size], ..Default::default() };
        let value = Some(proto::data_packet::Value::User(user));
        proto::DataPacket { value, ..Default::default() }.encode_to_vec()
    };
    world.room.handle_data(anna, true, &packet(DATA_LIMIT));
    world.drain();
    assert!(world.data.is_empty());
    world.room.handle_data(anna, true, &packet(DATA_LIMIT / 2));
    world.drain();
    assert_eq!(world.data.len(), 1);
}

#[test]
fn what_is_said_of_a_track_is_short_and_told_again_only_when_it_changed() {
    let mut world = World::new(79);
    let (anna, boris) = (world.join("anna"), world.join("boris"));
    let named = |name: String| {
        Asked::AddTrack(proto::AddTrackRequest { cid: "x".into(), name, ..proto::AddTrackRequest::default() })
    };
    world.ask(anna, named("x".repeat(100_000)));
    let (reason, why) = refusals(&world, anna).pop().expect("refused");
    assert_eq!(reason, proto::request_response::Reason::LimitExceeded);
    assert!(why.contains("4096 bytes"), "{why}");
    world.publish(anna, "cam", Kind::Video);
    let sid = world.room.participants().into_iter().find_map(|one| one.tracks.first().map(|track| track.sid.clone()));
    let size = proto::UpdateLocalVideoTrack { track_sid: sid.expect("published"), width: 640, height: 360 };
    world.forget();
    for _ in 0..3 {
        world.ask(anna, Asked::UpdateVideoTrack(size.clone()));
    }
    let updates = world.told(boris).iter().filter(|message| matches!(message, Message::Update(_))).count();
    assert_eq!(updates, 1);
}
