//! The call plane's body: one thread owns the [`Switchboard`], everything reaches it through one channel.
//!
//! After each input: store what changed, then send. SQLite is called from this thread alone; a transaction takes some
//! tens of microseconds. Inputs that wait together are stored together: the busier the server, the larger its
//! transactions and the fewer of them.

mod clock;
mod news;
mod output;
pub mod socket;

use crate::rooms::Rooms;
use crate::store::Store;
use anyhow::{Context as _, Result};
use call::Switchboard;
use call::switchboard::{Change, ConnId, Entry, RoomsEvent, Settings, SignIn};
use clock::Clock;
use protocol::message::Seq;
use protocol::{CallId, Refusal, Request, RequestId, RoomId, UnixMillis, UserId};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};

/// Inputs waiting for the switchboard. When it is full the sockets wait with reading, and TCP slows the clients down.
const INPUT_CAPACITY: usize = 1024;

/// Inputs that share a transaction. More would let the first of them wait for its answer longer than it gains.
const BATCH_LIMIT: usize = 64;

/// Frames waiting for one socket: the whole outbox, the kept answers, and some. When it is full the client does not
/// read: the connection is closed, and its session waits for the resume.
pub(crate) const FRAMES_CAPACITY: usize = 320;

/// How long somebody who has left a call may take to leave its room by themselves.
const RELEASE_GRACE: Duration = Duration::from_secs(5);

/// What reaches the switchboard.
#[derive(Debug)]
pub(crate) enum Input {
    /// A hello with a good ticket.
    Hello { conn: ConnId, hello: SignIn, peer: Peer },
    /// A request.
    Request { conn: ConnId, id: RequestId, request: Request },
    /// A wish to enter a room, with its key checked.
    Enter { conn: ConnId, id: RequestId, room: RoomId, rejoin: bool, entry: Entry },
    /// A new ticket was handed in and checked.
    Ticket { conn: ConnId, id: RequestId, checked: Result<UnixMillis, Refusal> },
    /// Events have arrived.
    Ack { conn: ConnId, seq: Seq },
    /// The socket is gone.
    Closed { conn: ConnId },
    /// News of a room.
    Rooms(RoomsEvent),
    /// An administrator ends a call; answered with whether there was one.
    EndCall { call: CallId, done: oneshot::Sender<bool> },
    /// Put somebody out of a room who has left its call and not the room.
    Evict { room: RoomId, user: UserId },
}

/// The way back to one socket.
#[derive(Debug)]
pub(crate) struct Peer {
    /// Dropping it closes the socket.
    pub frames: mpsc::Sender<Frame>,
    /// `ws(s)://host[:port]` by which the client reached this server.
    pub reached: String,
}

/// A text frame on its way to a client.
#[derive(Debug)]
pub(crate) struct Frame {
    /// What is sent.
    pub text: String,
    /// The number of the event in it; the client acknowledges it.
    pub event: Option<Seq>,
}

