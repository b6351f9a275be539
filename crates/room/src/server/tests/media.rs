//! Tracks, sections, settings, speakers, quality, data.

use super::*;
use prost::Message as _;
use proto::{ConnectionQuality, UpdateSubscription, UpdateTrackSettings};

fn track_sid(world: &World, member: MemberId) -> String {
    let published = world.told(member).iter().rev().find_map(|message| match message {
        Message::TrackPublished(response) => response.track.as_ref(),
        _ => None,
    });
    published.expect("published").sid.clone()
}

fn slots(world: &World, member: MemberId) -> Vec<Slot> {
    world.bound.iter().filter(|((_, who), _)| *who == member).map(|(_, slot)| slot.clone()).collect()
}

#[test]
fn a_track_reaches_everybody_else_in_a_section_of_their_own() {
    let mut world = World::new(20);
    let (anna, boris, carla) = (world.join("anna"), world.join("boris"), world.join("carla"));
    world.publish(anna, "cam", Kind::Video);
    world.obey();
    assert_eq!(slots(&world, boris).len(), 1);
    assert_eq!(slots(&world, carla).len(), 1);
    assert!(slots(&world, anna).is_empty());
    assert!(track_sid(&world, anna).starts_with("TR_VC"));
    let plans = world.offer(boris);
    let delivery = plans.values().find_map(|plan| plan.delivers.clone()).expect("delivered");
    assert_eq!(delivery.track_sid, track_sid(&world, anna));
    assert_eq!(Some(delivery.publisher_sid.as_str()), world.room.sid_of(anna));
    assert!(!world.keyframes.is_empty(), "a keyframe for those who are connected");
}

#[test]
fn a_newcomer_gets_tracks_with_its_first_offer() {
    let mut world = World::new(21);
    let anna = world.join("anna");
    world.publish(anna, "mic", Kind::Audio);
    world.publish(anna, "cam", Kind::Video);
    let boris = world.join("boris");
    let receive = |slot: &str, kind| Section { slot: Slot(slot.into()), kind, sends: None, receives: true };
    world.offered.insert(boris, vec![receive("0", Kind::Audio), receive("1", Kind::Video)]);
    let plans = world.offer(boris);
    assert_eq!(plans.values().filter(|plan| plan.delivers.is_some()).count(), 2);
    assert_eq!(world.bound.len(), 2);
}

#[test]
fn an_unpublished_track_leaves_its_section_inactive_once_before_the_next() {
    let mut world = World::new(22);
    let (anna, boris) = (world.join("anna"), world.join("boris"));
    world.publish(anna, "cam", Kind::Video);
    world.obey();
    let first = slots(&world, boris);
    world.offered.get_mut(&anna).expect("offered")[0].sends = None;
    world.offer(anna);
    assert!(world.bound.is_empty());
    assert_eq!(world.view(boris, "anna").map(|info| info.tracks.len()), Some(0));
    let plans = world.offer(boris);
    assert_eq!(plans.get(&first[0]), Some(&SectionPlan::default()), "inactive");
    world.publish(anna, "cam2", Kind::Video);
    world.obey();
    assert_eq!(slots(&world, boris), first, "the section is used again");
}

#[test]
fn two_connections_get_a_section_by_our_offer() {
    let mut world = World::new(23);
    let anna = world.join("anna");
    let boris = world.join_as(joining("boris", Wiring::Two));
    world.publish(anna, "mic", Kind::Audio);
    let (member, delivery) = world.sections.pop().expect("a section is asked for");
    assert_eq!(member, boris);
    world.room.handle_section_added(world.now, boris, delivery.track, Slot("x".into()));
    world.drain();
    assert_eq!(slots(&world, boris), [Slot("x".into())]);
}

