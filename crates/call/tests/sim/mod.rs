//! A world in virtual time: one switchboard with a store, devices with their sessions, and links that delay every
//! frame, and lose what is in flight when they are cut. Everything random comes from one seed.
#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm, reason = "a test that is surprised fails")]
#![allow(dead_code, reason = "each test file uses its part")]

mod judge;

#[allow(unused_imports, reason = "each test file uses its part")]
pub use judge::{check, check_agreement, story};

use call::CallSession;
use call::Switchboard;
use call::call::RoomNews;
use call::session::{Identity, Link, Output};
use call::switchboard::{Change, ConnId, Output as Wanted, RoomsEvent, Settings, SignIn, Stored};
use protocol::message::{Hello, PlaceCall};
use protocol::{
    CallId, CallMediaType, ClientMessage, DeviceId, Event, Refusal, RoomAccess, RoomId, ServerMessage, UnixMillis,
    UserId,
};
use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

/// Virtual zero on the wall clock.
const EPOCH: u64 = 1_700_000_000_000;

/// A frame that stands for the end of the connection.
const CLOSE: &str = "close";

/// How often the server's body pings.
const PING: u64 = 10_000;

/// What a device does at some time.
#[derive(Clone, Debug)]
pub enum Action {
    Call(Vec<&'static str>),
    Accept,
    Reject,
    Ignore,
    Hangup,
    /// Cuts the link for so many milliseconds.
    Offline(u64),
    /// The process dies; a new one signs in after so many milliseconds.
    Die(u64),
    /// Another device of the same user signs in.
    Elsewhere(&'static str),
    SignOut,
    /// The administrator removes this user from the room of their call.
    Removed,
    /// The administrator dismisses the room of this user's call.
    Dismissed,
    /// The path of media is lost: the room says so.
    MediaLost,
}

/// What breaks, at the n-th frame that is delivered anywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The link breaks just before: the frame is lost.
    CutBefore(usize),
    /// The link breaks just after: the frame has arrived, its answer is lost.
    CutAfter(usize),
    /// The server is killed just before and starts again from its store.
    RestartBefore(usize),
    /// The server is killed just after.
    RestartAfter(usize),
}

/// What was seen at a device, in order.
#[derive(Clone, Debug, PartialEq)]
pub enum Seen {
    Event(Event),
    Enter(CallId),
    Leave(CallId),
    Exit(Option<String>),
    Refused(i32),
    Died,
}

pub struct Device {
    pub user: UserId,
    pub name: DeviceId,
    pub session: CallSession,
    pub seen: Vec<Seen>,
    conn: Option<ConnId>,
    up: VecDeque<(u64, String)>,
    down: VecDeque<(u64, String)>,
    reconnect_at: Option<u64>,
    /// In the room, as the room sees it.
    room: Option<RoomId>,
}

pub struct World {
    pub now: u64,
    pub board: Switchboard,
    pub devices: Vec<Device>,
    pub delivered: usize,
    fault: Option<Fault>,
    rows: BTreeMap<(u8, String), String>,
    news: VecDeque<(u64, RoomsEvent)>,
    closing: Vec<(u64, ConnId)>,
    next_conn: ConnId,
    zero: Instant,
    next_ping: u64,
    rng: u64,
}

impl World {
    pub fn new(seed: u64) -> Self {
        // Any instant will do as the zero of virtual time.
        #[allow(clippy::disallowed_methods)]
        let zero = Instant::now();
        Self {
            now: 0,
            board: Switchboard::new(Settings::default(), seed),
            devices: Vec::new(),
            delivered: 0,
            fault: None,
            rows: BTreeMap::new(),
            news: VecDeque::new(),
            closing: Vec::new(),
            next_conn: 1,
            zero,
            next_ping: PING,
            rng: seed.wrapping_mul(2).wrapping_add(1),
        }
    }

    pub fn with_fault(mut self, fault: Fault) -> Self {
        self.fault = Some(fault);
        self
    }

