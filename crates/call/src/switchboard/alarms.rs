//! Deadlines in the order of time. Looking through ten thousand idle sessions after each input would cost more than the
//! input itself.

use super::{CallId, Switchboard, UnixMillis};
use std::collections::{BTreeMap, BTreeSet};

/// Whose deadline it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Owner {
    Call(CallId),
    /// By its name.
    Session(String),
}

/// What is due when. An owner who was touched is asked anew before anybody looks.
#[derive(Debug, Default)]
pub(super) struct Alarms {
    by_time: BTreeSet<(UnixMillis, Owner)>,
    by_owner: BTreeMap<Owner, UnixMillis>,
    touched: BTreeSet<Owner>,
}

impl Alarms {
    /// Something about the owner has changed; perhaps its deadline.
    pub(super) fn touch(&mut self, owner: Owner) {
        self.touched.insert(owner);
    }

    fn set(&mut self, owner: Owner, at: Option<UnixMillis>) {
        let before = match at {
            Some(at) => self.by_owner.insert(owner.clone(), at),
            None => self.by_owner.remove(&owner),
        };
        if let Some(before) = before {
            self.by_time.remove(&(before, owner.clone()));
        }
        if let Some(at) = at {
            self.by_time.insert((at, owner));
        }
    }
}

impl Switchboard {
    /// Asks everyone who was touched for their deadline.
    fn refresh_alarms(&mut self) {
        for owner in std::mem::take(&mut self.alarms.touched) {
            let at = match &owner {
                Owner::Call(id) => self.calls.get(id).and_then(|call| call.poll_timeout().map(|(at, _)| at)),
                Owner::Session(name) => self.sessions.get(name).and_then(|session| self.session_deadline(session)),
            };
            self.alarms.set(owner, at);
        }
    }

    pub(super) fn next_alarm(&mut self) -> Option<UnixMillis> {
        self.refresh_alarms();
        self.alarms.by_time.first().map(|(at, _)| *at)
    }

    /// Everyone whose time has come, calls before sessions.
    pub(super) fn due(&mut self, now: UnixMillis) -> (Vec<CallId>, Vec<String>) {
        self.refresh_alarms();
        let (mut calls, mut sessions) = (Vec::new(), Vec::new());
        for (_, owner) in self.alarms.by_time.iter().take_while(|(at, _)| *at <= now) {
            match owner {
                Owner::Call(id) => calls.push(id.clone()),
                Owner::Session(name) => sessions.push(name.clone()),
            }
        }
        (calls, sessions)
    }

    /// A call has changed: it is to be stored and asked for its deadline.
    pub(super) fn mark_call(&mut self, id: &CallId) {
        self.dirty.calls.insert(id.clone());
        self.alarms.touch(Owner::Call(id.clone()));
    }

    /// A session has changed: it is to be stored and asked for its deadline.
    pub(super) fn mark_session(&mut self, name: &str) {
        self.dirty.sessions.insert(name.to_owned());
        self.alarms.touch(Owner::Session(name.to_owned()));
    }
}
