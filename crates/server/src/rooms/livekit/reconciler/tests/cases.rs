//! One behaviour each.

use super::*;

const ROOM: &str = "n:1";

fn carol() -> Option<String> {
    Some("carol".to_owned())
}

/// Alice and Bob are in, and that was told.
fn two() -> World {
    let mut world = World::new();
    world.enter(ROOM, "alice");
    world.enter(ROOM, "bob");
    world.pass_secs(1);
    assert_eq!(world.told(), [started(), joined("alice"), joined("bob")]);
    world
}

#[test]
fn webhooks_tell_at_once_and_listings_repeat_nothing() {
    let mut world = two();
    world.out(ROOM, "bob", DisconnectReason::ClientInitiated);
    world.step();
    assert_eq!(world.told(), [left("bob", LeftWhy::Own)]);
    world.pass_secs(60);
    assert!(world.told().is_empty());
    assert!(world.listings >= 5, "{} listings", world.listings);
}

#[test]
fn every_reason_of_livekit_means_something() {
    for (reason, why) in [
        (DisconnectReason::ClientInitiated, LeftWhy::Own),
        (DisconnectReason::ParticipantRemoved, LeftWhy::Removed { by: None }),
        (DisconnectReason::SignalClose, LeftWhy::Lost),
        (DisconnectReason::ConnectionTimeout, LeftWhy::Lost),
        (DisconnectReason::ServerShutdown, LeftWhy::Lost),
        (DisconnectReason::StateMismatch, LeftWhy::Lost),
        (DisconnectReason::UnknownReason, LeftWhy::Lost),
    ] {
        let mut world = two();
        world.out(ROOM, "bob", reason);
        world.pass_secs(1);
        assert_eq!(world.told(), [left("bob", why)], "{reason:?}");
    }
}

#[test]
fn a_participant_on_the_way_to_another_node_has_not_left() {
    let mut world = two();
    let (room, mut bob) = (world.rooms[ROOM].room.clone(), world.rooms[ROOM].members["bob"].0.clone());
    bob.set_disconnect_reason(DisconnectReason::Migration);
    world.brain.handle_news(world.now, &room, News::Left(bob));
    world.pass_secs(30);
    assert!(world.told().is_empty());
}

#[test]
fn without_any_webhook_listings_find_everything_and_say_so_once() {
    let mut world = World::new();
    world.fate = Fate::Lost;
    world.pass_secs(1);
    world.enter(ROOM, "alice");
    world.enter(ROOM, "bob");
    world.pass(LISTING_INTERVAL);
    assert_eq!(world.told(), [started(), joined("alice"), joined("bob")]);
    world.out(ROOM, "bob", DisconnectReason::ClientInitiated);
    world.pass(LISTING_INTERVAL + MISSING_GRACE + STEP * 2);
    // Why is known by webhooks alone.
    assert_eq!(world.told(), [left("bob", LeftWhy::Lost)]);
    assert_eq!(world.reports, 1);
    world.out(ROOM, "alice", DisconnectReason::ClientInitiated);
    world.end_room(ROOM);
    world.pass(LISTING_INTERVAL + MISSING_GRACE + STEP * 2);
    assert_eq!(world.told(), [left("alice", LeftWhy::Lost), finished(FinishedWhy::Empty)]);
    assert_eq!(world.reports, 1);
}

#[test]
fn whoever_was_there_before_the_start_is_no_sign_of_missing_webhooks() {
    let mut world = World::new();
    world.fate = Fate::Lost;
    world.enter(ROOM, "alice");
    world.pass_secs(60);
    assert_eq!(world.told(), [started(), joined("alice")]);
    assert_eq!(world.reports, 0);
}

#[test]
fn a_late_webhook_still_gives_the_reason() {
    let mut world = two();
    world.fates.push_back(Fate::After(Duration::from_secs(3)));
    // Just before a listing that does not show bob any more.
    let due = world.brain.poll_timeout().unwrap();
    world.pass(due - world.now - STEP);
    world.out(ROOM, "bob", DisconnectReason::ParticipantRemoved);
    world.pass_secs(2);
    assert!(world.told().is_empty());
    world.pass_secs(2);
    assert_eq!(world.told(), [left("bob", LeftWhy::Removed { by: None })]);
}

