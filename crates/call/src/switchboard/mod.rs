//! The server's brain of the call plane: who is signed in with what, which calls there are, who is told what.
//!
//! The body owns sockets, tickets, tokens, the store and the clock. It feeds the inputs (`handle_*`) and after each of
//! them does three things in this order: stores [`Switchboard::take_changes`] in one transaction, carries out
//! [`Switchboard::poll_output`], and arms a timer at [`Switchboard::poll_timeout`]. Because the store comes first, no
//! device has ever seen an event that a restart forgets.

mod accounts;
mod alarms;
mod cards;
mod guests;
mod ids;
mod pace;
mod put_out;
mod records;
mod requests;
mod rooms;
mod sessions;
mod store;

pub use accounts::Account;
pub use records::page;
pub use requests::Entry;
pub use rooms::RoomsEvent;
pub use sessions::{DeviceSession, SignIn};
pub use store::{Change, Stored};

use crate::call::{Call, CallOutput, Departure, Phase, To};
use ids::Ids;
use protocol::message::Seq;
use protocol::{
    CallCard, CallId, CallRecord, DeviceId, Push, RecordFilter, Refusal, RequestId, RoomId, ServerMessage, UnixMillis,
    UserId,
};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

/// The body's name of one connection. Never used twice.
pub type ConnId = u64;

/// How long a session outlives its socket. Shorter loses events in a tunnel, longer keeps dead devices in memory.
pub const SESSION_TTL: Duration = Duration::from_secs(600);

/// How long an expired ticket keeps its connection while a new one is awaited.
pub const TICKET_GRACE: Duration = Duration::from_secs(60);

/// What varies between installations.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Announced to clients.
    pub heartbeat: Duration,
    /// Rooms are entered with a PrivateMapKey only.
    pub map_key_required: bool,
    /// Whether users may let several devices be signed in at once.
    pub multi_device: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self { heartbeat: Duration::from_secs(10), map_key_required: false, multi_device: true }
    }
}

/// One thing for the body to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Send this frame.
    Send {
        /// On this connection.
        conn: ConnId,
        /// The frame.
        message: ServerMessage,
        /// Put the way into this room into it, for this user: tokens are never stored, and fresh at each delivery.
        access: Option<(RoomId, UserId)>,
    },
    /// Close this connection, after what was sent before.
    Close {
        /// This one.
        conn: ConnId,
    },
    /// Make sure that the room exists; [`RoomsEvent::Failed`] where it cannot.
    OpenRoom(RoomId),
    /// Make this user's tokens for the room void, and put them out if they are still in after a moment.
    Release {
        /// The room.
        room: RoomId,
        /// The user.
        user: UserId,
    },
    /// Answer with the user's records out of the store.
    ReadRecords {
        /// On this connection.
        conn: ConnId,
        /// The request.
        id: RequestId,
        /// Whose.
        user: UserId,
        /// Which.
        filter: RecordFilter,
        /// Of calls that are over for this user and still run for others: the store does not have them yet.
        running: Vec<CallRecord>,
    },
}

/// The brain of the call plane.
#[derive(Debug)]
pub struct Switchboard {
    settings: Settings,
    ids: Ids,
    /// Everyone who has ever signed in.
    accounts: BTreeMap<UserId, Account>,
    sessions: BTreeMap<String, DeviceSession>,
    session_by_conn: BTreeMap<ConnId, String>,
    sessions_by_user: BTreeMap<UserId, BTreeSet<String>>,
    calls: BTreeMap<CallId, Call>,
    /// Of everyone who is in a call or rung by one.
    call_by_user: BTreeMap<UserId, CallId>,
    calls_by_room: BTreeMap<RoomId, BTreeSet<CallId>>,
    /// Calls that run for others and are over for this user.
    over_for_user: BTreeMap<UserId, BTreeSet<CallId>>,
    /// Who entered a room by its id, and what they may do there.
    guests: guests::Guests,
    pace: pace::Pace,
    /// What each user may join.
    cards_by_user: BTreeMap<UserId, BTreeMap<CallId, CallCard>>,
    /// Who was put out of a room and has not freshly entered it since.
    put_out: put_out::PutOut,
    dirty: store::Dirty,
    alarms: alarms::Alarms,
    outputs: VecDeque<Output>,
}

impl Switchboard {
    /// An empty one. `seed` is random and a secret: names of calls, rooms and sessions derive from it.
    #[must_use]
    pub fn new(settings: Settings, seed: [u8; 32]) -> Self {
        Self {
            settings,
            ids: Ids::new(&seed),
            accounts: BTreeMap::new(),
            sessions: BTreeMap::new(),
            session_by_conn: BTreeMap::new(),
            sessions_by_user: BTreeMap::new(),
            calls: BTreeMap::new(),
            call_by_user: BTreeMap::new(),
            calls_by_room: BTreeMap::new(),
            over_for_user: BTreeMap::new(),
            guests: guests::Guests::default(),
            pace: pace::Pace::default(),
            cards_by_user: BTreeMap::new(),
            put_out: put_out::PutOut::default(),
            dirty: store::Dirty::default(),
            alarms: alarms::Alarms::default(),
            outputs: VecDeque::new(),
        }
    }