#[test]
fn grants_decide_who_publishes_and_who_receives() {
    let mut world = World::new(24);
    let mut mute = joining("anna", Wiring::One);
    mute.permission.can_publish = false;
    let anna = world.join_as(mute);
    world.publish(anna, "mic", Kind::Audio);
    assert!(world.told(anna).iter().any(|message| matches!(message, Message::RequestResponse(response)
        if response.reason() == proto::request_response::Reason::NotAllowed)));
    let mut deaf = joining("boris", Wiring::One);
    deaf.permission.can_subscribe = false;
    let boris = world.join_as(deaf);
    let carla = world.join("carla");
    world.publish(carla, "mic", Kind::Audio);
    world.obey();
    assert!(slots(&world, boris).is_empty());
    assert_eq!(slots(&world, anna).len(), 1);
}

#[test]
fn subscriptions_end_and_begin_by_wish() {
    let mut world = World::new(25);
    let anna = world.join("anna");
    let mut shy = joining("boris", Wiring::One);
    shy.auto_subscribe = false;
    let boris = world.join_as(shy);
    world.publish(anna, "mic", Kind::Audio);
    world.obey();
    assert!(world.bound.is_empty());
    let track_sids = vec![track_sid(&world, anna)];
    let wish = |subscribe| {
        Asked::Subscription(UpdateSubscription { track_sids: track_sids.clone(), subscribe, ..Default::default() })
    };
    world.ask(boris, wish(true));
    world.obey();
    assert_eq!(world.bound.len(), 1);
    world.ask(boris, wish(false));
    assert!(world.bound.is_empty());
}

#[test]
fn mute_is_told_to_the_others() {
    let mut world = World::new(26);
    let (anna, boris) = (world.join("anna"), world.join("boris"));
    world.publish(anna, "mic", Kind::Audio);
    let sid = track_sid(&world, anna);
    world.ask(anna, Asked::Mute(proto::MuteTrackRequest { sid: sid.clone(), muted: true }));
    assert!(world.view(boris, "anna").expect("told").tracks[0].muted);
    world.ask(boris, Asked::Mute(proto::MuteTrackRequest { sid, muted: false }));
    assert!(world.room.participants()[0].tracks[0].muted, "nobody unmutes another");
}

#[test]
fn settings_choose_the_layer_by_quality_or_size_and_pause() {
    let mut world = World::new(27);
    let (anna, boris) = (world.join("anna"), world.join("boris"));
    world.publish(anna, "cam", Kind::Video);
    world.obey();
    world.pass(Duration::from_secs(1));
    world.forget();
    let settings = UpdateTrackSettings {
        track_sids: world.room.participants()[0].tracks.iter().map(|track| track.sid.clone()).collect(),
        quality: proto::VideoQuality::Medium.into(),
        ..Default::default()
    };
    world.ask(boris, Asked::TrackSetting(settings.clone()));
    assert_eq!(world.keyframes.len(), 1, "a switch needs a keyframe");
    world.ask(boris, Asked::TrackSetting(settings));
    assert_eq!(world.keyframes.len(), 1, "nothing changed");
}

#[test]
fn keyframe_requests_are_limited_and_none_is_lost() {
    let mut world = World::new(28);
    let (anna, boris) = (world.join("anna"), world.join("boris"));
    world.publish(anna, "cam", Kind::Video);
    world.obey();
    world.pass(Duration::from_secs(1));
    world.forget();
    let slot = slots(&world, boris).remove(0);
    for _ in 0..10 {
        world.room.handle_keyframe_request(world.now, boris, &slot);
        world.drain();
        world.pass(Duration::from_millis(10));
    }
    assert_eq!(world.keyframes.len(), 1);
    world.pass(Duration::from_secs(1));
    assert_eq!(world.keyframes.len(), 2, "the late ones became one more");
}