/// The running call plane.
#[derive(Debug)]
pub(crate) struct Plane {
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Plane {
    /// Loads the store and starts the thread. It ends when `stop` turns true.
    pub fn start(
        store: Store,
        rooms: Arc<dyn Rooms>,
        settings: Settings,
        stop: watch::Receiver<bool>,
    ) -> Result<(Self, mpsc::Sender<Input>)> {
        let (input, inputs) = mpsc::channel(INPUT_CAPACITY);
        let runtime = tokio::runtime::Handle::current();
        let happened = rooms.events();
        let mut body = Body {
            board: Switchboard::new(settings, rand::random()),
            clock: Clock::start(),
            store,
            unsaved: Vec::new(),
            rooms: Arc::clone(&rooms),
            peers: BTreeMap::new(),
            input: input.clone(),
        };
        let stored = body.store.load().context("the store cannot be read")?;
        body.board.restore(stored, body.clock.now());
        tokio::spawn(news::forward(happened, rooms, input.clone(), stop.clone()));
        let thread = std::thread::Builder::new()
            .name("call-plane".to_owned())
            .spawn(move || runtime.block_on(body.run(inputs, stop)))?;
        Ok((Self { thread: Some(thread) }, input))
    }

    /// Waits for the thread, which closes the store.
    pub async fn join(&mut self) {
        if let Some(thread) = self.thread.take()
            && tokio::task::spawn_blocking(move || thread.join()).await.is_ok_and(|end| end.is_err())
        {
            tracing::error!("the call plane's thread has panicked");
        }
    }
}

struct Body {
    board: Switchboard,
    clock: Clock,
    store: Store,
    /// Rows that a failing store has not taken yet.
    unsaved: Vec<Change>,
    rooms: Arc<dyn Rooms>,
    peers: BTreeMap<ConnId, Peer>,
    input: mpsc::Sender<Input>,
}

impl Body {
    async fn run(mut self, mut inputs: mpsc::Receiver<Input>, mut stop: watch::Receiver<bool>) {
        self.flush();
        loop {
            let timer = tokio::time::sleep(self.clock.until(self.board.poll_timeout()));
            tokio::select! {
                biased;
                _ = stop.wait_for(|stopped| *stopped) => return,
                input = inputs.recv() => match input {
                    Some(input) => {
                        self.handle(input);
                        for _ in 1..BATCH_LIMIT {
                            let Ok(input) = inputs.try_recv() else { break };
                            self.handle(input);
                        }
                    }
                    None => return,
                },
                () = timer => {
                    let now = self.clock.now();
                    // A timer may fire within the millisecond before the deadline.
                    let due = self.board.poll_timeout().filter(|due| due.since(now) <= Duration::from_millis(1));
                    self.board.handle_timeout(due.unwrap_or(now).max(now));
                }
            }
            self.flush();
        }
    }

    fn handle(&mut self, input: Input) {
        let now = self.clock.now();
        match input {
            Input::Hello { conn, hello, peer } => {
                self.peers.insert(conn, peer);
                self.board.handle_hello(conn, hello, now);
            }
            Input::Request { conn, id, request } => self.board.handle_request(conn, id, request, now),
            Input::Enter { conn, id, room, rejoin, entry } => {
                self.board.handle_enter(conn, id, (room, rejoin), entry, now);
            }
            Input::Ticket { conn, id, checked } => self.board.handle_ticket(conn, id, checked, now),
            Input::Ack { conn, seq } => self.board.handle_ack(conn, seq, now),
            Input::Closed { conn } => {
                self.peers.remove(&conn);
                self.board.handle_closed(conn, now);
            }
            Input::Rooms(event) => self.board.handle_rooms_event(event, now),
            Input::EndCall { call, done } => {
                // Nobody may wait any more.
                let _ = done.send(self.board.handle_end_call(&call, now));
            }
            Input::Evict { room, user } => {
                if !self.board.belongs(&room, &user) {
                    self.evict(&room, &user);
                }
            }
        }
    }

    /// Stores, then sends. A store that fails does not end a call: what it has not taken is offered again with the next
    /// change.
    fn flush(&mut self) {
        loop {
            self.save();
            let mut idle = true;
            while let Some(output) = self.board.poll_output() {
                idle = false;
                self.carry_out(output);
            }
            if idle {
                return;
            }
        }
    }

    fn save(&mut self) {
        for change in self.board.take_changes() {
            self.unsaved.retain(|old| key(old) != key(&change));
            self.unsaved.push(change);
        }
        match self.store.commit(&self.unsaved) {
            Ok(()) => self.unsaved.clear(),
            Err(error) => tracing::error!(%error, rows = self.unsaved.len(), "the store does not take changes"),
        }
    }
}

/// Rows of the same key replace one another.
fn key(change: &Change) -> (u8, &str, &str) {
    match change {
        Change::Call(id, _) => (0, id.as_str(), ""),
        Change::Session(name, _) => (1, name, ""),
        Change::User(user, _) => (2, user.as_str(), ""),
        Change::Log(log) => (3, log.call_id.as_str(), ""),
        Change::Forget(user, call) => (4, user.as_str(), call.as_str()),
        Change::PutOut(room, user, _) => (5, room, user.as_str()),
    }
}