#[test]
fn repeated_and_reordered_webhooks_change_nothing() {
    let mut world = World::new();
    // The leave overtakes the join; both come twice.
    let secs = Duration::from_secs;
    world.fates.extend([AT_ONCE, AT_ONCE, Fate::Twice(secs(4), secs(9)), Fate::Twice(secs(2), secs(6))]);
    world.enter(ROOM, "alice");
    world.enter(ROOM, "bob");
    world.pass_secs(1);
    assert_eq!(world.told(), [started(), joined("alice"), joined("bob")], "the first listing has seen bob");
    world.out(ROOM, "bob", DisconnectReason::ClientInitiated);
    world.pass_secs(60);
    assert_eq!(world.told(), [left("bob", LeftWhy::Own)]);
}

#[test]
fn whoever_left_before_anybody_knew_of_them_came_and_left() {
    let mut world = World::new();
    world.pass_secs(1);
    world.fates.extend([AT_ONCE, Fate::Lost]);
    world.enter(ROOM, "bob");
    world.pass_secs(1);
    world.out(ROOM, "bob", DisconnectReason::ClientInitiated);
    world.pass_secs(1);
    assert_eq!(world.told(), [started(), joined("bob"), left("bob", LeftWhy::Own)]);
}

#[test]
fn the_same_identity_replaces_itself_in_any_order_of_webhooks() {
    for fates in [
        vec![AT_ONCE, AT_ONCE],
        // The new one's join comes first; the old one's leave first; the leave is lost; the join is lost.
        vec![Fate::After(Duration::from_secs(1)), AT_ONCE],
        vec![AT_ONCE, Fate::After(Duration::from_secs(1))],
        vec![Fate::Lost, AT_ONCE],
        vec![AT_ONCE, Fate::Lost],
        vec![Fate::Lost, Fate::Lost],
    ] {
        let mut world = two();
        world.fates.extend(fates.clone());
        world.enter(ROOM, "bob");
        world.pass_secs(60);
        assert_eq!(world.told(), [left("bob", LeftWhy::Replaced), joined("bob")], "{fates:?}");
    }
}

#[test]
fn a_removal_is_told_once_with_its_author_even_if_its_webhook_is_lost() {
    for fate in [AT_ONCE, Fate::After(Duration::from_secs(2)), Fate::Twice(STEP, STEP * 9), Fate::Lost] {
        let mut world = two();
        world.fates.push_back(fate);
        world.remove(ROOM, "bob");
        assert_eq!(world.told(), [left("bob", LeftWhy::Removed { by: carol() })], "{fate:?}");
        world.pass_secs(60);
        assert!(world.told().is_empty(), "{fate:?}");
    }
}

#[test]
fn a_removal_of_somebody_of_whom_no_webhook_told_is_told() {
    let mut world = World::new();
    world.pass_secs(1);
    world.fate = Fate::Lost;
    world.enter(ROOM, "bob");
    world.remove(ROOM, "bob");
    assert_eq!(world.told(), [started(), joined("bob"), left("bob", LeftWhy::Removed { by: carol() })]);
}

#[test]
fn a_webhook_may_be_faster_than_the_answer() {
    let mut world = two();
    let (room, mut bob) = (world.rooms[ROOM].room.clone(), world.rooms[ROOM].members["bob"].0.clone());
    bob.set_disconnect_reason(DisconnectReason::ParticipantRemoved);
    world.brain.begin_removal(world.now, ROOM, "bob", carol());
    world.rooms.get_mut(ROOM).unwrap().members.remove("bob");
    world.brain.handle_news(world.now, &room, News::Left(bob));
    world.brain.end_removal(world.now, ROOM, "bob", true);
    world.pass_secs(60);
    assert_eq!(world.told(), [left("bob", LeftWhy::Removed { by: carol() })]);
}

#[test]
fn a_removed_user_cannot_stay_with_an_old_token() {
    for fate in [AT_ONCE, Fate::Lost] {
        let mut world = two();
        world.remove(ROOM, "bob");
        world.told();
        world.fate = fate;
        world.enter_as(ROOM, "bob", Token::Void);
        world.pass(LISTING_INTERVAL + STEP * 2);
        assert!(!world.rooms[ROOM].members.contains_key("bob"), "{fate:?}");
        world.pass_secs(60);
        // Nobody is bothered with it.
        assert!(world.told().is_empty(), "{fate:?}");
    }
}

#[test]
fn whoever_came_with_an_old_token_and_left_before_anybody_saw_it_was_not_there() {
    let mut world = two();
    world.remove(ROOM, "bob");
    world.told();
    world.fates.push_back(Fate::Lost);
    world.enter_as(ROOM, "bob", Token::Void);
    world.out(ROOM, "bob", DisconnectReason::ClientInitiated);
    world.pass_secs(30);
    assert!(world.told().is_empty());
}

