//! A world in virtual time: one switchboard with a store, devices with their sessions, and links that delay every
//! frame, and lose what is in flight when they are cut. Everything random comes from one seed.
#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm, reason = "a test that is surprised fails")]
#![allow(dead_code, reason = "each test file uses its part")]

mod act;
mod house;
mod judge;
mod plan;

#[allow(unused_imports, reason = "each test file uses its part")]
pub use act::{Action, Step, wish};
#[allow(unused_imports, reason = "each test file uses its part")]
pub use judge::{check, check_agreement, check_records, story};
#[allow(unused_imports, reason = "each test file uses its part")]
pub use plan::Plan;

use call::CallSession;
use call::Switchboard;
use call::call::RoomNews;
use call::session::{Identity, Link, Output};
use call::switchboard::{ConnId, RoomsEvent, Settings, SignIn};
use protocol::message::{Hello, Reply};
use protocol::{CallId, ClientMessage, Code, DeviceId, Event, Request, RoomId, ServerMessage, UnixMillis, UserId};
use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

/// Virtual zero on the wall clock.
const EPOCH: u64 = 1_700_000_000_000;

/// A frame that stands for the end of the connection.
const CLOSE: &str = "close";

/// How often the server's body pings.
const PING: u64 = 10_000;

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
    /// Put out of a room in which this device had no place any more.
    Evicted,
    /// What a request gave back.
    Given(Reply),
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
    /// The device's own side of the room has no way back any more at that time.
    gives_up_at: Option<u64>,
}

