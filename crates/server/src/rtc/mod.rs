//! The body of the embedded rooms: one UDP port, and a worker thread that owns every room by value.
//!
//! ```text
//!   signal sockets ── Command ──▶ worker { rooms: brain + str0m connections } ── UDP ──▶ clients
//!                  ◀─ SignalSink ─┘        └── Happened ──▶ the Rooms adapter
//! ```

mod codecs;
mod connection;
mod host;
mod net;
mod offers;
mod route;
mod sdp;
mod settle;
mod stun;
mod worker;

pub(crate) use host::unix_ms;

use crate::config::RoomRules;
use anyhow::Result;
use livekit_protocol as proto;
use room::server::{Act, Happening, JoinRefused, Joining, MemberId, Refused};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// Commands waiting for the worker. When full, whoever commands waits: signal sockets read no further.
const COMMAND_CAPACITY: usize = 1_024;

/// Messages waiting for one signal socket. When full, the client does not read and the socket is given up.
pub const SIGNAL_CAPACITY: usize = 512;

/// What happened, on its way to the adapter. When full, the worker keeps the rest and tries again.
const HAPPENED_CAPACITY: usize = 4_096;

/// Where messages for one signal socket go. Dropped: the socket is to be closed.
pub type SignalSink = mpsc::Sender<ToSocket>;

/// For one signal socket.
#[derive(Debug)]
pub enum ToSocket {
    /// To be sent.
    Response(Box<proto::SignalResponse>),
    /// What the member's token is to say from now on.
    Grants(Box<Joining>),
}

/// One signal socket of a membership; a resume makes the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Session(u32);

/// What a client brings along when it connects.
#[derive(Clone, Debug, Default)]
pub struct Entry {
    /// Its offer, on `/rtc/v1`.
    pub offer: Option<proto::SessionDescription>,
    /// What it will publish.
    pub tracks: Vec<proto::AddTrackRequest>,
    /// What it had, on a resume.
    pub sync: Option<proto::SyncState>,
}

/// How a room is made, where whoever makes it says so.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RoomOptions {
    /// Ends after this if nobody enters.
    pub empty_timeout: Option<Duration>,
    /// Ends after this when everybody left.
    pub departure_timeout: Option<Duration>,
    /// So many people may be in.
    pub max_participants: Option<u32>,
    /// Opaque.
    pub metadata: String,
}

impl RoomOptions {
    /// As LiveKit's messages have them: zero is what nobody said. Times in **seconds**.
    #[must_use]
    pub fn from_wire(empty_timeout: u32, departure_timeout: u32, max_participants: u32, metadata: String) -> Self {
        let time = |seconds: u32| (seconds > 0).then(|| Duration::from_secs(seconds.into()));
        Self {
            empty_timeout: time(empty_timeout),
            departure_timeout: time(departure_timeout),
            max_participants: (max_participants > 0).then_some(max_participants),
            metadata,
        }
    }
}

/// What the worker is asked. Replies that nobody waits for any more are dropped.
#[derive(Debug)]
pub enum Command {
    /// Makes sure that a room exists.
    Open {
        /// Which.
        room: String,
        /// How, if it does not.
        options: RoomOptions,
        /// The room.
        reply: oneshot::Sender<proto::Room>,
    },
    /// Asks whether a client could come in, before its socket is opened.
    MayJoin {
        /// Where.
        room: String,
        /// Who.
        joining: Box<Joining>,
        /// Why not.
        reply: oneshot::Sender<Result<(), JoinRefused>>,
    },
    /// Lets a client in; the room is made if it is not there and the client may make it.
    Join {
        /// Where.
        room: String,
        /// How, if there is none such.
        options: RoomOptions,
        /// Who.
        joining: Box<Joining>,
        /// With what.
        entry: Box<Entry>,
        /// Its socket.
        signal: SignalSink,
        /// The membership.
        reply: oneshot::Sender<Result<(MemberId, Session), JoinRefused>>,
    },
    /// A new socket for a membership.
    Resume {
        /// Where.
        room: String,
        /// Whose sid.
        sid: String,
        /// Whose token.
        identity: String,
        /// With what.
        entry: Box<Entry>,
        /// Its socket.
        signal: SignalSink,
        /// The membership, `None` if there is none such.
        reply: oneshot::Sender<Option<(MemberId, Session)>>,
    },
    /// A request of a client's.
    Request {
        /// Where.
        room: String,
        /// Who.
        member: MemberId,
        /// On which socket.
        session: Session,
        /// What.
        asked: Box<proto::signal_request::Message>,
    },
    /// A socket is gone.
    SignalClosed {
        /// Where.
        room: String,
        /// Whose.
        member: MemberId,
        /// Which.
        session: Session,
    },
    /// Does what an administrator asks of a room.
    Act {
        /// Where.
        room: String,
        /// What.
        act: Act,
        /// `None`: no such room.
        reply: oneshot::Sender<Option<Result<(), Refused>>>,
    },
    /// Ends a room.
    Delete {
        /// Which.
        room: String,
        /// False: no such room.
        reply: oneshot::Sender<bool>,
    },
    /// Ends every room and the worker; clients are told to come back later.
    Shutdown {
        /// Done.
        reply: oneshot::Sender<()>,
    },
    /// Every room, or the named ones, with everybody in it.
    List {
        /// Empty: all.
        rooms: Vec<String>,
        /// The rooms that exist.
        reply: oneshot::Sender<Vec<(proto::Room, Vec<proto::ParticipantInfo>)>>,
    },
}

/// What happened, and where.
#[derive(Clone, Debug, PartialEq)]
pub struct Happened {
    /// Name on the wire.
    pub room: String,
    /// What.
    pub what: Happening,
}

/// The worker's handle. When all clones are gone the worker ends, too.
#[derive(Clone, Debug)]
pub struct Media {
    commands: mpsc::Sender<Command>,
    addr: SocketAddr,
}

/// The worker is gone: the server is shutting down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the rooms are shutting down")]
pub struct Gone;

impl Media {
    /// Binds the UDP port (0 picks one) and starts the worker. What rooms are not told otherwise is as `rules` have it.
    pub fn start(addr: SocketAddr, rules: RoomRules) -> Result<(Self, mpsc::Receiver<Happened>)> {
        let socket = net::bind(addr)?;
        let addr = socket.local_addr()?;
        let (commands, inbox) = mpsc::channel(COMMAND_CAPACITY);
        let (news, happened) = mpsc::channel(HAPPENED_CAPACITY);
        worker::start(socket, rules, inbox, news)?;
        Ok((Self { commands, addr }, happened))
    }

    /// The UDP address in use.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Gives the worker something to do.
    pub async fn command(&self, command: Command) -> Result<(), Gone> {
        self.commands.send(command).await.map_err(|_| Gone)
    }

    /// Asks the worker and waits for its reply.
    pub async fn ask<T>(&self, command: impl FnOnce(oneshot::Sender<T>) -> Command) -> Result<T, Gone> {
        let (reply, answer) = oneshot::channel();
        self.command(command(reply)).await?;
        answer.await.map_err(|_| Gone)
    }
}
