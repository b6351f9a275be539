//! What may be sent and received, kind by kind.

use super::*;
use protocol::Privileges;

const SOURCES: [(proto::TrackSource, proto::TrackType); 4] = [
    (proto::TrackSource::Microphone, proto::TrackType::Audio),
    (proto::TrackSource::Camera, proto::TrackType::Video),
    (proto::TrackSource::ScreenShare, proto::TrackType::Video),
    (proto::TrackSource::ScreenShareAudio, proto::TrackType::Audio),
];

impl World {
    fn join_with(&mut self, identity: &str, change: impl FnOnce(&mut Joining)) -> MemberId {
        let mut joining = joining(identity, Wiring::One);
        change(&mut joining);
        let member = self.room.handle_join(self.now, joining).expect("the room is there");
        self.drain();
        member
    }

    fn announce(&mut self, member: MemberId, cid: &str, source: proto::TrackSource, r#type: proto::TrackType) {
        let request = proto::AddTrackRequest {
            cid: cid.into(),
            source: source.into(),
            r#type: r#type.into(),
            ..Default::default()
        };
        self.ask(member, Asked::AddTrack(request));
    }

    /// The refusals that a member got, as written.
    fn refusals(&self, member: MemberId) -> Vec<String> {
        let refusal = |message: &Message| match message {
            Message::RequestResponse(response) => {
                assert_eq!(response.reason(), proto::request_response::Reason::NotAllowed);
                Some(response.message.clone())
            }
            _ => None,
        };
        self.told(member).iter().filter_map(refusal).collect()
    }

    /// How many tracks are bound to a member.
    fn receives(&self, member: MemberId) -> usize {
        self.bound.keys().filter(|(_, subscriber)| *subscriber == member).count()
    }
}

#[test]
fn each_source_that_is_not_named_is_refused_with_its_code() {
    let codes = ["-100006", "-102013", "-102015", "-102015"];
    for (index, (allowed, _)) in SOURCES.iter().enumerate() {
        let mut world = World::new(60);
        let anna = world.join_with("anna", |joining| joining.permission.can_publish_sources = vec![(*allowed).into()]);
        for (source, kind) in SOURCES {
            world.announce(anna, source.as_str_name(), source, kind);
        }
        let refused = world.refusals(anna);
        let expected: Vec<_> =
            codes.iter().enumerate().filter(|(other, _)| *other != index).map(|(_, code)| code).collect();
        assert_eq!(refused.len(), 3);
        assert!(refused.iter().zip(expected).all(|(told, code)| told.contains(*code)), "{refused:?}");
    }
}

#[test]
fn who_may_publish_nothing_is_refused_everything() {
    let mut world = World::new(61);
    let anna = world.join_with("anna", |joining| joining.permission.can_publish = false);
    for (source, kind) in SOURCES {
        world.announce(anna, source.as_str_name(), source, kind);
    }
    assert_eq!(world.refusals(anna).len(), 4);
}

#[test]
fn a_picture_that_calls_itself_a_microphone_is_refused() {
    let mut world = World::new(62);
    let microphone = proto::TrackSource::Microphone;
    let anna = world.join_with("anna", |joining| joining.permission.can_publish_sources = vec![microphone.into()]);
    world.announce(anna, "cam", microphone, proto::TrackType::Video);
    assert_eq!(world.refusals(anna).len(), 1);
    // Announced as sound and offered as a picture: nothing is published.
    world.announce(anna, "liar", microphone, proto::TrackType::Audio);
    let section = Section { slot: Slot("0".into()), kind: Kind::Video, sends: Some("liar".into()), receives: false };
    world.offered.insert(anna, vec![section]);
    world.offer(anna);
    assert!(world.room.tracks.is_empty());
}

#[test]
fn each_kind_is_received_by_its_own_bit_and_what_is_missing_is_told() {
    let bits = [Privileges::RECEIVE_AUDIO, Privileges::RECEIVE_VIDEO, Privileges::RECEIVE_SCREEN];
    for seed in 0..8u32 {
        let mut world = World::new(63);
        let anna = world.join("anna");
        for (index, (source, kind)) in SOURCES.iter().enumerate() {
            let cid = format!("track {index}");
            world.announce(anna, &cid, *source, *kind);
            let kind = if *kind == proto::TrackType::Audio { Kind::Audio } else { Kind::Video };
            let sections = world.offered.entry(anna).or_default();
            sections.push(Section { slot: Slot(index.to_string()), kind, sends: Some(cid), receives: false });
        }
        world.offer(anna);
        let held: Vec<_> = (0..3).filter(|bit| seed & (1 << bit) != 0).collect();
        let privileges = held.iter().fold(Privileges::ENTER, |sum, bit| sum | bits[*bit]);
        let boris = world.join_with("boris", |joining| joining.privileges = privileges);
        world.obey();
        // A shared screen has a picture and a sound.
        let expected: usize = held.iter().map(|bit| if *bit == 2 { 2 } else { 1 }).sum();
        assert_eq!(world.receives(boris), expected, "{privileges:?}");
        let withheld = world.told(boris).iter().filter(|message| {
            matches!(message, Message::SubscriptionPermissionUpdate(update) if !update.allowed && update.track_sid.starts_with("TR_"))
        });
        assert_eq!(withheld.count(), 4 - expected, "{privileges:?}");
        // Asking for it does not help.
        let sids = world.room.participants()[0].tracks.iter().map(|track| track.sid.clone()).collect();
        let wish = proto::UpdateSubscription { track_sids: sids, subscribe: true, ..Default::default() };
        world.ask(boris, Asked::Subscription(wish));
        world.obey();
        assert_eq!(world.receives(boris), expected, "{privileges:?}");
    }
}
