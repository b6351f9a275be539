//! One client's WebSocket: hello with its ticket, then frames both ways, heartbeat and limits.

use super::{FRAMES_CAPACITY, Input, Peer};
use crate::rooms::{Rooms, RoomsError};
use axum::extract::State;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use call::switchboard::{ConnId, Entry, SignIn};
use protocol::message::{Hello, PATH, Seq, Ticket, VERSION};
use protocol::usersig::TicketKey;
use protocol::{
    ClientMessage, Code, Privileges, Refusal, Request, RequestId, RoomId, ServerMessage, UnixMillis, UserId,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};
use tokio::sync::{Semaphore, mpsc, watch};

/// How long a fresh connection may stay silent: open sockets without a user are free to make.
const HELLO_TIMEOUT: Duration = Duration::from_secs(10);

/// How long one frame may take to get out.
const SEND_TIMEOUT: Duration = Duration::from_secs(10);

/// Bytes of a message that the WebSocket layer takes. Above [`protocol::message::CLIENT_FRAME_LIMIT`], so that a frame
/// that is somewhat too large gets its code; far above it the connection just ends.
const MESSAGE_LIMIT: usize = 64 * 1024;

/// Bytes of a socket's read buffer: one usual frame. The library's own choice, 128 KiB, is written through at every
/// read: ten thousand idle clients would hold more than a gigabyte.
const READ_BUFFER: usize = 4 * 1024;

/// Frames a second from one client in the long run; a call needs about one. Answers to what the server says are not
/// counted ([`Spoken`]): else others could have somebody cut off by what they make the server tell them.
const FRAMES_PER_SECOND: f64 = 20.0;

/// Frames at once.
const FRAMES_BURST: f64 = 100.0;

/// Connections at the same time. More are refused with 503: each costs a task and some buffers.
pub const CONNECTION_LIMIT: usize = 10_000;

/// What every socket needs.
#[derive(Clone)]
pub struct Door {
    pub(crate) input: mpsc::Sender<Input>,
    pub(crate) ticket_key: Arc<TicketKey>,
    pub(crate) map_key_required: bool,
    pub(crate) rooms: Arc<dyn Rooms>,
    pub(crate) heartbeat: Duration,
    pub(crate) stop: watch::Receiver<bool>,
    pub(crate) next_conn: Arc<AtomicU64>,
    pub(crate) free: Arc<Semaphore>,
    /// Where clients reach this server when they do not say it and nobody configured it.
    pub(crate) fallback_host: String,
    pub(crate) public_url: Option<url::Url>,
}

/// The router of the call plane.
pub fn router(door: Door) -> axum::Router {
    axum::Router::new().route(PATH, axum::routing::get(upgrade)).with_state(door)
}

async fn upgrade(State(door): State<Door>, headers: HeaderMap, ws: WebSocketUpgrade) -> Response {
    let Ok(place) = Arc::clone(&door.free).try_acquire_owned() else {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    };
    let reached = door.reached(&headers);
    let ws = ws.read_buffer_size(READ_BUFFER).max_message_size(MESSAGE_LIMIT).max_frame_size(MESSAGE_LIMIT);
    ws.on_upgrade(move |socket| async move {
        Connection::new(socket, door, reached).run().await;
        drop(place);
    })
}

impl Door {
    /// `ws(s)://host[:port]` by which this client reaches the server: rooms are served there too.
    fn reached(&self, headers: &HeaderMap) -> String {
        if let Some(url) = &self.public_url {
            let url = url.as_str().trim_end_matches('/');
            return format!("ws{}", url.strip_prefix("http").unwrap_or(url));
        }
        let plain = |host: &&str| {
            let allowed = |b: u8| b.is_ascii_alphanumeric() || b".-:[]".contains(&b);
            !host.is_empty() && host.len() <= 255 && host.bytes().all(allowed)
        };
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).filter(plain);
        format!("ws://{}", host.unwrap_or(&self.fallback_host))
    }

    fn check(&self, ticket: &str, user: &UserId) -> Result<UnixMillis, Refusal> {
        if ticket.is_empty() {
            return Err(Code::UserSigInvalid.into());
        }
        Ok(self.ticket_key.check(ticket, user, SystemTime::now().into())?)
    }

    /// What is to be known of a wish to enter a room, where keys are required.
    async fn look_at(&self, key: Option<&Ticket>, user: &UserId, room: &RoomId) -> Entry {
        let now = SystemTime::now().into();
        let key = key.map(|key| self.ticket_key.check_map_key(&key.0, user, room, now).map_err(Refusal::from));
        let key = key.unwrap_or_else(|| Err(Code::NoPrivilege.into()));
        // Only who may not make a room has to find one.
        let exists = key.as_ref().is_ok_and(|key| key.allow(Privileges::CREATE))
            || !matches!(self.rooms.list(&room.wire_name()).await, Err(RoomsError::NotExist));
        Entry { key, exists }
    }

    fn sign_in(&self, hello: Hello) -> Result<SignIn, Refusal> {
        if !hello.versions.contains(&VERSION) {
            let newer = hello.versions.iter().any(|version| *version > VERSION);
            let code = if newer { Code::ServerOutdated } else { Code::ClientOutdated };
            return Err(Refusal::because(code, format!("{} It speaks version {VERSION}.", code.sentence())));
        }
        if hello.sdk_app_id.is_some_and(|id| id != self.ticket_key.sdk_app_id()) {
            return Err(Code::AppIdInvalid.into());
        }
        let user = UserId::new(hello.user_id).map_err(|_| Refusal::new(Code::UserIdInvalid))?;
        let ticket_expires = self.check(&hello.user_sig, &user)?;
        Ok(SignIn { user, device: hello.device_id, resume: hello.resume, ticket_expires })
    }
}