    pub fn random(&mut self, below: u64) -> u64 {
        self.rng ^= self.rng << 13;
        self.rng ^= self.rng >> 7;
        self.rng ^= self.rng << 17;
        self.rng % below
    }

    pub fn unix(&self) -> UnixMillis {
        UnixMillis(EPOCH + self.now)
    }

    pub fn instant(&self) -> Instant {
        self.zero + Duration::from_millis(self.now)
    }

    /// A device that signs in now.
    pub fn add(&mut self, user: &str, name: &str) -> usize {
        let user = UserId::new(user).unwrap();
        let name = DeviceId::new(name).unwrap();
        let identity =
            Identity { user: user.clone(), device: name.clone(), client: "sim".to_owned(), sdk_app_id: None };
        self.devices.push(Device {
            user,
            name,
            session: CallSession::new(identity, "ticket"),
            seen: Vec::new(),
            conn: None,
            up: VecDeque::new(),
            down: VecDeque::new(),
            reconnect_at: Some(self.now),
            room: None,
        });
        self.devices.len() - 1
    }

    pub fn device(&self, user: &str) -> &Device {
        self.devices.iter().find(|device| device.user.as_str() == user).unwrap()
    }

    fn index(&self, user: &str) -> usize {
        self.devices.iter().position(|device| device.user.as_str() == user).unwrap()
    }

