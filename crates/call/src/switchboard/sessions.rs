//! Sessions: one for each signed-in device, surviving its sockets and the server's restarts.

use super::alarms::Owner;
use super::{Account, ConnId, Output, SESSION_TTL, Switchboard, TICKET_GRACE};
use crate::call::{Departure, To};
use crate::outbox::Outbox;
use protocol::message::{Reply, Resume, Seq, VERSION, Welcome};
use protocol::{Code, DeviceId, Push, Refusal, RequestId, ServerMessage, UnixMillis, UserId};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// Answers kept for requests that a client may send again: as many as it may have in flight.
const REPLIES_KEPT: usize = 16;

/// Devices of one user that are signed in at once; the one that has been away for longest makes room for another.
const DEVICES_LIMIT: usize = 10;

/// A `hello` whose ticket the body has checked.
#[derive(Clone, Debug)]
pub struct SignIn {
    /// Who.
    pub user: UserId,
    /// From where.
    pub device: DeviceId,
    /// The session to go on with.
    pub resume: Option<Resume>,
    /// When the ticket expires.
    pub ticket_expires: UnixMillis,
}

/// One signed-in device.
///
/// ```text
/// connected --socket lost--> waiting --resume--> connected
///     |                         '--10 minutes, or a fresh hello of the same device--> gone
///     '--signed out, signed in elsewhere, outbox full--> gone
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DeviceSession {
    /// Its name on the wire.
    pub name: String,
    /// Who.
    pub user: UserId,
    /// From where.
    pub device: DeviceId,
    /// What the device has not acknowledged.
    pub outbox: Outbox,
    /// Of the newest request that was carried out.
    pub(super) last_request: RequestId,
    pub(super) replies: VecDeque<(RequestId, Result<Reply, Refusal>)>,
    pub(super) ticket_expires: UnixMillis,
    #[serde(skip)]
    pub(super) ticket_told: bool,
    /// Since when no socket holds it.
    pub(super) offline_since: Option<UnixMillis>,
    #[serde(skip)]
    pub(super) conn: Option<ConnId>,
}

impl DeviceSession {
    pub(super) fn keep_reply(&mut self, id: RequestId, result: Result<Reply, Refusal>) {
        self.last_request = id;
        self.replies.push_back((id, result));
        while self.replies.len() > REPLIES_KEPT {
            self.replies.pop_front();
        }
    }
}

impl Switchboard {
    /// A client says hello, with a good ticket.
    pub fn handle_hello(&mut self, conn: ConnId, hello: SignIn, now: UnixMillis) {
        self.meet(&hello.user);
        if let Some(name) = self.resumable(&hello) {
            self.resume(conn, &name, &hello, now);
            return;
        }
        let many = self.may_have_many_devices(&hello.user);
        let names = self.sessions_by_user.get(&hello.user).cloned().unwrap_or_default();
        if names.iter().any(|name| self.supersedes(name, &hello, many)) {
            // It was signed out by another device, or by another process of the same one, and comes back by itself: the
            // later sign-in by a person counts.
            self.send(conn, ServerMessage::Kicked {});
            self.outputs.push_back(Output::Close { conn });
            return;
        }
        let is_same = |name: &String| self.sessions.get(name).is_some_and(|session| session.device == hello.device);
        let (same, others): (Vec<_>, Vec<_>) = names.into_iter().partition(is_same);
        for other in others.iter().filter(|_| !many) {
            self.kick(other, now);
        }
        if many && others.len() >= DEVICES_LIMIT {
            self.kick_idlest(&others, now);
        }
        let user = hello.user.clone();
        let unheard = same.iter().flat_map(|name| self.unheard_ends(name)).collect();
        let name = self.begin_session(conn, hello, now);
        self.catch_up(&name, &same, unheard, now);
        self.greet_with_cards(conn, &user);
    }

    /// Whether a session has taken the place of the one with which this hello wants to go on: of the same device one
    /// that is online, for a dead process leaves one behind; of another device any, where there may be only one device.
    fn supersedes(&self, name: &str, hello: &SignIn, many: bool) -> bool {
        let (Some(session), Some(resume)) = (self.sessions.get(name), &hello.resume) else { return false };
        let later = if session.device == hello.device { session.conn.is_some() } else { !many };
        later && session.name != resume.session
    }

    fn kick_idlest(&mut self, names: &[String], now: UnixMillis) {
        let away = |name: &&String| {
            let since = self.sessions.get(*name).and_then(|session| session.offline_since);
            since.unwrap_or(UnixMillis(u64::MAX))
        };
        if let Some(name) = names.iter().min_by_key(away) {
            self.kick(&name.clone(), now);
        }
    }