pub struct World {
    pub now: u64,
    pub board: Switchboard,
    pub devices: Vec<Device>,
    pub delivered: usize,
    fault: Option<Fault>,
    rows: BTreeMap<(u8, String), String>,
    /// How often the record of each call was written.
    pub logged: BTreeMap<CallId, u32>,
    news: VecDeque<(u64, RoomsEvent)>,
    /// Who is put out of a room where they are still in it then.
    evictions: Vec<(u64, RoomId, UserId)>,
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
            board: Switchboard::new(Settings::default(), wide(seed)),
            devices: Vec::new(),
            delivered: 0,
            fault: None,
            rows: BTreeMap::new(),
            logged: BTreeMap::new(),
            news: VecDeque::new(),
            evictions: Vec::new(),
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
        self.add_with_ticket(user, name, u64::MAX)
    }

    /// A device whose ticket ends at that millisecond.
    pub fn add_with_ticket(&mut self, user: &str, name: &str, expires: u64) -> usize {
        let (user, name) = (UserId::new(user).unwrap(), DeviceId::new(name).unwrap());
        self.devices.push(Device {
            session: CallSession::new(identity(&user, &name), expires.to_string()),
            user,
            name,
            seen: Vec::new(),
            conn: None,
            up: VecDeque::new(),
            down: VecDeque::new(),
            reconnect_at: Some(self.now),
            room: None,
            gives_up_at: None,
        });
        self.devices.len() - 1
    }

    /// `bob` is the first device of bob, `bob/phone` the one of that name.
    pub fn device(&self, who: &str) -> &Device {
        &self.devices[self.index(who).unwrap_or_else(|| panic!("there is no {who}"))]
    }

    fn index(&self, who: &str) -> Option<usize> {
        let (user, name) = who.split_once('/').map_or((who, None), |(user, name)| (user, Some(name)));
        self.devices
            .iter()
            .position(|device| device.user.as_str() == user && name.is_none_or(|name| device.name.as_str() == name))
    }

    /// Runs a script of `(millisecond, user, action)`, and on until `end`.
    pub fn run(&mut self, script: &[Step], end: u64) {
        let mut script: Vec<_> = script.to_vec();
        script.sort_by_key(|(at, _, _)| *at);
        for (at, user, action) in script {
            self.advance(at);
            self.act(user, &action);
        }
        self.advance(end);
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

    fn next_happening(&mut self) -> Option<u64> {
        let mut next: Vec<u64> = Vec::new();
        for device in &self.devices {
            next.extend(device.up.front().map(|(at, _)| *at));
            next.extend(device.down.front().map(|(at, _)| *at));
            next.extend(device.reconnect_at);
            next.extend(device.gives_up_at);
            let timeout = device.session.poll_timeout().map(|(at, _)| at.saturating_duration_since(self.zero));
            next.extend(timeout.map(|after| u64::try_from(after.as_millis()).unwrap() + 1));
        }
        next.push(self.next_ping);
        next.extend(self.board.poll_timeout().map(|at| at.0.saturating_sub(EPOCH)));
        next.extend(self.news.iter().map(|(at, _)| *at));
        next.extend(self.closing.iter().map(|(at, _)| *at));
        next.extend(self.evictions.iter().map(|(at, _, _)| *at));
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
        if let Some(at) = self.evictions.iter().position(|(at, _, _)| *at <= now) {
            let (_, room, user) = self.evictions.remove(at);
            self.evict(&room, &user);
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
            if self.devices[at].gives_up_at.take_if(|when| *when <= now).is_some() {
                self.devices[at].session.handle_room_gave_up(instant);
            }
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
            ClientMessage::Hello(Hello { user_id, user_sig, device_id, resume, .. }) => {
                let ticket_expires = expiry(&user_sig);
                if ticket_expires <= now {
                    // As the server's body does before the switchboard hears of it.
                    let refusal = Code::SigExpired.into();
                    self.send_down(conn, ServerMessage::Error { id: None, refusal }, false);
                    self.close_down(conn);
                    return;
                }
                let user = UserId::new(user_id).unwrap();
                self.board.handle_hello(conn, SignIn { user, device: device_id, resume, ticket_expires }, now);
            }
            ClientMessage::Request { id, request: Request::RenewTicket { user_sig } } => {
                let expires = expiry(&user_sig.0);
                let checked = if expires <= now { Err(Code::SigExpired.into()) } else { Ok(expires) };
                self.board.handle_ticket(conn, id, checked, now);
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
                Output::Done { result: Ok(reply), .. } => {
                    if reply.records.is_some() {
                        self.devices[at].seen.push(Seen::Given(reply));
                    }
                }
                Output::PeerLeft { .. } | Output::PrepareRoom(_) | Output::Over(_) => {}
                Output::Event(event) => self.devices[at].seen.push(Seen::Event(event)),
                Output::EnterRoom(entry) => {
                    self.devices[at].gives_up_at = None;
                    self.devices[at].room = Some(entry.room.clone());
                    self.devices[at].seen.push(Seen::Enter(entry.call));
                    let user = self.devices[at].user.clone();
                    // The same identity entering again takes the place of the one that was lost.
                    self.news.retain(|(_, event)| !is_lost(event, &entry.room, &user));
                    let joined = RoomsEvent::Member { room: entry.room, user, news: RoomNews::Joined };
                    self.news.push_back((self.now + 30, joined));
                }
                Output::LeaveRoom { call } => {
                    self.devices[at].gives_up_at = None;
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

fn identity(user: &UserId, name: &DeviceId) -> Identity {
    Identity { user: user.clone(), device: name.clone(), client: "sim".to_owned(), sdk_app_id: None }
}

/// The seed of a switchboard.
fn wide(seed: u64) -> [u8; 32] {
    let mut wide = [0; 32];
    wide[..8].copy_from_slice(&seed.to_be_bytes());
    wide
}

/// A ticket of this world is the millisecond at which it ends.
fn expiry(ticket: &str) -> UnixMillis {
    UnixMillis(ticket.parse::<u64>().unwrap().saturating_add(EPOCH))
}

fn is_lost(event: &RoomsEvent, at: &RoomId, who: &UserId) -> bool {
    matches!(event, RoomsEvent::Member { room, user, news: RoomNews::Lost } if room == at && user == who)
}