/// Frames that a client may still send right now.
struct Allowance {
    left: f64,
    at: Instant,
}

impl Allowance {
    fn take(&mut self) -> bool {
        let earned = self.at.elapsed().as_secs_f64() * FRAMES_PER_SECOND;
        self.at = Instant::now();
        self.left = (self.left + earned).min(FRAMES_BURST) - 1.0;
        self.left >= 0.0
    }
}

/// What was said on one connection and waits for its answer. Each event and each ping pays for one frame of the client.
#[derive(Default)]
struct Spoken {
    /// Of the newest event.
    told: Seq,
    /// Of the newest event that was acknowledged; at first of the one before the oldest that was told.
    acknowledged: Seq,
    /// Without an answer.
    pings: u32,
}

impl Spoken {
    fn tell(&mut self, seq: Seq) {
        if self.told == 0 {
            self.acknowledged = seq.saturating_sub(1);
        }
        self.told = seq;
    }

    /// Whether a frame answers what was said, and is no more than an answer.
    fn is_answered_by(&mut self, message: &ClientMessage) -> bool {
        match message {
            ClientMessage::Ack { seq } if (self.acknowledged + 1..=self.told).contains(seq) => {
                self.acknowledged = *seq;
                true
            }
            ClientMessage::Pong {} if self.pings > 0 => {
                self.pings -= 1;
                true
            }
            ClientMessage::Ack { .. }
            | ClientMessage::Pong {}
            | ClientMessage::Hello(_)
            | ClientMessage::Request { .. }
            | ClientMessage::Ping {} => false,
        }
    }
}

/// Why a connection ends; the refusal is told to the client.
enum End {
    Gone,
    Refused(Refusal),
}

pub(super) async fn stopping(stop: &mut watch::Receiver<bool>) {
    // An error means that the server is gone: stop as well.
    let _ = stop.wait_for(|stopped| *stopped).await;
}

struct Connection {
    socket: WebSocket,
    door: Door,
    reached: String,
    conn: ConnId,
    user: Option<UserId>,
    allowance: Allowance,
    spoken: Spoken,
    heard: Instant,
}

impl Connection {
    fn new(socket: WebSocket, door: Door, reached: String) -> Self {
        let conn = door.next_conn.fetch_add(1, Ordering::Relaxed);
        let allowance = Allowance { left: FRAMES_BURST, at: Instant::now() };
        let spoken = Spoken::default();
        Self { socket, door, reached, conn, user: None, allowance, spoken, heard: Instant::now() }
    }

    async fn run(mut self) {
        let end = self.talk().await;
        if self.user.is_some() {
            // Refused only when the server stops.
            let _ = self.door.input.send(Input::Closed { conn: self.conn }).await;
        }
        if let Err(End::Refused(refusal)) = end {
            tracing::debug!(conn = self.conn, code = refusal.code, "refused a connection");
            let _ = self.write(&ServerMessage::Error { id: None, refusal }.to_text()).await;
        }
        let _ = tokio::time::timeout(SEND_TIMEOUT, self.socket.send(Message::Close(None))).await;
    }

