//! What administrators do, and what members are told of it.

use super::*;
use prost::Message as _;

impl World {
    fn act(&mut self, act: Act) -> Result<(), Refused> {
        let done = self.room.handle_act(self.now, act);
        self.drain();
        done
    }

    fn update(&mut self, identity: &str, change: impl FnOnce(&mut proto::UpdateParticipantRequest)) {
        let mut request = proto::UpdateParticipantRequest { identity: identity.into(), ..Default::default() };
        change(&mut request);
        self.act(Act::Update(Box::new(request))).expect("there");
    }

    fn permit(&mut self, identity: &str, change: impl FnOnce(&mut proto::ParticipantPermission)) {
        let mut permission = joining(identity, Wiring::One).permission;
        change(&mut permission);
        self.update(identity, |request| request.permission = Some(permission));
    }

    fn unpublished_for(&self, member: MemberId) -> Vec<String> {
        let told = self.told(member).iter().filter_map(|message| match message {
            Message::TrackUnpublished(response) => Some(response.track_sid.clone()),
            _ => None,
        });
        told.collect()
    }

    fn rooms_told(&self, member: MemberId) -> Vec<proto::Room> {
        let told = self.told(member).iter().filter_map(|message| match message {
            Message::RoomUpdate(update) => update.room.clone(),
            _ => None,
        });
        told.collect()
    }
}

fn mute(track_sid: &str, muted: bool) -> Act {
    Act::Mute { identity: "anna".into(), track_sid: track_sid.into(), muted }
}

#[test]
fn a_muted_owner_is_told_and_may_unmute() {
    let mut world = World::new(60);
    let (anna, boris) = (world.join("anna"), world.join("boris"));
    world.publish(anna, "mic", Kind::Audio);
    let sid = world.room.participants()[0].tracks[0].sid.clone();
    world.act(mute(&sid, true)).expect("hers");
    assert!(world.view(boris, "anna").expect("told").tracks[0].muted);
    assert!(world.told(anna).iter().any(|message| matches!(message, Message::Mute(mute) if mute.muted)));
    assert_eq!(world.history().last(), Some(&"muted anna mic".to_owned()));
    world.ask(anna, Asked::Mute(proto::MuteTrackRequest { sid: sid.clone(), muted: false }));
    assert!(!world.view(boris, "anna").expect("told").tracks[0].muted);
    assert_eq!(world.act(mute("TR_none", true)), Err(Refused::NoTrack));
    let nobody = Act::Mute { identity: "nobody".into(), track_sid: sid, muted: true };
    assert_eq!(world.act(nobody), Err(Refused::NoMember));
}

#[test]
fn names_metadata_and_attributes_change_for_everybody_and_for_the_next_token() {
    let mut world = World::new(61);
    let (anna, boris) = (world.join("anna"), world.join("boris"));
    let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    world.update("anna", |request| {
        request.name = "Queen".into();
        request.metadata = "m".into();
        request.attributes = [pair("hand", "up"), pair("mood", "good")].into();
    });
    world.update("anna", |request| request.attributes = [pair("hand", "")].into());
    for who in [anna, boris] {
        let info = world.view(who, "anna").expect("told");
        assert_eq!((info.name.as_str(), info.metadata.as_str()), ("Queen", "m"));
        assert_eq!(info.attributes, [pair("mood", "good")].into());
    }
    let (member, grants) = world.granted.last().expect("a new token").clone();
    assert_eq!((member, grants.name.as_str()), (anna, "Queen"));
}

#[test]
fn a_resumed_socket_learns_of_changed_grants() {
    let mut world = World::new(62);
    let (anna, boris) = (world.join("anna"), world.join("boris"));
    world.update("anna", |request| request.name = "Queen".into());
    world.granted.clear();
    for member in [anna, boris] {
        world.room.handle_signal_closed(world.now, member);
        world.room.handle_resume(world.now, member);
    }
    world.drain();
    assert_eq!(world.granted.iter().map(|(member, _)| *member).collect::<Vec<_>>(), [anna]);
}

#[test]
fn who_may_publish_no_longer_does_not() {
    let mut world = World::new(63);
    let (anna, boris) = (world.join("anna"), world.join("boris"));
    world.publish(anna, "mic", Kind::Audio);
    world.publish(anna, "cam", Kind::Video);
    world.obey();
    let announced = proto::AddTrackRequest { cid: "later".into(), ..Default::default() };
    world.ask(anna, Asked::AddTrack(announced));
    let sids: Vec<String> = world.room.participants()[0].tracks.iter().map(|track| track.sid.clone()).collect();
    world.permit("anna", |permission| permission.can_publish_sources = vec![proto::TrackSource::Microphone.into()]);
    assert_eq!(world.unpublished_for(anna).len(), 2, "the camera, and what was announced without a source");
    assert!(world.unpublished_for(anna).contains(&sids[1]));
    assert!(world.flows(anna, boris, Kind::Audio) && !world.flows(anna, boris, Kind::Video));
    assert_eq!(world.history().last(), Some(&"unpublished anna cam".to_owned()));
    world.permit("anna", |permission| permission.can_publish = false);
    assert_eq!(world.history().last(), Some(&"anna may publish: false".to_owned()));
    assert_eq!(world.unpublished_for(anna).len(), 3);
    assert_eq!(world.view(boris, "anna").expect("told").tracks, []);
    assert!(!world.view(anna, "anna").and_then(|info| info.permission).expect("told of itself").can_publish);
    // Her client goes on offering what it sends until it has read the message: it comes to nothing.
    let plans = world.offer(anna);
    assert!(plans.values().all(|plan| plan.publishes.is_none()));
    world.permit("anna", |_| {});
    assert_eq!(world.history().last(), Some(&"anna may publish: true".to_owned()));
    world.publish(anna, "mic again", Kind::Audio);
    world.obey();
    assert!(world.flows(anna, boris, Kind::Audio));
}

