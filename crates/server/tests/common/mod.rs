//! A server with rooms that only remember, and a client that speaks the wire by hand.
#![allow(clippy::unwrap_used, reason = "a test that is surprised fails")]
#![allow(dead_code, reason = "each test file uses its part")]

pub mod signal;

use async_trait::async_trait;
use futures_util::{SinkExt as _, StreamExt as _};
use livekit_protocol::ParticipantInfo;
use parking_lot::Mutex;
use protocol::UserId;
use serde_json::{Value, json};
use server::rooms::{Admission, Blocked, Carrier, Member, RoomEvent, RoomInfo, Rooms, RoomsError};
use server::tokens::{Grants, Tokens};
use server::{Config, Server};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::broadcast;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

/// How long a test waits for what must come.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// Rooms that carry nothing: they note what is asked of them, and say what the test wants them to say.
pub struct FakeRooms {
    pub tokens: Arc<Tokens>,
    pub asked: Mutex<Vec<String>>,
    pub members: Mutex<Vec<(String, String)>>,
    events: broadcast::Sender<RoomEvent>,
}

impl FakeRooms {
    pub fn say(&self, event: RoomEvent) {
        self.events.send(event).unwrap();
    }

    pub fn join(&self, room: &str, identity: &str) {
        self.members.lock().push((room.to_owned(), identity.to_owned()));
        self.say(RoomEvent::Joined { room: room.to_owned(), who: who(identity) });
    }

