//! Random lives by seed: whatever members do in whatever order, the room keeps its promises.

use super::*;

struct Dice(ids::SidMaker);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        let text = self.0.next("");
        text.bytes().fold(0usize, |sum, byte| sum.wrapping_mul(62).wrapping_add(usize::from(byte))) % limit.max(1)
    }
}

fn live(seed: u64) {
    let mut world = World::new(seed);
    let mut dice = Dice(ids::SidMaker::new(seed));
    let mut next = 0;
    world.join("first");
    for _ in 0..200 {
        if world.room.is_finished() {
            return;
        }
        let members: Vec<MemberId> = world.room.members.keys().copied().collect();
        let member = members[dice.below(members.len())];
        next += 1;
        match dice.below(12) {
            0 | 1 => {
                let wiring = if dice.below(3) == 0 { Wiring::Two } else { Wiring::One };
                world.join_as(joining(&format!("p{}", dice.below(8)), wiring));
            }
            2 | 3 => {
                let kind = if dice.below(2) == 0 { Kind::Audio } else { Kind::Video };
                world.publish(member, &format!("t{next}"), kind);
            }
            4 => {
                for section in world.offered.entry(member).or_default().iter_mut().filter(|_| dice.below(2) == 0) {
                    section.sends = None;
                }
                world.offer(member);
            }
            5 if members.len() > 1 => world.ask(member, Asked::Leave(proto::LeaveRequest::default())),
            6 => {
                world.room.handle_signal_closed(world.now, member);
                if dice.below(2) == 0 {
                    world.room.handle_resume(world.now, member);
                }
            }
            7 => world.obey(),
            8 => {
                for (member, delivery) in std::mem::take(&mut world.sections) {
                    world.room.handle_section_added(world.now, member, delivery.track, Slot(delivery.track_sid));
                    world.drain();
                }
            }
            9 => {
                let sids: Vec<String> = world.room.tracks.values().map(|track| track.info.sid.clone()).collect();
                let subscribe = dice.below(2) == 0;
                let update = proto::UpdateSubscription { track_sids: sids, subscribe, ..Default::default() };
                world.ask(member, Asked::Subscription(update));
            }
            10 => world.pass(Duration::from_millis(dice.below(9_000) as u64)),
            _ => {
                for member in members {
                    world.room.handle_packet_seen(world.now, member);
                    world.room.handle_signal_seen(world.now, member);
                }
            }
        }
        world.drain();
        for (track, member) in world.bound.keys() {
            assert!(world.room.tracks.contains_key(track), "seed {seed}: a binding without a track");
            assert!(world.room.members.contains_key(member), "seed {seed}: a binding without a member");
        }
    }
    if world.room.is_finished() {
        return;
    }
    // When everybody obeys, everybody with the wish has every track.
    world.settle_sections();
    for member in world.room.members.values() {
        for track in member.wants.keys() {
            assert!(world.bound.contains_key(&(*track, member.id)), "seed {seed}: a wish without a section");
        }
    }
}

#[test]
fn whatever_members_do_the_room_keeps_its_promises() {
    for seed in 0..500 {
        live(seed);
    }
}