#[test]
fn who_may_receive_no_longer_does_not_until_allowed_again() {
    for wiring in [Wiring::One, Wiring::Two] {
        let mut world = World::new(64);
        let anna = world.join("anna");
        let boris = world.join_as(joining("boris", wiring));
        world.publish(anna, "mic", Kind::Audio);
        world.settle_sections();
        assert!(world.flows(anna, boris, Kind::Audio));
        world.permit("boris", |permission| permission.can_subscribe = false);
        world.settle_sections();
        assert!(world.bound.is_empty(), "{wiring:?}");
        world.publish(anna, "cam", Kind::Video);
        world.settle_sections();
        assert!(world.bound.is_empty(), "{wiring:?}: a new track neither");
        world.permit("boris", |_| {});
        world.settle_sections();
        assert!(world.flows(anna, boris, Kind::Audio) && world.flows(anna, boris, Kind::Video), "{wiring:?}");
    }
}

#[test]
fn who_becomes_hidden_is_gone_for_the_others_and_comes_back() {
    let mut world = World::new(65);
    let (_, boris) = (world.join("anna"), world.join("boris"));
    let state = |world: &World| world.view(boris, "anna").expect("told").state();
    world.permit("anna", |permission| permission.hidden = true);
    assert_eq!(state(&world), proto::participant_info::State::Disconnected);
    world.permit("anna", |_| {});
    assert_eq!(state(&world), proto::participant_info::State::Active);
}

#[test]
fn subscriptions_end_and_begin_by_order() {
    let mut world = World::new(66);
    let (anna, boris) = (world.join("anna"), world.join("boris"));
    world.publish(anna, "mic", Kind::Audio);
    world.obey();
    let track_sids = vec![world.room.participants()[0].tracks[0].sid.clone(), "TR_none".into()];
    let order = |subscribe| {
        let identity = "boris".into();
        let track_sids = track_sids.clone();
        let request = proto::UpdateSubscriptionsRequest { identity, track_sids, subscribe, ..Default::default() };
        Act::Subscribe(Box::new(request))
    };
    world.act(order(false)).expect("there");
    assert!(world.bound.is_empty());
    world.act(order(true)).expect("there");
    world.obey();
    assert!(world.flows(anna, boris, Kind::Audio));
    let subscribed = world.told(anna).iter().filter(|message| matches!(message, Message::TrackSubscribed(_)));
    assert_eq!(subscribed.count(), 1, "a publisher is told of its first subscriber alone");
    let unknown = world.told(boris).iter().any(|message| {
        matches!(message, Message::SubscriptionResponse(response)
        if response.err() == proto::SubscriptionError::SeTrackNotfound)
    });
    assert!(unknown);
}

#[test]
#[allow(deprecated)]
fn data_from_nobody_goes_to_all_or_to_some_and_once_only() {
    let mut world = World::new(67);
    let (anna, boris, carla) = (world.join("anna"), world.join("boris"), world.join("carla"));
    let send = |change: &dyn Fn(&mut proto::SendDataRequest)| {
        let mut request = proto::SendDataRequest { data: b"hello".to_vec(), ..Default::default() };
        change(&mut request);
        Act::Send(Box::new(request))
    };
    let boris_sid = world.room.sid_of(boris).expect("in").to_owned();
    let lossy = i32::from(proto::data_packet::Kind::Lossy);
    world.act(send(&|request| request.topic = Some("news".into()))).expect("sent");
    world.act(send(&|request| request.destination_identities = vec!["carla".into(), "nobody".into()])).expect("sent");
    world.act(send(&|request| request.destination_sids = vec![boris_sid.clone()])).expect("sent");
    world.act(send(&|request| (request.kind, request.nonce) = (lossy, vec![1; 16]))).expect("sent");
    world.act(send(&|request| (request.kind, request.nonce) = (lossy, vec![1; 16]))).expect("not twice");
    let to: Vec<_> = world.data.iter().map(|(to, reliable, _)| (to.as_slice(), *reliable)).collect();
    let everybody = [anna, boris, carla];
    assert_eq!(to, [(&everybody[..], true), (&[carla], true), (&[boris], true), (&everybody, false)]);
    let packet = proto::DataPacket::decode(world.data[0].2.as_slice()).expect("encoded");
    assert_eq!(packet.participant_identity, "");
    let Some(proto::data_packet::Value::User(user)) = packet.value else { panic!("a user's packet") };
    assert_eq!((user.topic.as_deref(), user.payload.as_slice()), (Some("news"), b"hello".as_slice()));
}

#[test]
fn the_rooms_metadata_and_counts_are_told() {
    let mut world = World::new(68);
    let anna = world.join("anna");
    world.act(Act::SetMetadata("theme".into())).expect("small");
    assert_eq!(world.rooms_told(anna).last().map(|room| room.metadata.clone()), Some("theme".into()));
    world.join("boris");
    world.publish(anna, "mic", Kind::Audio);
    world.forget();
    world.pass(Duration::from_secs(3));
    let rooms = world.rooms_told(anna);
    assert_eq!(rooms.iter().map(|room| (room.num_participants, room.num_publishers)).collect::<Vec<_>>(), [(2, 1)]);
    let carla = world.join("carla");
    let Some(Message::Join(join)) = world.told(carla).first() else { panic!("JoinResponse comes first") };
    assert_eq!(join.room.as_ref().map(|room| room.metadata.as_str()), Some("theme"));
}