#[test]
fn speakers_are_told_when_they_begin_and_when_they_end() {
    let mut world = World::new(29);
    let (anna, boris) = (world.join("anna"), world.join("boris"));
    world.publish(anna, "mic", Kind::Audio);
    world.obey();
    let track = *world.bound.keys().map(|(track, _)| track).next().expect("bound");
    for _ in 0..16 {
        world.room.handle_audio_level(world.now, track, -20);
        world.pass(Duration::from_millis(20));
    }
    let levels_of = |world: &World, who| -> Vec<f32> {
        let changes = world.told(who).iter().filter_map(|message| match message {
            Message::SpeakersChanged(changed) => Some(&changed.speakers),
            _ => None,
        });
        changes.flatten().map(|speaker| speaker.level).collect()
    };
    let levels = |world: &World| levels_of(world, boris);
    assert_eq!(levels(&world).len(), 1);
    assert!(levels(&world)[0] > 0.0);
    let carla = world.join("carla");
    assert_eq!(levels_of(&world, carla), levels(&world), "who comes while somebody speaks is told so");
    world.pass(Duration::from_secs(2));
    assert_eq!(levels(&world).len(), 2);
    assert_eq!(levels(&world)[1], 0.0);
}

#[test]
fn quality_is_told_when_it_changes_and_silence_is_lost() {
    let mut world = World::new(30);
    let (anna, boris) = (world.join("anna"), world.join("boris"));
    world.publish(anna, "cam", Kind::Video);
    let last_to = |world: &World, who, sid: &str| {
        let updates = world.told(who).iter().rev().filter_map(|message| match message {
            Message::ConnectionQuality(update) => Some(&update.updates),
            _ => None,
        });
        updates.flatten().find(|info| info.participant_sid == sid).map(|info| info.quality())
    };
    let last = |world: &World, sid: &str| last_to(world, boris, sid);
    let sid = world.room.sid_of(anna).expect("in").to_owned();
    let steps = [
        (0.0, 20, ConnectionQuality::Excellent),
        (0.04, 20, ConnectionQuality::Good),
        (0.2, 20, ConnectionQuality::Poor),
        (0.0, 900, ConnectionQuality::Poor),
    ];
    for (loss, round_trip, expected) in steps {
        let measured = Measured { loss, round_trip: Some(Duration::from_millis(round_trip)) };
        world.room.handle_measured(anna, measured);
        world.room.handle_packet_seen(world.now, anna);
        world.pass(Duration::from_millis(1_900));
        world.room.handle_packet_seen(world.now, anna);
        world.pass(Duration::from_millis(200));
        assert_eq!(last(&world, &sid), Some(expected));
    }
    let carla = world.join("carla");
    assert_eq!(last_to(&world, carla, &sid), Some(ConnectionQuality::Poor), "who comes later is told, too");
    world.pass(Duration::from_secs(5));
    assert_eq!(last(&world, &sid), Some(ConnectionQuality::Lost));
    world.room.handle_signal_closed(world.now, carla);
    world.forget();
    assert!(world.room.handle_resume(world.now, carla));
    world.drain();
    assert_eq!(last_to(&world, carla, &sid), Some(ConnectionQuality::Lost), "and who comes back");
}

#[test]
#[allow(deprecated)]
fn data_is_stamped_with_its_true_sender_and_goes_where_it_is_addressed() {
    let mut world = World::new(31);
    let (anna, boris, carla) = (world.join("anna"), world.join("boris"), world.join("carla"));
    let user = proto::UserPacket { payload: b"hello".to_vec(), ..Default::default() };
    let mut packet = proto::DataPacket {
        kind: proto::data_packet::Kind::Lossy.into(),
        participant_identity: "carla".into(),
        sequence: 9,
        value: Some(proto::data_packet::Value::User(user)),
        ..Default::default()
    };
    world.room.handle_data(anna, true, &packet.encode_to_vec());
    packet.destination_identities = vec!["carla".into()];
    world.room.handle_data(boris, false, &packet.encode_to_vec());
    world.room.handle_data(boris, false, b"\xff\xff\xff");
    world.drain();
    assert_eq!(world.data.len(), 2);
    let (to, reliable, bytes) = &world.data[0];
    assert_eq!((to.as_slice(), *reliable), ([boris, carla].as_slice(), true));
    let stamped = proto::DataPacket::decode(bytes.as_slice()).expect("encoded");
    assert_eq!((stamped.participant_identity.as_str(), stamped.sequence), ("anna", 9));
    assert_eq!(stamped.kind(), proto::data_packet::Kind::Reliable, "the channel that it came on");
    assert_eq!(world.data[1].0, [carla]);
}