    /// The next thing to do.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When to call [`Self::handle_timeout`].
    #[must_use]
    pub fn poll_timeout(&mut self) -> Option<UnixMillis> {
        self.next_alarm()
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: UnixMillis) {
        let (calls, _) = self.due(now);
        for id in calls {
            self.with_call(&id, now, |call| call.handle_timeout(now));
        }
        // A call that ends may let a session go.
        let (_, sessions) = self.due(now);
        self.expire_sessions(sessions, now);
    }

    /// The calls that are under way.
    pub fn calls(&self) -> impl Iterator<Item = &Call> {
        self.calls.values()
    }

    /// An administrator ends a call; false where there is none of that name.
    pub fn handle_end_call(&mut self, call: &CallId, now: UnixMillis) -> bool {
        self.with_call(call, now, |call| call.handle_end(now)).is_some()
    }

    /// The user behind a connection, for the body's tickets.
    #[must_use]
    pub fn user_of(&self, conn: ConnId) -> Option<&UserId> {
        self.session_of(conn).map(|session| &session.user)
    }

    fn session_of(&self, conn: ConnId) -> Option<&DeviceSession> {
        self.sessions.get(self.session_by_conn.get(&conn)?)
    }

    // ---- calls ----

    /// Runs one input of a call and spreads what comes out of it.
    fn with_call<T>(&mut self, id: &CallId, now: UnixMillis, input: impl FnOnce(&mut Call) -> T) -> Option<T> {
        let mut call = self.calls.remove(id)?;
        let result = input(&mut call);
        self.spread(call, now);
        Some(result)
    }

    /// Puts a call back (or away, where it is over) and delivers its outputs.
    fn spread(&mut self, mut call: Call, now: UnixMillis) {
        let id = call.id().clone();
        self.mark_call(&id);
        let room = call.room().clone();
        let mut outputs = Vec::new();
        while let Some(output) = call.poll_output() {
            outputs.push(output);
        }
        for party in call.parties() {
            if party.is_in() || party.is_ringing() {
                self.call_by_user.insert(party.user.clone(), id.clone());
            } else if self.call_by_user.get(&party.user) == Some(&id) {
                self.call_by_user.remove(&party.user);
            }
            // Whoever is in a call keeps their session.
            for name in self.sessions_by_user.get(&party.user).into_iter().flatten() {
                self.alarms.touch(alarms::Owner::Session(name.clone()));
            }
        }
        let over = call.phase() == Phase::Over;
        let cards = self.note_cards(&call);
        self.note_over(&call);
        let of_room = self.calls_by_room.entry(room.clone()).or_default();
        if over {
            of_room.remove(&id);
            if of_room.is_empty() {
                self.calls_by_room.remove(&room);
            }
            self.dirty.logs.push(call.log());
        } else {
            of_room.insert(id.clone());
            self.calls.insert(id, call);
        }
        for output in outputs {
            match output {
                CallOutput::Push { to, push } => self.deliver(&to, &push, now),
                CallOutput::Release(user) => self.outputs.push_back(Output::Release { room: room.clone(), user }),
            }
        }
        for user in cards {
            self.send_cards(&user);
        }
    }

    /// Puts an event into the outbox of each device that it is for, and on its way where the device is online.
    fn deliver(&mut self, to: &To, push: &Push, now: UnixMillis) {
        let (user, only, except) = match to {
            To::User(user) => (user, None, None),
            To::Device(user, device) => (user, Some(device), None),
            To::OtherDevices(user, device) => (user, None, Some(device)),
        };
        for name in self.sessions_by_user.get(user).cloned().unwrap_or_default() {
            let Some(session) = self.sessions.get_mut(&name) else { continue };
            if only.is_some_and(|device| session.device != *device) || except == Some(&session.device) {
                continue;
            }
            let queued = session.outbox.push(push.clone());
            let conn = session.conn;
            self.mark_session(&name);
            match queued {
                Ok(seq) => {
                    if let Some(conn) = conn {
                        self.send_event(conn, seq, push.clone());
                    }
                }
                Err(_full) => self.drop_overfull(&name, now),
            }
        }
    }

    fn send_event(&mut self, conn: ConnId, seq: Seq, push: Push) {
        let access = match (&push, self.session_of(conn)) {
            (Push::Begun { call_id, room_id, .. }, Some(session)) => self.entitled(&session.user, call_id, room_id),
            _ => None,
        };
        let push = self.introduce(push);
        self.outputs.push_back(Output::Send { conn, message: ServerMessage::Event { seq, push }, access });
    }

    /// The way into a call's room, for one who is in the call.
    fn entitled(&self, user: &UserId, call: &CallId, room: &RoomId) -> Option<(RoomId, UserId)> {
        let member = self.calls.get(call).and_then(|call| call.party(user)).is_some_and(crate::call::Party::is_in);
        member.then(|| (room.clone(), user.clone()))
    }

    fn send(&mut self, conn: ConnId, message: ServerMessage) {
        self.outputs.push_back(Output::Send { conn, message, access: None });
    }

    fn refuse(&mut self, conn: ConnId, id: Option<RequestId>, refusal: Refusal) {
        self.send(conn, ServerMessage::Error { id, refusal });
    }

    fn depart(&mut self, user: &UserId, device: &DeviceId, how: Departure, now: UnixMillis) {
        if let Some(call) = self.call_by_user.get(user).cloned() {
            self.with_call(&call, now, |call| call.handle_departure(user, device, how, now));
        }
    }
}