#[test]
fn what_one_process_has_made_void_the_next_one_knows() {
    let mut world = two();
    world.remove(ROOM, "bob");
    world.brain.revoke(world.now, ROOM, "alice");
    let mut kept = BTreeMap::new();
    while let Some((room, identity, bar)) = world.brain.poll_kept() {
        kept.insert((room, identity), bar);
    }
    world.brain = Reconciler::new();
    for ((room, identity), bar) in kept {
        if let Some(bar) = bar {
            world.brain.recall(room, identity, bar);
        }
    }
    world.told();
    world.enter_as(ROOM, "bob", Token::Void);
    world.pass_secs(20);
    // Alice was in before her tokens became void, and stays.
    assert_eq!(world.told(), [started(), joined("alice")]);
    assert_eq!(world.rooms[ROOM].members.keys().collect::<Vec<_>>(), ["alice"]);
    world.enter(ROOM, "bob");
    let kept = std::iter::from_fn(|| world.brain.poll_kept()).last();
    assert_eq!(kept, Some((ROOM.to_owned(), "bob".to_owned(), None)));
}

#[test]
fn they_are_put_out_for_as_long_as_they_try_and_at_last_when_livekit_is_back() {
    let mut world = two();
    world.remove(ROOM, "bob");
    world.told();
    for _ in 0..5 {
        world.enter_as(ROOM, "bob", Token::Void);
        world.pass_secs(1);
        assert!(!world.rooms[ROOM].members.contains_key("bob"));
    }
    world.reachable = false;
    world.enter_as(ROOM, "bob", Token::Void);
    world.pass_secs(20 * 60);
    assert!(world.rooms[ROOM].members.contains_key("bob"));
    world.reachable = true;
    world.pass(LISTING_RETRY + STEP * 3);
    assert!(!world.rooms[ROOM].members.contains_key("bob"));
    assert!(world.told().is_empty());
}

#[test]
fn a_removed_user_may_enter_with_a_new_token() {
    let mut world = two();
    world.remove(ROOM, "bob");
    world.told();
    world.enter(ROOM, "bob");
    world.pass_secs(60);
    assert_eq!(world.told(), [joined("bob")]);
}

#[test]
fn a_removal_at_livekit_itself_makes_our_tokens_void_and_no_others() {
    let mut world = two();
    world.enter_as(ROOM, "guest", Token::Good);
    world.pass_secs(1);
    world.told();
    for who in ["bob", "guest"] {
        world.out(ROOM, who, DisconnectReason::ParticipantRemoved);
        world.pass_secs(1);
        assert_eq!(world.told(), [left(who, LeftWhy::Removed { by: None })]);
        world.enter_as(ROOM, who, Token::Void);
    }
    world.pass_secs(1);
    assert_eq!(world.told(), [joined("guest")]);
    assert!(!world.rooms[ROOM].members.contains_key("bob"));
}

#[test]
fn a_removal_that_fails_changes_nothing() {
    let mut world = two();
    world.reachable = false;
    world.remove(ROOM, "bob");
    world.reachable = true;
    world.pass_secs(60);
    assert!(world.told().is_empty());
    assert!(world.rooms[ROOM].members.contains_key("bob"));
}

#[test]
fn revoked_tokens_let_nobody_in_and_whoever_is_in_stays() {
    let mut world = two();
    world.brain.revoke(world.now, ROOM, "bob");
    world.pass_secs(30);
    assert!(world.told().is_empty());
    world.out(ROOM, "bob", DisconnectReason::ClientInitiated);
    world.pass_secs(1);
    assert_eq!(world.told(), [left("bob", LeftWhy::Own)]);
    world.enter_as(ROOM, "bob", Token::Void);
    world.pass_secs(1);
    assert!(world.told().is_empty());
    assert!(!world.rooms[ROOM].members.contains_key("bob"));
}

#[test]
fn an_old_token_that_takes_the_place_of_its_owner_leaves_nobody() {
    let mut world = two();
    world.brain.revoke(world.now, ROOM, "bob");
    world.enter_as(ROOM, "bob", Token::Void);
    world.pass_secs(1);
    assert_eq!(world.told(), [left("bob", LeftWhy::Lost)]);
    assert!(!world.rooms[ROOM].members.contains_key("bob"));
}