    /// Ends of calls that happened while the device's process was dead.
    fn unheard_ends(&self, name: &str) -> Vec<Push> {
        let waiting = self.sessions.get(name).into_iter().flat_map(|session| session.outbox.waiting());
        let ended = |(_, push): &&(Seq, Push)| matches!(push, Push::Ended { .. });
        waiting.filter(ended).map(|(_, push)| push.clone()).collect()
    }

    /// A device starts afresh where it had a session before. What it was in is over for it, and it is told so: the new
    /// session is there when the old one goes, so that the goodbyes reach it.
    fn catch_up(&mut self, name: &str, old: &[String], unheard: Vec<Push>, now: UnixMillis) {
        let Some(session) = self.sessions.get(name) else { return };
        let (user, device) = (session.user.clone(), session.device.clone());
        for old in old {
            self.forget_session(old);
        }
        for push in unheard {
            self.deliver(&To::Device(user.clone(), device.clone()), &push, now);
        }
        if !old.is_empty() {
            self.depart(&user, &device, Departure::Restarted, now);
        }
        if let Some(call) = self.call_by_user.get(&user).cloned() {
            self.with_call(&call, now, |call| call.handle_signed_in(&user, &device));
        }
    }

    fn begin_session(&mut self, conn: ConnId, hello: SignIn, now: UnixMillis) -> String {
        let name = self.ids.session();
        let session = DeviceSession {
            name: name.clone(),
            user: hello.user.clone(),
            device: hello.device.clone(),
            outbox: Outbox::default(),
            last_request: 0,
            replies: VecDeque::new(),
            ticket_expires: hello.ticket_expires,
            ticket_told: false,
            offline_since: None,
            conn: Some(conn),
        };
        self.sessions.insert(name.clone(), session);
        self.sessions_by_user.entry(hello.user.clone()).or_default().insert(name.clone());
        self.session_by_conn.insert(conn, name.clone());
        self.mark_session(&name);
        self.welcome(conn, name.clone(), false, now);
        name
    }

    fn welcome(&mut self, conn: ConnId, session: String, resumed: bool, now: UnixMillis) {
        let heartbeat_ms = u64::try_from(self.settings.heartbeat.as_millis()).unwrap_or(u64::MAX);
        let account = self.user_of(conn).and_then(|user| self.accounts.get(user)).cloned().unwrap_or_default();
        let Account { profile, multi_device } = account;
        let welcome = Welcome { version: VERSION, session, resumed, heartbeat_ms, now, profile, multi_device };
        self.send(conn, ServerMessage::Welcome(welcome));
    }

    /// The session that this hello goes on with, where it may.
    fn resumable(&self, hello: &SignIn) -> Option<String> {
        let resume = hello.resume.as_ref()?;
        let session = self.sessions.get(&resume.session)?;
        let same = session.user == hello.user && session.device == hello.device;
        (same && resume.last_seq <= session.outbox.last()).then(|| session.name.clone())
    }

    fn resume(&mut self, conn: ConnId, name: &str, hello: &SignIn, now: UnixMillis) {
        let Some(session) = self.sessions.get_mut(name) else { return };
        if let Some(old) = session.conn.replace(conn) {
            self.session_by_conn.remove(&old);
            self.outputs.push_back(Output::Close { conn: old });
        }
        session.offline_since = None;
        session.ticket_expires = hello.ticket_expires;
        session.ticket_told = false;
        let (user, device) = (session.user.clone(), session.device.clone());
        self.session_by_conn.insert(conn, name.to_owned());
        self.mark_session(name);
        self.welcome(conn, name.to_owned(), true, now);
        self.acknowledge(name, hello.resume.as_ref().map_or(0, |resume| resume.last_seq), now);
        // Answers first: the client learns the name of a call before it hears of it.
        let Some(session) = self.sessions.get(name) else { return };
        let replies: Vec<_> = session.replies.iter().cloned().collect();
        let waiting: Vec<_> = session.outbox.waiting().cloned().collect();
        for (id, result) in replies {
            self.send_answer(conn, id, result);
        }
        for (seq, push) in waiting {
            self.send_event(conn, seq, push);
        }
        self.greet_with_cards(conn, &user);
        self.link_changed(&user, &device, true, now);
    }

    /// The socket is gone.
    pub fn handle_closed(&mut self, conn: ConnId, now: UnixMillis) {
        let Some(name) = self.session_by_conn.remove(&conn) else { return };
        let Some(session) = self.sessions.get_mut(&name) else { return };
        if session.conn != Some(conn) {
            return;
        }
        session.conn = None;
        session.offline_since = Some(now);
        let (user, device) = (session.user.clone(), session.device.clone());
        self.mark_session(&name);
        self.link_changed(&user, &device, false, now);
    }

