//! What a run has to show for itself: the story of each device, its order, and that both ends agree.

use super::{Device, Seen, World};
use call::session::{CallState, Link};
use protocol::{CallEndReason, CallId, Event, UserId};
use std::collections::{BTreeMap, BTreeSet};

/// A device's events in few words, for comparison: names, and of ends the reason, who caused it and `callerId`.
pub fn story(device: &Device) -> Vec<String> {
    let reason = |reason: &CallEndReason| format!("{reason:?}");
    let tell = |seen: &Seen| match seen {
        Seen::Enter(_) => "enter".to_owned(),
        Seen::Leave(_) => "leave".to_owned(),
        Seen::Exit(by) => format!("exit by {}", by.as_deref().unwrap_or("?")),
        Seen::Refused(code) => format!("refused {code}"),
        Seen::Died => "died".to_owned(),
        Seen::Evicted => "evicted".to_owned(),
        Seen::Given(reply) => format!("{} records", reply.records.as_ref().map_or(0, Vec::len)),
        Seen::Event(event) => match event {
            Event::OnCallReceived { caller_id, .. } => format!("received {caller_id}"),
            Event::OnCallCancelled { caller_id, reason: why, user_id, .. } => {
                format!("cancelled {caller_id} {} {user_id}", reason(why))
            }
            Event::OnCallBegin { call_role, .. } => format!("begin {call_role:?}"),
            Event::OnCallEnd { reason: why, user_id, .. } => format!("end {} {user_id}", reason(why)),
            Event::OnUserJoin { user_id } => format!("join {user_id}"),
            Event::OnUserLeave { user_id } => format!("left {user_id}"),
            Event::OnUserReject { user_id } => format!("reject {user_id}"),
            Event::OnUserNoResponse { user_id, .. } => format!("silent {user_id}"),
            Event::OnUserLineBusy { user_id } => format!("busy {user_id}"),
            Event::OnUserInviting { user_id } => format!("inviting {user_id}"),
            Event::OnCallMediaTypeChanged { new_call_media_type, .. } => format!("media {new_call_media_type:?}"),
            Event::OnUserInfoChanged { user_id, nickname, .. } => format!("{user_id} is {nickname}"),
            Event::OnKickedOffline => "kicked".to_owned(),
            Event::OnUserSigExpired => "expired".to_owned(),
            other => format!("{other:?}"),
        },
    };
    let older = |seen: &&Seen| matches!(seen, Seen::Event(event) if event.is_older_only());
    device.seen.iter().filter(|seen| !older(seen)).map(tell).collect()
}

/// What must hold at the end of every run, whatever happened in it.
pub fn check(world: &World, context: &dyn std::fmt::Debug) {
    for device in &world.devices {
        check_order(device, context);
        let live = matches!(device.session.call(), CallState::Live(_));
        assert!(
            live || *device.session.call() == CallState::Idle,
            "{context:?}: {} is stuck in {:?}",
            device.user,
            device.session.call()
        );
        let with_this = |party: &call::call::Party| party.device() == Some(&device.name);
        let book = world.board.calls().find(|call| call.party(&device.user).is_some_and(with_this));
        assert_eq!(
            live.then(|| device.session.call().call_id().cloned()).flatten(),
            book.map(|call| call.id().clone()),
            "{context:?}: {} and the server do not agree: {:#?}",
            device.user,
            story(device)
        );
    }
    check_members(world, context);
    for call in world.board.calls() {
        assert!(!call.parties().iter().any(call::call::Party::is_ringing), "{context:?}: it rings forever");
    }
}

/// received? -> (begin -> … -> end | cancelled), devices released before the end is reported, nothing after it.
fn check_order(device: &Device, context: &dyn std::fmt::Debug) {
    let story = story(device);
    let (mut begun, mut inside, mut died) = (false, false, false);
    for word in &story {
        let kind = word.split(' ').next().unwrap();
        match kind {
            "received" => assert!(!begun, "{context:?}: {story:#?}"),
            "begin" => {
                assert!(!begun, "{context:?}: began twice {story:#?}");
                begun = true;
            }
            "died" => (begun, inside, died) = (false, false, true),
            "enter" => inside = true,
            "leave" => inside = false,
            "end" => {
                // A new process is told of the end of the call that the old one was in.
                assert!(begun || died, "{context:?}: ended before it began {story:#?}");
                assert!(!inside, "{context:?}: the end was reported with open devices {story:#?}");
                begun = false;
            }
            "cancelled" => assert!(!begun, "{context:?}: cancelled after it began {story:#?}"),
            "join" | "left" => assert!(begun, "{context:?}: {word} outside of a call {story:#?}"),
            _ => {}
        }
    }
}