    async fn talk(&mut self) -> Result<(), End> {
        let mut stop = self.door.stop.clone();
        let first = tokio::select! {
            () = stopping(&mut stop) => return Ok(()),
            first = tokio::time::timeout(HELLO_TIMEOUT, self.read()) => first.map_err(|_| End::Gone)??,
        };
        let hello = match ClientMessage::parse(&first) {
            Ok(ClientMessage::Hello(hello)) => hello,
            Ok(_) => return Err(End::Refused(Refusal::because(Code::UnknownCommand, "Say hello first."))),
            Err(unreadable) => return Err(End::Refused(unreadable.refusal)),
        };
        let hello = self.door.sign_in(hello).map_err(End::Refused)?;
        self.user = Some(hello.user.clone());
        let (sender, mut frames) = mpsc::channel(FRAMES_CAPACITY);
        let peer = Peer { frames: sender, reached: self.reached.clone() };
        self.tell(Input::Hello { conn: self.conn, hello, peer }).await?;

        let mut ping = tokio::time::interval(self.door.heartbeat);
        loop {
            tokio::select! {
                () = stopping(&mut stop) => return Ok(()),
                frame = frames.recv() => match frame {
                    Some(frame) => {
                        if let Some(seq) = frame.event {
                            self.spoken.tell(seq);
                        }
                        self.write(&frame.text).await?;
                    }
                    None => return Ok(()),
                },
                frame = self.read() => self.handle(&frame?).await?,
                _ = ping.tick() => {
                    if self.heard.elapsed() > self.door.heartbeat * 5 / 2 {
                        return Err(End::Gone);
                    }
                    self.spoken.pings += 1;
                    self.write(&ServerMessage::Ping {}.to_text()).await?;
                }
            }
        }
    }

    /// The next text frame. Cancel-safe.
    async fn read(&mut self) -> Result<String, End> {
        loop {
            match self.socket.recv().await {
                Some(Ok(Message::Text(text))) => return Ok(text.as_str().to_owned()),
                // The library answers pings itself; either is a sign of life.
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => self.heard = Instant::now(),
                Some(Ok(Message::Binary(_))) => return Err(End::Refused(Code::Undecodable.into())),
                Some(Ok(Message::Close(_)) | Err(_)) | None => return Err(End::Gone),
            }
        }
    }

    async fn write(&mut self, frame: &str) -> Result<(), End> {
        match tokio::time::timeout(SEND_TIMEOUT, self.socket.send(Message::Text(frame.into()))).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(End::Gone),
        }
    }

    /// Does not borrow the socket, which other threads must not share.
    fn tell(&self, input: Input) -> impl Future<Output = Result<(), End>> + use<> {
        let plane = self.door.input.clone();
        async move { plane.send(input).await.map_err(|_| End::Gone) }
    }

    async fn handle(&mut self, frame: &str) -> Result<(), End> {
        self.heard = Instant::now();
        let parsed = ClientMessage::parse(frame);
        let answers = parsed.as_ref().is_ok_and(|message| self.spoken.is_answered_by(message));
        if !answers && !self.allowance.take() {
            return Err(End::Refused(Refusal::because(Code::Signalling, "Too many messages in a short time.")));
        }
        let conn = self.conn;
        let message = match parsed {
            Ok(message) => message,
            Err(unreadable) if unreadable.id.is_some() => {
                let error = ServerMessage::Error { id: unreadable.id, refusal: unreadable.refusal };
                return self.write(&error.to_text()).await;
            }
            Err(unreadable) => return Err(End::Refused(unreadable.refusal)),
        };
        match message {
            ClientMessage::Hello(_) => Err(End::Refused(Refusal::because(Code::UnknownCommand, "Hello was said."))),
            ClientMessage::Request { id, request: Request::RenewTicket { user_sig } } => {
                let user = self.user.clone().ok_or(End::Gone)?;
                let checked = self.door.check(&user_sig.0, &user);
                self.tell(Input::Ticket { conn, id, checked }).await
            }
            ClientMessage::Request { id, request: Request::EnterRoom { room_id, rejoin, private_map_key } }
                if self.door.map_key_required =>
            {
                self.enter(id, room_id, rejoin, private_map_key).await
            }
            ClientMessage::Request { id, request } => self.tell(Input::Request { conn, id, request }).await,
            ClientMessage::Ack { seq } => self.tell(Input::Ack { conn, seq }).await,
            ClientMessage::Ping {} => self.write(&ServerMessage::Pong {}.to_text()).await,
            ClientMessage::Pong {} => Ok(()),
        }
    }

    /// Does not borrow the socket, which other threads must not share.
    fn enter(
        &self,
        id: RequestId,
        room: RoomId,
        rejoin: bool,
        key: Option<Ticket>,
    ) -> impl Future<Output = Result<(), End>> + use<> {
        let (door, conn, user) = (self.door.clone(), self.conn, self.user.clone());
        async move {
            let user = user.ok_or(End::Gone)?;
            let entry = door.look_at(key.as_ref(), &user, &room).await;
            let input = Input::Enter { conn, id, room, rejoin, entry };
            door.input.send(input).await.map_err(|_| End::Gone)
        }
    }
}
