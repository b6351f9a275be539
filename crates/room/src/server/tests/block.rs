//! Blocking voice and picture.

use super::*;

const VOICE: Blocked = Blocked { voice: true, picture: false };
const BOTH: Blocked = Blocked { voice: true, picture: true };
const FREE: Blocked = Blocked { voice: false, picture: false };

impl World {
    fn block(&mut self, identity: &str, blocked: Blocked) -> bool {
        let found = self.room.handle_block(self.now, identity, blocked);
        self.drain();
        found
    }

    /// Whether the first track of a kind looks muted to the others.
    fn looks_muted(&self, member: MemberId, kind: Kind) -> bool {
        self.room.tracks.values().find(|track| track.owner == member && track.kind == kind).expect("there").info.muted
    }
}

/// Anna publishes voice and picture, boris receives both.
fn two(seed: u64) -> (World, MemberId, MemberId) {
    let mut world = World::new(seed);
    let (anna, boris) = (world.join("anna"), world.join("boris"));
    world.publish(anna, "mic", Kind::Audio);
    world.publish(anna, "cam", Kind::Video);
    world.obey();
    (world, anna, boris)
}

#[test]
fn a_blocked_voice_stops_and_the_picture_goes_on() {
    let (mut world, anna, boris) = two(50);
    assert!(world.flows(anna, boris, Kind::Audio) && world.flows(anna, boris, Kind::Video));
    assert!(world.block("anna", VOICE));
    assert!(!world.flows(anna, boris, Kind::Audio) && world.flows(anna, boris, Kind::Video));
    let told = world.view(boris, "anna").expect("told");
    assert_eq!(told.tracks.iter().map(|track| track.muted).collect::<Vec<_>>(), [true, false]);
    assert_eq!(world.history().last(), Some(&"muted anna mic".to_owned()));
    assert!(world.block("anna", FREE));
    assert!(world.flows(anna, boris, Kind::Audio));
    assert_eq!(world.history().last(), Some(&"unmuted anna mic".to_owned()));
    assert!(!world.block("nobody", VOICE));
}

#[test]
fn the_owner_cannot_unmute_what_is_blocked_and_its_own_mute_outlives_the_block() {
    let (mut world, anna, _) = two(51);
    let sid = world.room.participants()[0].tracks[0].sid.clone();
    let mute = |muted| Asked::Mute(proto::MuteTrackRequest { sid: sid.clone(), muted });
    world.block("anna", BOTH);
    world.ask(anna, mute(false));
    assert!(world.looks_muted(anna, Kind::Audio));
    world.ask(anna, mute(true));
    world.block("anna", FREE);
    assert!(world.looks_muted(anna, Kind::Audio), "muted by the owner meanwhile");
    assert!(!world.looks_muted(anna, Kind::Video));
}

#[test]
fn nothing_is_published_against_a_block_and_a_late_one_hears_nothing() {
    let (mut world, anna, _) = two(52);
    world.block("anna", BOTH);
    world.publish(anna, "screen", Kind::Video);
    assert_eq!(world.room.tracks.len(), 2);
    assert!(world.told(anna).iter().any(|message| matches!(message, Message::RequestResponse(response)
        if response.reason() == proto::request_response::Reason::NotAllowed)));
    let carla = world.join("carla");
    world.obey();
    assert!(!world.flows(anna, carla, Kind::Audio) && !world.flows(anna, carla, Kind::Video));
    world.block("anna", FREE);
    assert!(world.flows(anna, carla, Kind::Audio) && world.flows(anna, carla, Kind::Video));
}

#[test]
fn what_was_announced_before_the_block_is_silent_when_it_comes() {
    let mut world = World::new(53);
    let (anna, boris) = (world.join("anna"), world.join("boris"));
    let request = proto::AddTrackRequest { cid: "mic".into(), ..Default::default() };
    world.ask(anna, Asked::AddTrack(request));
    world.block("anna", VOICE);
    let section = Section { slot: Slot("0".into()), kind: Kind::Audio, sends: Some("mic".into()), receives: false };
    world.offered.insert(anna, vec![section]);
    world.offer(anna);
    world.obey();
    assert!(world.looks_muted(anna, Kind::Audio) && !world.flows(anna, boris, Kind::Audio));
    world.block("anna", FREE);
    assert!(!world.looks_muted(anna, Kind::Audio) && world.flows(anna, boris, Kind::Audio));
}

#[test]
fn a_subscribers_own_pause_outlives_the_block_of_another() {
    let (mut world, anna, boris) = two(54);
    let track_sids = world.room.participants()[0].tracks.iter().map(|track| track.sid.clone()).collect();
    let pause = proto::UpdateTrackSettings { track_sids, disabled: true, ..Default::default() };
    world.block("anna", BOTH);
    world.ask(boris, Asked::TrackSetting(pause));
    world.block("anna", FREE);
    assert!(!world.flows(anna, boris, Kind::Video));
}

#[test]
fn a_block_ends_with_the_membership_and_the_client_is_told_what_it_may() {
    let (mut world, anna, _) = two(55);
    world.block("anna", VOICE);
    let permission = world.view(anna, "anna").and_then(|info| info.permission).expect("told of itself");
    assert!(permission.can_publish && permission.can_publish_data);
    let sources = [proto::TrackSource::Camera, proto::TrackSource::ScreenShare].map(i32::from);
    assert_eq!(permission.can_publish_sources, sources);
    world.block("anna", BOTH);
    assert!(!world.view(anna, "anna").and_then(|info| info.permission).expect("told").can_publish);
    let again = world.join("anna");
    world.publish(again, "mic", Kind::Audio);
    assert!(!world.looks_muted(again, Kind::Audio));
}
