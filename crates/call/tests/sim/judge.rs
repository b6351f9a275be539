//! What a run has to show for itself: the story of each device, its order, and that both ends agree.

use super::{Device, Seen, World};
use call::session::CallState;
use protocol::{CallEndReason, CallId, Event, UserId};
use std::collections::BTreeMap;

/// A device's events in few words, for comparison: names, and of ends the reason, who caused it and `callerId`.
pub fn story(device: &Device) -> Vec<String> {
    let reason = |reason: &CallEndReason| format!("{reason:?}");
    let tell = |seen: &Seen| match seen {
        Seen::Enter(_) => "enter".to_owned(),
        Seen::Leave(_) => "leave".to_owned(),
        Seen::Exit(by) => format!("exit by {}", by.as_deref().unwrap_or("?")),
        Seen::Refused(code) => format!("refused {code}"),
        Seen::Died => "died".to_owned(),
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
            Event::OnUserNoResponse { user_id } => format!("silent {user_id}"),
            Event::OnUserLineBusy { user_id } => format!("busy {user_id}"),
            Event::OnKickedOffline => "kicked".to_owned(),
            other => format!("{other:?}"),
        },
    };
    device.seen.iter().map(tell).collect()
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
        let book = world.board.calls().find(|call| call.party(&device.user).is_some_and(call::call::Party::is_in));
        assert_eq!(
            live.then(|| device.session.call().call_id().cloned()).flatten(),
            book.map(|call| call.id().clone()),
            "{context:?}: {} and the server do not agree: {:#?}",
            device.user,
            story(device)
        );
    }
    for call in world.board.calls() {
        assert!(!call.parties().iter().any(call::call::Party::is_ringing), "{context:?}: it rings forever");
    }
}

/// received? -> (begin -> … -> end | cancelled), devices released before the end is reported, nothing after it.
fn check_order(device: &Device, context: &dyn std::fmt::Debug) {
    let story = story(device);
    let (mut begun, mut inside) = (false, false);
    for word in &story {
        let kind = word.split(' ').next().unwrap();
        match kind {
            "received" => assert!(!begun, "{context:?}: {story:#?}"),
            "begin" => {
                assert!(!begun, "{context:?}: began twice {story:#?}");
                begun = true;
            }
            "died" => (begun, inside) = (false, false),
            "enter" => inside = true,
            "leave" => inside = false,
            "end" => {
                assert!(begun, "{context:?}: ended before it began {story:#?}");
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
        let users: std::collections::BTreeSet<_> = told.iter().map(|(user, _)| *user).collect();
        assert_eq!(users.len(), told.len(), "{context:?}: somebody was told twice: {told:?}");
    }
}