#[test]
fn void_tokens_are_forgotten_when_they_have_expired() {
    let mut world = two();
    world.remove(ROOM, "bob");
    world.told();
    world.pass(bars::BAR_LIFE + LISTING_INTERVAL * 2);
    world.enter_as(ROOM, "bob", Token::Good);
    world.pass_secs(1);
    assert_eq!(world.told(), [joined("bob")]);
}

#[test]
fn a_dismissal_is_told_to_everybody_once_whatever_becomes_of_the_webhooks() {
    for fate in [AT_ONCE, Fate::After(Duration::from_secs(3)), Fate::Twice(STEP, STEP * 9), Fate::Lost] {
        let mut world = two();
        world.fate = fate;
        world.dismiss(ROOM);
        world.pass_secs(60);
        let dismissed = || LeftWhy::Dismissed { by: carol() };
        let why = FinishedWhy::Dismissed { by: carol() };
        assert_eq!(world.told(), [left("alice", dismissed()), left("bob", dismissed()), finished(why)], "{fate:?}");
    }
}

#[test]
fn a_dismissal_at_livekit_itself_is_told_even_if_one_of_its_webhooks_is_lost() {
    for lost in 0..3 {
        let mut world = two();
        world.fates.extend([AT_ONCE; 3]);
        world.fates[lost] = Fate::Lost;
        world.delete(ROOM);
        world.pass_secs(30);
        let told = world.told();
        assert_eq!(told.last(), Some(&finished(FinishedWhy::Dismissed { by: None })), "{lost}: {told:?}");
        let dismissed = || LeftWhy::Dismissed { by: None };
        assert!(told.contains(&left("alice", dismissed())) && told.contains(&left("bob", dismissed())), "{told:?}");
        assert_eq!(told.len(), 3);
    }
}

#[test]
fn the_end_of_a_room_waits_for_the_reasons_of_its_members() {
    let mut world = two();
    let late = Fate::After(Duration::from_secs(2));
    world.fates.extend([late, late, AT_ONCE]);
    world.delete(ROOM);
    world.pass_secs(1);
    assert!(world.told().is_empty());
    world.pass_secs(2);
    let dismissed = || LeftWhy::Dismissed { by: None };
    let end = finished(FinishedWhy::Dismissed { by: None });
    assert_eq!(world.told(), [left("alice", dismissed()), left("bob", dismissed()), end]);
}

#[test]
fn a_room_of_the_same_name_is_another_room() {
    let mut world = two();
    world.fate = Fate::Lost;
    world.delete(ROOM);
    world.fate = AT_ONCE;
    world.pass_secs(1);
    world.enter(ROOM, "alice");
    world.pass_secs(1);
    let lost = [left("alice", LeftWhy::Lost), left("bob", LeftWhy::Lost), finished(FinishedWhy::Empty)];
    assert_eq!(world.told(), [&lost[..], &[started(), joined("alice")]].concat());
}

#[test]
fn news_of_a_room_before_the_present_one_are_old() {
    let mut world = World::new();
    world.pass_secs(1);
    let late = Fate::After(Duration::from_secs(8));
    world.fates.extend([late, late, late, late]);
    world.enter(ROOM, "alice");
    world.delete(ROOM);
    world.pass_secs(1);
    world.enter(ROOM, "bob");
    world.pass_secs(60);
    assert_eq!(world.told(), [started(), joined("bob")]);
}

#[test]
fn livekit_out_of_reach_ends_nothing() {
    let mut world = two();
    world.reachable = false;
    world.pass_secs(30 * 60);
    assert!(world.told().is_empty());
    world.reachable = true;
    world.pass_secs(60);
    assert!(world.told().is_empty());
}

#[test]
fn a_restart_of_livekit_loses_people_only_until_they_are_back() {
    let mut world = two();
    world.crash();
    world.reachable = false;
    world.pass_secs(20);
    world.reachable = true;
    world.enter(ROOM, "alice");
    world.enter(ROOM, "bob");
    world.pass_secs(60);
    assert_eq!(picture(&world.events), world.truth());
    let back = [started(), joined("alice"), joined("bob")];
    assert_eq!(world.told().into_iter().filter(|told| back.contains(told)).collect::<Vec<_>>(), back);
}

#[test]
fn whoever_comes_while_a_listing_is_on_its_way_is_not_missing_in_it() {
    let mut world = two();
    world.listing_takes = Duration::from_secs(4);
    let due = world.brain.poll_timeout().unwrap();
    world.pass(due - world.now + Duration::from_secs(3));
    world.enter(ROOM, "carol");
    world.pass_secs(60);
    assert_eq!(world.told(), [joined("carol")]);
}