    /// Events have arrived.
    pub fn handle_ack(&mut self, conn: ConnId, seq: Seq, now: UnixMillis) {
        if let Some(name) = self.session_by_conn.get(&conn).cloned() {
            self.acknowledge(&name, seq, now);
        }
    }

    fn acknowledge(&mut self, name: &str, seq: Seq, now: UnixMillis) {
        let Some(session) = self.sessions.get_mut(name) else { return };
        let user = session.user.clone();
        let arrived = session.outbox.acknowledge(seq);
        if arrived.is_empty() {
            return;
        }
        self.mark_session(name);
        for push in arrived {
            if let Push::Invited { call_id, .. } = push {
                self.with_call(&call_id, now, |call| call.handle_shown(&user));
            }
        }
    }

    /// The body has checked a new ticket.
    pub fn handle_ticket(
        &mut self,
        conn: ConnId,
        id: RequestId,
        checked: Result<UnixMillis, Refusal>,
        _now: UnixMillis,
    ) {
        let Some(name) = self.session_by_conn.get(&conn).cloned() else { return };
        if self.answered_before(conn, &name, id) {
            return;
        }
        if let (Ok(expires), Some(session)) = (&checked, self.sessions.get_mut(&name)) {
            session.ticket_expires = *expires;
            session.ticket_told = false;
        }
        let result = checked.map(|_| Reply::default());
        self.keep(&name, id, result.clone());
        self.send_answer(conn, id, result);
    }

    fn link_changed(&mut self, user: &UserId, device: &DeviceId, online: bool, now: UnixMillis) {
        if let Some(call) = self.call_by_user.get(user).cloned() {
            self.with_call(&call, now, |call| call.handle_link(user, device, online, now));
        }
    }

    /// Ends a session; closes its socket; whoever took part in a call with it leaves.
    pub(super) fn drop_session(&mut self, name: &str, how: Departure, now: UnixMillis) {
        if let Some(session) = self.forget_session(name) {
            self.depart(&session.user, &session.device, how, now);
        }
    }

    fn forget_session(&mut self, name: &str) -> Option<DeviceSession> {
        let session = self.sessions.remove(name)?;
        self.mark_session(name);
        if let Some(names) = self.sessions_by_user.get_mut(&session.user) {
            names.remove(name);
            if names.is_empty() {
                self.sessions_by_user.remove(&session.user);
            }
        }
        if !self.is_signed_in(&session.user, &session.device) {
            self.end_stays(&session.user, &session.device);
        }
        if let Some(conn) = session.conn {
            self.session_by_conn.remove(&conn);
            self.outputs.push_back(Output::Close { conn });
        }
        Some(session)
    }

    fn is_signed_in(&self, user: &UserId, device: &DeviceId) -> bool {
        let names = self.sessions_by_user.get(user).into_iter().flatten();
        names.filter_map(|name| self.sessions.get(name)).any(|session| session.device == *device)
    }

    pub(super) fn drop_overfull(&mut self, name: &str, now: UnixMillis) {
        if let Some(conn) = self.sessions.get(name).and_then(|session| session.conn) {
            self.refuse(conn, None, Code::SessionGone.into());
        }
        self.drop_session(name, Departure::Restarted, now);
    }

    pub(super) fn session_deadline(&self, session: &DeviceSession) -> Option<UnixMillis> {
        match (session.conn, session.offline_since) {
            (Some(_), _) if session.ticket_told => Some(session.ticket_expires + TICKET_GRACE),
            (Some(_), _) => Some(session.ticket_expires),
            // Nobody is thrown out of the session of a call that goes on.
            (None, Some(_)) if self.takes_part(session) => None,
            (None, Some(since)) => Some(since + SESSION_TTL),
            (None, None) => None,
        }
    }

    fn takes_part(&self, session: &DeviceSession) -> bool {
        let call = self.call_by_user.get(&session.user).and_then(|call| self.calls.get(call));
        call.and_then(|call| call.party(&session.user)).and_then(crate::call::Party::device) == Some(&session.device)
    }

    pub(super) fn expire_sessions(&mut self, names: Vec<String>, now: UnixMillis) {
        for name in names {
            self.alarms.touch(Owner::Session(name.clone()));
            let Some(session) = self.sessions.get_mut(&name) else { continue };
            match session.conn {
                None => self.drop_session(&name, Departure::Restarted, now),
                Some(conn) if !session.ticket_told => {
                    session.ticket_told = true;
                    self.send(conn, ServerMessage::TicketExpired {});
                }
                Some(conn) => {
                    // Kept as one whose socket was lost: a new ticket resumes it.
                    self.refuse(conn, None, Code::SigExpired.into());
                    self.outputs.push_back(Output::Close { conn });
                    self.handle_closed(conn, now);
                }
            }
        }
    }
}
