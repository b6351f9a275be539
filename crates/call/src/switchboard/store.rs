//! What has to survive a restart.

use super::{Account, DeviceSession, Switchboard};
use crate::call::{Call, CallLog};
use protocol::{CallId, ExitReason, RoomId, UnixMillis, UserId};
use std::collections::BTreeSet;

/// What has changed since the last [`Switchboard::take_changes`].
#[derive(Debug, Default)]
pub(super) struct Dirty {
    pub(super) calls: BTreeSet<CallId>,
    pub(super) sessions: BTreeSet<String>,
    pub(super) users: BTreeSet<UserId>,
    pub(super) logs: Vec<CallLog>,
    /// Whose record of which call is deleted.
    pub(super) forgotten: BTreeSet<(UserId, CallId)>,
    /// Who was put out of which room, or has freshly entered it since.
    pub(super) put_out: BTreeSet<(RoomId, UserId)>,
}

/// One row to write. All rows of one [`Switchboard::take_changes`] belong into one transaction.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// A call, or that it is over.
    Call(CallId, Option<Box<Call>>),
    /// A session with its outbox, or that it is gone.
    Session(String, Option<Box<DeviceSession>>),
    /// Somebody signed in for the first time, or changed something about themselves.
    User(UserId, Account),
    /// The record of a call that is over.
    Log(Box<CallLog>),
    /// Somebody has deleted their record of a call.
    Forget(UserId, CallId),
    /// Why somebody was put out of a room (named as on the LiveKit wire), or that they have freshly entered it since.
    PutOut(String, UserId, Option<ExitReason>),
}

/// Everything that a store gives back after a restart.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stored {
    /// Calls that were under way.
    pub calls: Vec<Call>,
    /// Sessions.
    pub sessions: Vec<DeviceSession>,
    /// Everyone who has ever signed in.
    pub users: Vec<(UserId, Account)>,
    /// Who was put out of a room and has not freshly entered it since.
    pub put_out: Vec<(RoomId, UserId, ExitReason)>,
}

impl Switchboard {
    /// What changed since the last time: to be stored in one transaction before the outputs are carried out.
    pub fn take_changes(&mut self) -> Vec<Change> {
        let dirty = std::mem::take(&mut self.dirty);
        let calls = dirty.calls.into_iter().map(|id| {
            let call = self.calls.get(&id).cloned().map(Box::new);
            Change::Call(id, call)
        });
        let sessions = dirty.sessions.into_iter().map(|name| {
            let session = self.sessions.get(&name).cloned().map(Box::new);
            Change::Session(name, session)
        });
        let users = dirty.users.into_iter().map(|user| {
            let account = self.accounts.get(&user).cloned().unwrap_or_default();
            Change::User(user, account)
        });
        let logs = dirty.logs.into_iter().map(|log| Change::Log(Box::new(log)));
        let forgotten = dirty.forgotten.into_iter().map(|(user, call)| Change::Forget(user, call));
        let put_out = dirty.put_out.into_iter().map(|membership| {
            let reason = self.put_out.get(&membership);
            Change::PutOut(membership.0.wire_name(), membership.1, reason)
        });
        calls.chain(sessions).chain(users).chain(logs).chain(forgotten).chain(put_out).collect()
    }

    /// Goes on with what was stored. Every socket is lost and every room empty until shown otherwise.
    pub fn restore(&mut self, stored: Stored, now: UnixMillis) {
        self.accounts.extend(stored.users);
        for (room, user, reason) in stored.put_out {
            self.put_out.insert((room, user), reason);
        }
        for mut session in stored.sessions {
            session.conn = None;
            session.offline_since = session.offline_since.or(Some(now));
            self.sessions_by_user.entry(session.user.clone()).or_default().insert(session.name.clone());
            self.mark_session(&session.name);
            self.sessions.insert(session.name.clone(), session);
        }
        for mut call in stored.calls {
            call.handle_restored(now);
            self.outputs.push_back(super::Output::OpenRoom(call.room().clone()));
            self.spread(call, now);
        }
    }
}