#[test]
fn a_room_that_cannot_be_listed_is_left_as_it_is() {
    let mut world = two();
    let listing = Listing { rooms: vec![(world.rooms[ROOM].room.clone(), None)] };
    for _ in 0..5 {
        world.now += MISSING_GRACE;
        world.brain.handle_listing(world.now, listing.clone());
    }
    world.drain();
    assert!(world.told().is_empty());
}

#[test]
fn an_attempt_that_never_connected_is_over() {
    let mut world = two();
    let (room, dave) = (world.rooms[ROOM].room.clone(), world.description("dave"));
    world.brain.handle_seen(world.now, &room, std::slice::from_ref(&dave));
    world.brain.handle_news(world.now, &room, News::Aborted(dave.clone()));
    world.brain.handle_news(world.now, &room, News::Joined(dave));
    world.drain();
    assert_eq!(world.told(), [joined("dave"), left("dave", LeftWhy::Lost)]);
}

#[test]
fn a_ghost_in_the_listings_stays_gone() {
    let mut world = two();
    let ghost = world.rooms[ROOM].members["bob"].clone();
    world.out(ROOM, "bob", DisconnectReason::ClientInitiated);
    world.rooms.get_mut(ROOM).unwrap().members.insert("bob".to_owned(), ghost);
    world.pass(GONE_LIFE * 3);
    assert_eq!(world.told(), [left("bob", LeftWhy::Own)]);
}

#[test]
fn tracks_are_told_at_once_and_once() {
    let mut world = two();
    for fate in [AT_ONCE, Fate::Twice(STEP, STEP * 40), Fate::Lost] {
        world.fates.push_back(fate);
        world.publish(ROOM, "bob");
        world.pass(if fate == Fate::Lost { LISTING_INTERVAL + STEP } else { STEP * 2 });
        assert_eq!(world.told(), ["bob published"], "{fate:?}");
        world.pass_secs(30);
        world.fates.push_back(fate);
        world.unpublish(ROOM, "bob");
        let patience = LISTING_INTERVAL + MISSING_GRACE + STEP * 2;
        world.pass(if fate == Fate::Lost { patience } else { STEP * 2 });
        assert_eq!(world.told(), ["bob unpublished"], "{fate:?}");
        world.pass_secs(30);
        assert!(world.told().is_empty(), "{fate:?}");
    }
}

#[test]
fn who_leaves_is_told_of_with_the_tracks_that_end() {
    let mut world = two();
    world.publish(ROOM, "bob");
    world.publish(ROOM, "bob");
    world.pass_secs(1);
    world.out(ROOM, "bob", DisconnectReason::ClientInitiated);
    world.pass_secs(1);
    let Some(RoomEvent::Left { who, .. }) = world.events.last() else { panic!("{:?}", world.told()) };
    assert_eq!((who.tracks.len(), who.state()), (2, participant_info::State::Disconnected));
    assert_eq!(who.disconnect_reason(), DisconnectReason::ClientInitiated);
}

#[test]
fn mute_is_seen_in_listings() {
    let mut world = two();
    world.publish(ROOM, "bob");
    world.pass_secs(1);
    world.told();
    for muted in [true, false] {
        world.mute(ROOM, "bob", muted);
        world.pass(LISTING_INTERVAL + STEP);
        assert_eq!(world.told(), [if muted { "bob muted" } else { "bob unmuted" }]);
    }
}

#[test]
fn a_track_of_somebody_unknown_comes_with_them() {
    let mut world = World::new();
    world.pass_secs(1);
    world.fates.extend([AT_ONCE, Fate::After(Duration::from_secs(1)), AT_ONCE]);
    world.enter(ROOM, "bob");
    world.publish(ROOM, "bob");
    world.pass(LISTING_INTERVAL + STEP * 2);
    assert_eq!(world.told(), [started(), joined("bob"), "bob published".to_owned()]);
}

#[test]
fn an_older_answer_that_comes_later_changes_nothing() {
    let mut world = two();
    world.publish(ROOM, "bob");
    world.pass_secs(1);
    let room = world.rooms[ROOM].room.clone();
    let older = world.rooms[ROOM].members["bob"].0.clone();
    world.mute(ROOM, "bob", true);
    world.look(ROOM);
    world.brain.handle_seen(world.now, &room, &[older]);
    world.drain();
    assert_eq!(world.told(), ["bob published", "bob muted"]);
}