    /// Runs a script of `(millisecond, user, action)`, and on until `end`.
    pub fn run(&mut self, script: &[(u64, &'static str, Action)], end: u64) {
        let mut script: Vec<_> = script.to_vec();
        script.sort_by_key(|(at, _, _)| *at);
        for (at, user, action) in script {
            self.advance(at);
            self.act(user, &action);
        }
        self.advance(end);
    }

    fn act(&mut self, user: &str, action: &Action) {
        let (at, now) = (self.index(user), self.instant());
        let device = &mut self.devices[at];
        let session = &mut device.session;
        let result: Result<(), Refusal> = match action {
            Action::Call(callees) => session.place(wish(callees), now).map(drop),
            Action::Accept => session.accept().map(drop),
            Action::Reject => session.reject(now).map(drop),
            Action::Ignore => session.ignore(now).map(drop),
            Action::Hangup => session.hangup(now).map(drop),
            Action::SignOut => {
                session.sign_out(now);
                Ok(())
            }
            Action::Offline(ms) => {
                let back = self.now + ms;
                self.cut(at);
                self.devices[at].reconnect_at = Some(back);
                Ok(())
            }
            Action::Die(ms) => {
                self.die(at, *ms);
                Ok(())
            }
            Action::Elsewhere(name) => {
                self.add(user, name);
                Ok(())
            }
            Action::Removed | Action::Dismissed | Action::MediaLost => {
                self.room_trouble(at, action);
                Ok(())
            }
        };
        if let Err(refusal) = result {
            self.devices[at].seen.push(Seen::Refused(refusal.code));
        }
        self.pump(at);
    }

    fn die(&mut self, at: usize, ms: u64) {
        self.cut(at);
        let device = &mut self.devices[at];
        let identity = Identity {
            user: device.user.clone(),
            device: device.name.clone(),
            client: "sim".to_owned(),
            sdk_app_id: None,
        };
        device.session = CallSession::new(identity, "ticket");
        device.seen.push(Seen::Died);
        device.reconnect_at = Some(self.now + ms);
        if let Some(room) = device.room.take() {
            let event = RoomsEvent::Member { room, user: device.user.clone(), news: RoomNews::Lost };
            self.news.push_back((self.now + 5000, event));
        }
    }

    fn room_trouble(&mut self, at: usize, action: &Action) {
        let user = self.devices[at].user.clone();
        let by = Some("boss".to_owned());
        let Some(room) = self.devices[at].room.clone() else { return };
        let event = match action {
            Action::Dismissed => RoomsEvent::Dismissed { room, by },
            Action::Removed => {
                self.devices[at].room = None;
                RoomsEvent::Member { room, user, news: RoomNews::Removed { by } }
            }
            _ => {
                self.devices[at].room = None;
                RoomsEvent::Member { room, user, news: RoomNews::Lost }
            }
        };
        self.news.push_back((self.now, event));
    }

    /// Lets time pass until `end`, one happening after the other.
    pub fn advance(&mut self, end: u64) {
        for at in 0..self.devices.len() {
            self.pump(at);
        }
        let mut same = 0;
        while let Some(at) = self.next_happening().filter(|at| *at <= end) {
            same = if at > self.now { 0 } else { same + 1 };
            assert!(same < 10_000, "the world spins without time passing");
            self.now = at.max(self.now);
            self.happen();
        }
        self.now = self.now.max(end);
    }

    fn next_happening(&self) -> Option<u64> {
        let mut next: Vec<u64> = Vec::new();
        for device in &self.devices {
            next.extend(device.up.front().map(|(at, _)| *at));
            next.extend(device.down.front().map(|(at, _)| *at));
            next.extend(device.reconnect_at);
            let timeout = device.session.poll_timeout().map(|(at, _)| at.saturating_duration_since(self.zero));
            next.extend(timeout.map(|after| u64::try_from(after.as_millis()).unwrap() + 1));
        }
        next.push(self.next_ping);
        next.extend(self.board.poll_timeout().map(|at| at.0.saturating_sub(EPOCH)));
        next.extend(self.news.iter().map(|(at, _)| *at));
        next.extend(self.closing.iter().map(|(at, _)| *at));
        next.into_iter().min()
    }

    fn happen(&mut self) {
        let now = self.now;
        if self.next_ping <= now {
            self.next_ping = now + PING;
            let instant = self.instant();
            for device in self.devices.iter_mut().filter(|device| *device.session.link() == Link::Online) {
                device.session.handle_message(ServerMessage::Ping {}, instant);
            }
        }
        if self.board.poll_timeout().is_some_and(|at| at.0 <= EPOCH + now) {
            self.board.handle_timeout(self.unix());
            self.flush();
        }
        if let Some(at) = self.news.iter().position(|(at, _)| *at <= now) {
            let (_, event) = self.news.remove(at).unwrap();
            self.board.handle_rooms_event(event, self.unix());
            self.flush();
        }
        if let Some(at) = self.closing.iter().position(|(at, _)| *at <= now) {
            let (_, conn) = self.closing.remove(at);
            self.board.handle_closed(conn, self.unix());
            self.flush();
        }
        for at in 0..self.devices.len() {
            let device = &mut self.devices[at];
            if device.reconnect_at.is_some_and(|when| when <= now) {
                device.reconnect_at = None;
                self.connect(at);
            }
            if self.devices[at].up.front().is_some_and(|(when, _)| *when <= now) {
                let (_, frame) = self.devices[at].up.pop_front().unwrap();
                self.deliver(at, &frame, true);
            }
            if self.devices[at].down.front().is_some_and(|(when, _)| *when <= now) {
                let (_, frame) = self.devices[at].down.pop_front().unwrap();
                self.deliver(at, &frame, false);
            }
            let instant = self.instant();
            self.devices[at].session.handle_timeout(instant);
            self.pump(at);
        }
    }

    /// One frame arrives, unless a fault has it otherwise.
    fn deliver(&mut self, at: usize, frame: &str, to_server: bool) {
        if frame == CLOSE {
            return self.cut(at);
        }
        if frame == (ClientMessage::Pong {}).to_text() {
            return;
        }
        let step = self.delivered;
        self.delivered += 1;
        let hits = |fault: &Fault| matches!(fault, Fault::CutBefore(n) | Fault::CutAfter(n) | Fault::RestartBefore(n) | Fault::RestartAfter(n) if *n == step);
        let fault = self.fault.take_if(|fault| hits(fault));
        match fault {
            Some(Fault::CutBefore(_)) => return self.cut(at),
            Some(Fault::RestartBefore(_)) => return self.restart(),
            Some(Fault::CutAfter(_) | Fault::RestartAfter(_)) | None => {}
        }
        if to_server {
            self.serve(at, frame);
        } else {
            let message = ServerMessage::parse(frame).unwrap();
            let now = self.instant();
            self.devices[at].session.handle_message(message, now);
            self.pump(at);
        }
        match fault {
            Some(Fault::CutAfter(_)) => self.cut(at),
            Some(Fault::RestartAfter(_)) => self.restart(),
            Some(Fault::CutBefore(_) | Fault::RestartBefore(_)) | None => {}
        }
    }

    fn serve(&mut self, at: usize, frame: &str) {
        let (now, conn) = (self.unix(), self.devices[at].conn.unwrap());
        match ClientMessage::parse(frame).unwrap() {
            ClientMessage::Hello(Hello { user_id, device_id, resume, .. }) => {
                let ticket_expires = UnixMillis(u64::MAX);
                let user = UserId::new(user_id).unwrap();
                self.board.handle_hello(conn, SignIn { user, device: device_id, resume, ticket_expires }, now);
            }
            ClientMessage::Request { id, request } => self.board.handle_request(conn, id, request, now),
            ClientMessage::Ack { seq } => self.board.handle_ack(conn, seq, now),
            ClientMessage::Ping {} | ClientMessage::Pong {} => {}
        }
        self.flush();
    }

    fn connect(&mut self, at: usize) {
        let now = self.instant();
        let conn = self.next_conn;
        self.next_conn += 1;
        let device = &mut self.devices[at];
        device.conn = Some(conn);
        device.session.handle_connected(now);
        self.pump(at);
    }

    /// Breaks a device's link: what is in flight is lost; the device notices at once, the server a little later.
    fn cut(&mut self, at: usize) {
        let Some(conn) = self.devices[at].conn.take() else { return };
        let (heard, back) = (self.random(600), 50 + self.random(350));
        self.closing.push((self.now + heard, conn));
        let device = &mut self.devices[at];
        device.up.clear();
        device.down.clear();
        device.session.handle_closed();
        if !matches!(device.session.link(), Link::Kicked | Link::SignedOut | Link::Refused(_)) {
            device.reconnect_at = Some(self.now + back);
        }
    }

    /// Kills the server and starts it again from what it stored.
    fn restart(&mut self) {
        for at in 0..self.devices.len() {
            self.cut(at);
        }
        self.closing.clear();
        let seed = self.random(u64::MAX);
        self.board = Switchboard::new(Settings::default(), seed);
        let mut stored = Stored::default();
        for ((kind, key), row) in &self.rows {
            match kind {
                0 => stored.calls.push(serde_json::from_str(row).unwrap()),
                1 => stored.sessions.push(serde_json::from_str(row).unwrap()),
                _ => stored.users.push(UserId::new(key.clone()).unwrap()),
            }
        }
        self.board.restore(stored, self.unix());
        // The rooms are gone with the server; members find their way back within a second.
        for at in 0..self.devices.len() {
            if let Some(room) = self.devices[at].room.clone() {
                let user = self.devices[at].user.clone();
                let back = RoomsEvent::Member { room, user, news: RoomNews::Joined };
                self.news.push_back((self.now + 1000, back));
            }
        }
        self.flush();
    }

    /// Stores what changed, then lets the frames out: the order that the server keeps.
    fn flush(&mut self) {
        for change in self.board.take_changes() {
            let (key, row) = match change {
                Change::Call(id, call) => {
                    ((0, id.as_str().to_owned()), call.map(|call| serde_json::to_string(&call).unwrap()))
                }
                Change::Session(name, session) => {
                    ((1, name), session.map(|session| serde_json::to_string(&session).unwrap()))
                }
                Change::User(user) => ((2, user.as_str().to_owned()), Some(String::new())),
            };
            match row {
                Some(row) => self.rows.insert(key, row),
                None => self.rows.remove(&key),
            };
        }
        while let Some(output) = self.board.poll_output() {
            match output {
                Wanted::Send { conn, message, access } => self.send_down(conn, message, access.is_some()),
                Wanted::Close { conn } => {
                    if let Some(at) = self.devices.iter().position(|device| device.conn == Some(conn)) {
                        // What was sent before still arrives.
                        let when = self.later(self.devices[at].down.back().map(|(at, _)| *at));
                        self.devices[at].down.push_back((when, CLOSE.to_owned()));
                    }
                }
                Wanted::OpenRoom(_) | Wanted::Release { .. } => {}
            }
        }
    }

    fn send_down(&mut self, conn: ConnId, mut message: ServerMessage, access: bool) {
        let Some(at) = self.devices.iter().position(|device| device.conn == Some(conn)) else { return };
        if access {
            let way = Some(RoomAccess { url: "ws://room".to_owned(), token: "token".to_owned() });
            match &mut message {
                ServerMessage::Reply { answer, .. } => answer.access = way,
                ServerMessage::Event { push: protocol::Push::Begun { access, .. }, .. } => *access = way,
                _ => panic!("no place for the way into a room in {message:?}"),
            }
        }
        let when = self.later(self.devices[at].down.back().map(|(at, _)| *at));
        self.devices[at].down.push_back((when, message.to_text()));
    }

    /// After a random delay, and not before what was sent earlier.
    fn later(&mut self, last: Option<u64>) -> u64 {
        let delay = 1 + self.random(40);
        (self.now + delay).max(last.unwrap_or(0))
    }

    /// Carries out what a session wants.
    fn pump(&mut self, at: usize) {
        while let Some(output) = self.devices[at].session.poll_output() {
            match output {
                Output::Send(message) => {
                    if self.devices[at].conn.is_some() {
                        let when = self.later(self.devices[at].up.back().map(|(at, _)| *at));
                        self.devices[at].up.push_back((when, message.to_text()));
                    }
                }
                Output::Close => {
                    // What was sent before still arrives.
                    if self.devices[at].conn.is_some() {
                        let when = self.later(self.devices[at].up.back().map(|(at, _)| *at));
                        self.devices[at].up.push_back((when, CLOSE.to_owned()));
                    }
                }
                Output::Done { result: Err(refusal), .. } => self.devices[at].seen.push(Seen::Refused(refusal.code)),
                Output::Done { .. } | Output::PeerLeft { .. } | Output::PrepareRoom(_) | Output::Over(_) => {}
                Output::Event(event) => self.devices[at].seen.push(Seen::Event(event)),
                Output::EnterRoom(entry) => {
                    self.devices[at].room = Some(entry.room.clone());
                    self.devices[at].seen.push(Seen::Enter(entry.call));
                    let user = self.devices[at].user.clone();
                    let joined = RoomsEvent::Member { room: entry.room, user, news: RoomNews::Joined };
                    self.news.push_back((self.now + 30, joined));
                }
                Output::LeaveRoom { call } => {
                    self.devices[at].seen.push(Seen::Leave(call));
                    if let Some(room) = self.devices[at].room.take() {
                        let user = self.devices[at].user.clone();
                        let left = RoomsEvent::Member { room, user, news: RoomNews::Left };
                        self.news.push_back((self.now + 31, left));
                    }
                }
                Output::RoomExit { by, .. } => self.devices[at].seen.push(Seen::Exit(by)),
            }
        }
    }
}

pub fn wish(callees: &[&str]) -> PlaceCall {
    PlaceCall {
        callee_id_list: callees.iter().map(|name| UserId::new(*name).unwrap()).collect(),
        call_media_type: CallMediaType::Video,
        user_data: "hello".to_owned(),
        timeout: None,
        room_id: None,
        group_id: String::new(),
    }
}