/// Both ends of a call for two tell the same of how it went.
pub fn check_agreement(world: &World, context: &dyn std::fmt::Debug) {
    let mut outcomes: BTreeMap<CallId, Vec<(&UserId, &str)>> = BTreeMap::new();
    for device in &world.devices {
        for seen in &device.seen {
            match seen {
                Seen::Event(Event::OnCallEnd { call_id, .. }) => {
                    outcomes.entry(call_id.clone()).or_default().push((&device.user, "ended"));
                }
                Seen::Event(Event::OnCallCancelled { call_id, .. }) => {
                    outcomes.entry(call_id.clone()).or_default().push((&device.user, "cancelled"));
                }
                _ => {}
            }
        }
    }
    for (call, told) in outcomes {
        assert!(told.iter().all(|(_, how)| *how == told[0].1), "{context:?}: {call}: {told:?}");
        let users: BTreeSet<_> = told.iter().map(|(user, _)| *user).collect();
        assert_eq!(users.len(), told.len(), "{context:?}: somebody was told twice: {told:?}");
    }
}

/// Everyone who is in a call agrees who is in it and whom it still rings.
fn check_members(world: &World, context: &dyn std::fmt::Debug) {
    for device in &world.devices {
        let CallState::Live(live) = device.session.call() else { continue };
        if *device.session.link() != Link::Online {
            continue;
        }
        let Some(call) = world.board.calls().find(|call| *call.id() == live.call) else { continue };
        let there = |which: fn(&call::call::Party) -> bool| -> BTreeSet<_> {
            let others = call.parties().iter().filter(|party| which(party) && party.user != device.user);
            others.map(|party| party.user.clone()).collect()
        };
        let here = |ringing: bool| -> BTreeSet<_> {
            let peers = live.peers.iter().filter(|peer| peer.is_ringing() == ringing);
            peers.map(|peer| peer.user.clone()).collect()
        };
        assert_eq!(here(false), there(call::call::Party::is_in), "{context:?}: {} and who is in", device.user);
        assert_eq!(here(true), there(call::call::Party::is_ringing), "{context:?}: {} and who rings", device.user);
        assert_eq!(live.group, call.is_group(), "{context:?}: {} and the kind", device.user);
    }
}

/// Nobody is in two calls, or rung by one while in another. Holds at every moment.
pub fn check_nobody_is_in_two_calls(world: &World) {
    let mut seen: BTreeMap<&UserId, &CallId> = BTreeMap::new();
    for call in world.board.calls() {
        for party in call.parties().iter().filter(|party| party.is_in() || party.is_ringing()) {
            if let Some(other) = seen.insert(&party.user, call.id()) {
                panic!("{} is in {other} and in {}", party.user, call.id());
            }
        }
    }
}

/// Each call that is over has one record, and it tells each device the end that the device reported; `exact` where
/// nothing was cut, so that no device had to decide alone.
pub fn check_records(world: &World, exact: bool, context: &dyn std::fmt::Debug) {
    let logs = world.logs();
    for log in &logs {
        assert_eq!(world.logged[&log.call_id], 1, "{context:?}: {} was recorded twice", log.call_id);
        assert!(log.ended_at.is_some(), "{context:?}: a record of a call that runs");
        for person in &log.people {
            assert!(person.reason.is_some(), "{context:?}: {} is still in a call that is over", person.user);
            assert!(person.answered || person.total_time == 0, "{context:?}: {person:?}");
        }
        assert!(!world.board.calls().any(|call| *call.id() == log.call_id), "{context:?}: over and running");
    }
    for device in &world.devices {
        let mut ends: BTreeMap<&CallId, CallEndReason> = BTreeMap::new();
        for seen in &device.seen {
            if let Seen::Event(
                Event::OnCallEnd { call_id, reason, .. } | Event::OnCallCancelled { call_id, reason, .. },
            ) = seen
            {
                ends.insert(call_id, *reason);
            }
        }
        let kicked = device.seen.contains(&Seen::Event(Event::OnKickedOffline));
        for (call, reason) in ends {
            let running = world.board.calls().find(|running| running.id() == call).map(call::Call::log);
            let log = logs.iter().find(|log| log.call_id == *call).cloned().or(running);
            let log = log.unwrap_or_else(|| panic!("{context:?}: no record of {call}, which {} was in", device.user));
            let elsewhere = matches!(reason, CallEndReason::OtherDeviceAccepted | CallEndReason::OtherDeviceReject);
            if !exact || elsewhere || kicked {
                continue;
            }
            let record = log.read_by(&device.user).unwrap_or_else(|| panic!("{context:?}: {log:?}"));
            assert_eq!(record.reason, reason, "{context:?}: {} tells {log:?}", device.user);
        }
    }
}