    /// Waits until something has been asked.
    pub async fn wait_for(&self, what: &str) {
        tokio::time::timeout(PATIENCE, async {
            while !self.asked.lock().iter().any(|asked| asked == what) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await
        .unwrap_or_else(|_| panic!("nobody asked for {what:?}: {:?}", self.asked.lock()));
    }
}

/// Somebody of whom nothing but the identity matters.
pub fn who(identity: &str) -> Arc<ParticipantInfo> {
    Arc::new(ParticipantInfo { identity: identity.to_owned(), ..ParticipantInfo::default() })
}

#[async_trait]
impl Rooms for FakeRooms {
    async fn open(&self, room: &str) -> Result<(), RoomsError> {
        self.asked.lock().push(format!("open {room}"));
        Ok(())
    }

    fn admit(&self, room: &str, identity: &str, grants: Grants) -> Result<Admission, RoomsError> {
        Ok(Admission { url: None, token: self.tokens.mint(room, identity, grants).unwrap() })
    }

    fn revoke(&self, room: &str, identity: &str) {
        self.tokens.void(room, identity);
        self.asked.lock().push(format!("revoke {identity}"));
    }

    async fn remove(&self, _room: &str, identity: &str, by: Option<String>) -> Result<(), RoomsError> {
        self.asked.lock().push(format!("remove {identity} {by:?}"));
        Ok(())
    }

    async fn block(&self, _room: &str, identity: &str, blocked: Blocked) -> Result<(), RoomsError> {
        self.asked.lock().push(format!("block {identity} {blocked:?}"));
        Ok(())
    }

    async fn dismiss(&self, room: &str, _by: Option<String>) -> Result<(), RoomsError> {
        self.asked.lock().push(format!("dismiss {room}"));
        Ok(())
    }

    async fn list(&self, room: &str) -> Result<Vec<Member>, RoomsError> {
        let of_room = |(at, _): &&(String, String)| at == room;
        let member = |(_, identity): &(String, String)| Member { identity: identity.clone(), sid: "PA_x".to_owned() };
        if !self.asked.lock().contains(&format!("open {room}")) {
            return Err(RoomsError::NotExist);
        }
        Ok(self.members.lock().iter().filter(of_room).map(member).collect())
    }

    async fn list_all(&self) -> Result<Vec<RoomInfo>, RoomsError> {
        Ok(Vec::new())
    }

    fn events(&self) -> broadcast::Receiver<RoomEvent> {
        self.events.subscribe()
    }
}

struct FakeCarrier(Arc<FakeRooms>);

#[async_trait]
impl Carrier for FakeCarrier {
    fn rooms(&self) -> Arc<dyn Rooms> {
        Arc::clone(&self.0) as Arc<dyn Rooms>
    }

    fn router(&self) -> axum::Router {
        axum::Router::new()
    }

    fn media_addr(&self) -> Option<SocketAddr> {
        None
    }

    async fn shutdown(&self) {}
}

/// A server on loopback with any free port.
pub struct Host {
    pub server: Server,
    pub rooms: Arc<FakeRooms>,
}

pub async fn start(data_dir: &Path) -> Host {
    start_with(Config { data_dir: data_dir.to_owned(), ..Config::default() }).await
}

pub async fn start_with(config: Config) -> Host {
    let kept: Arc<Mutex<Option<Arc<FakeRooms>>>> = Arc::default();
    let slot = Arc::clone(&kept);
    let server = Server::start_with(config, |_, tokens| async move {
        let (events, _) = broadcast::channel(64);
        let rooms = Arc::new(FakeRooms { tokens, asked: Mutex::default(), members: Mutex::default(), events });
        *slot.lock() = Some(Arc::clone(&rooms));
        Ok(Box::new(FakeCarrier(rooms)) as Box<dyn Carrier>)
    })
    .await
    .unwrap();
    let rooms = kept.lock().take().unwrap();
    Host { server, rooms }
}

impl Host {
    pub fn ticket(&self, user: &str) -> String {
        self.server.mint_ticket(&UserId::new(user).unwrap(), Duration::from_secs(3600))
    }

    pub async fn connect(&self) -> Client {
        Client::connect(self.server.http_addr()).await
    }

    pub fn hello(&self, user: &str) -> Value {
        json!({"type": "hello", "versions": [1], "client": "test", "userId": user,
               "userSig": self.ticket(user), "deviceId": format!("{user}-desk")})
    }

    /// A client that has signed in.
    pub async fn sign_in(&self, user: &str) -> Client {
        let mut client = self.connect().await;
        client.send(&self.hello(user)).await;
        client.welcome = client.next().await;
        assert_eq!(client.welcome["type"], "welcome", "{}", client.welcome);
        assert_eq!(client.welcome["resumed"], false);
        client
    }

    /// A client of another device of the same user.
    pub async fn sign_in_with(&self, user: &str, device: &str) -> Client {
        let mut client = self.connect().await;
        let mut hello = self.hello(user);
        hello["deviceId"] = json!(device);
        client.send(&hello).await;
        client.welcome = client.next().await;
        assert_eq!(client.welcome["type"], "welcome", "{}", client.welcome);
        client
    }

    /// A client that goes on with the session of another one, of which it has seen the events up to `last_seq`.
    pub async fn resume(&self, user: &str, session: &Value, last_seq: u64) -> Client {
        let mut client = self.connect().await;
        let mut hello = self.hello(user);
        hello["resume"] = json!({"session": session, "lastSeq": last_seq});
        client.send(&hello).await;
        client.welcome = client.next().await;
        assert_eq!(client.welcome["type"], "welcome", "{}", client.welcome);
        client
    }
}

/// One raw connection. Pings are answered and not shown.
pub struct Client {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    pub welcome: Value,
    pub answers_pings: bool,
}

impl Client {
    pub async fn connect(addr: SocketAddr) -> Self {
        let (socket, _) = tokio_tungstenite::connect_async(format!("ws://{addr}/call/v1")).await.unwrap();
        Self { socket, welcome: Value::Null, answers_pings: true }
    }

    pub async fn send(&mut self, message: &Value) {
        self.send_text(&message.to_string()).await;
    }

    pub async fn send_text(&mut self, text: &str) {
        self.send_raw(Message::text(text)).await;
    }

    /// Errors show when reading: the server may have closed while this was on its way.
    pub async fn send_raw(&mut self, message: Message) {
        let _ = self.socket.send(message).await;
    }

    pub async fn request(&mut self, id: u64, method: &str, params: Value) {
        self.send(&json!({"type": "request", "id": id, "method": method, "params": params})).await;
    }

    pub async fn ack(&mut self, seq: u64) {
        self.send(&json!({"type": "ack", "seq": seq})).await;
    }

    /// The next frame, or `None` where the server has closed.
    pub async fn read(&mut self) -> Option<Value> {
        tokio::time::timeout(PATIENCE, self.read_slowly()).await.expect("the server says something")
    }

    /// The same for what takes longer than [`PATIENCE`].
    pub async fn read_slowly(&mut self) -> Option<Value> {
        loop {
            match self.socket.next().await {
                Some(Ok(Message::Text(text))) => {
                    let message: Value = serde_json::from_str(&text).unwrap();
                    if message["type"] != "ping" {
                        return Some(message);
                    }
                    if self.answers_pings {
                        self.send(&json!({"type": "pong"})).await;
                    }
                }
                Some(Ok(Message::Close(_)) | Err(_)) | None => return None,
                Some(Ok(_)) => {}
            }
        }
    }

    pub async fn next(&mut self) -> Value {
        self.read().await.expect("the server has not closed")
    }

    /// The next frame, which must be this event; its number must follow.
    pub async fn event(&mut self, name: &str) -> Value {
        let message = self.next().await;
        assert_eq!((&message["type"], &message["event"]), (&json!("event"), &json!(name)), "{message}");
        message
    }

    /// The next frame, which must be the answer to this request.
    pub async fn reply(&mut self, id: u64) -> Value {
        let message = self.next().await;
        assert_eq!((&message["type"], &message["id"]), (&json!("reply"), &json!(id)), "{message}");
        message
    }

    /// The next frame, which must be the list of running calls.
    pub async fn cards(&mut self) -> Vec<Value> {
        let message = self.next().await;
        assert_eq!(message["type"], "cards", "{message}");
        message["cards"].as_array().unwrap().clone()
    }

    /// The next frame, which must be an error; gives its code back.
    pub async fn error(&mut self) -> i64 {
        let message = self.next().await;
        assert_eq!(message["type"], "error", "{message}");
        assert!(message["message"].as_str().is_some_and(|sentence| sentence.ends_with('.')), "{message}");
        message["code"].as_i64().unwrap()
    }

    /// Nothing more comes: the server has closed.
    pub async fn closed(&mut self) {
        assert_eq!(self.read().await, None);
    }

    /// Cuts the connection without a word.
    pub fn cut(self) {
        drop(self);
    }
}
