//! What the outside is told: enough for webhooks, in one order.

use super::*;

#[test]
fn a_life_is_told_from_its_start_to_its_end() {
    let mut world = World::new(40);
    let anna = world.join("anna");
    world.join("boris");
    world.publish(anna, "mic", Kind::Audio);
    world.publish(anna, "cam", Kind::Video);
    let sid = world.room.participants()[0].tracks[0].sid.clone();
    world.ask(anna, Asked::Mute(proto::MuteTrackRequest { sid: sid.clone(), muted: true }));
    world.ask(anna, Asked::Mute(proto::MuteTrackRequest { sid: sid.clone(), muted: true }));
    world.ask(anna, Asked::Mute(proto::MuteTrackRequest { sid, muted: false }));
    world.offered.get_mut(&anna).expect("offered")[0].sends = None;
    world.offer(anna);
    world.ask(anna, Asked::Leave(proto::LeaveRequest::default()));
    world.room.handle_remove(world.now, "boris");
    world.drain();
    let expected = [
        "started n:1",
        "joined anna",
        "joined boris",
        "published anna mic",
        "published anna cam",
        "muted anna mic",
        "unmuted anna mic",
        "unpublished anna mic",
        "left anna CLIENT_INITIATED",
        "left boris PARTICIPANT_REMOVED",
        "finished n:1",
    ];
    assert_eq!(world.history(), expected);
}

#[test]
fn who_leaves_is_told_of_with_the_tracks_that_end() {
    let mut world = World::new(41);
    let (anna, boris) = (world.join("anna"), world.join("boris"));
    world.publish(anna, "mic", Kind::Audio);
    world.ask(anna, Asked::Leave(proto::LeaveRequest::default()));
    let left = world.happened.iter().find_map(|happening| match happening {
        Happening::Left { who, .. } => Some(who.clone()),
        _ => None,
    });
    let left = left.expect("told");
    assert_eq!((left.tracks.len(), left.state()), (1, proto::participant_info::State::Disconnected));
    assert_eq!(world.view(boris, "anna").expect("told").tracks.len(), 0, "members see no tracks of who is gone");
}

#[test]
fn the_room_describes_itself_when_it_starts_and_ends() {
    let mut world = World::new(42);
    world.join("anna");
    world.room.handle_delete(world.now);
    world.drain();
    let [Happening::Started { room: first }, .., Happening::Finished { room: last }] = world.happened.as_slice() else {
        panic!("first and last: {:?}", world.history());
    };
    assert!(first.sid.starts_with("RM_") && first.sid == last.sid);
    assert_eq!((first.num_participants, last.num_participants), (0, 0));
}
