//! An administrator who signs by hand, and people who are in a room by their signal socket alone.

use crate::common::{Client, PATIENCE};
use futures_util::StreamExt as _;
use livekit_protocol as proto;
use livekit_token::{AccessToken, VideoGrants};
use prost::Message as _;
use proto::signal_response::Message as Told;
use reqwest::Method;
use serde_json::{Value, json};
use server::audit::Entry;
use server::tc3::signature::authorize;
use server::tokens::ApiKey;
use server::{Config, Server};
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

pub const APP: u64 = 1_400_000_000;
const ROOM_KEY: (&str, &str) = ("devkey", "a secret of the administration tests, long enough");

pub fn config(data_dir: &Path) -> Config {
    let pair = server::admin_keys::AdminKey {
        secret_id: "support".to_owned(),
        secret_key: "secretexample".to_owned(),
        created: 0,
    };
    let api_key = ApiKey { key: ROOM_KEY.0.to_owned(), secret: ROOM_KEY.1.to_owned() };
    Config {
        data_dir: data_dir.to_owned(),
        admin_keys: vec![pair],
        api_keys: vec![api_key],
        admin_rate: 1000,
        ..Config::default()
    }
}

pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// An administrator. What a test wants to be wrong is set before [`Desk::call`].
#[derive(Clone)]
pub struct Desk {
    pub addr: SocketAddr,
    pub key: (String, String),
    pub method: Method,
    pub version: String,
    pub content_type: String,
    pub seconds: u64,
    pub more: Vec<(&'static str, String)>,
}

impl Desk {
    pub fn at(addr: SocketAddr) -> Self {
        Self {
            addr,
            key: ("support".to_owned(), "secretexample".to_owned()),
            method: Method::POST,
            version: "2019-07-22".to_owned(),
            content_type: "application/json".to_owned(),
            seconds: now(),
            more: Vec::new(),
        }
    }

    /// The answer's `Response`, after the promises that every answer keeps.
    pub async fn call(&self, action: &str, body: Value) -> Value {
        self.call_raw(action, body.to_string()).await
    }

    pub async fn call_raw(&self, action: &str, body: String) -> Value {
        let host = self.addr.to_string();
        let (query, payload) = if self.method == Method::GET { (body.as_str(), "") } else { ("", body.as_str()) };
        let signed = [("content-type", self.content_type.as_str()), ("host", host.as_str())];
        let key = (self.key.0.as_str(), self.key.1.as_str());
        let header = authorize(key, (self.method.as_str(), query), &signed, payload.as_bytes(), ("trtc", self.seconds));
        let url = if query.is_empty() { format!("http://{host}/") } else { format!("http://{host}/?{query}") };
        let mut request = reqwest::Client::new()
            .request(self.method.clone(), url)
            .header("content-type", &self.content_type)
            .header("x-tc-action", action)
            .header("x-tc-version", &self.version)
            .header("x-tc-timestamp", self.seconds.to_string())
            .header("authorization", header)
            .body(payload.to_owned());
        for (name, value) in &self.more {
            request = request.header(*name, value);
        }
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers()["content-type"], "application/json");
        let answer: Value = answer.json().await.unwrap();
        let id = answer["Response"]["RequestId"].as_str().unwrap();
        assert_eq!(id.len(), 36, "{answer}");
        answer["Response"].clone()
    }

    /// Calls and expects to be refused; gives the code back.
    pub async fn refused(&self, action: &str, body: Value) -> String {
        let answer = self.call(action, body).await;
        code(&answer)
    }

    /// Calls and expects nothing but the RequestId, which it gives back.
    pub async fn done(&self, action: &str, body: Value) -> String {
        let answer = self.call(action, body).await;
        assert_eq!(answer.as_object().unwrap().len(), 1, "{answer}");
        answer["RequestId"].as_str().unwrap().to_owned()
    }
}

pub fn code(answer: &Value) -> String {
    assert!(answer["Error"]["Message"].as_str().is_some_and(|text| !text.is_empty()), "{answer}");
    answer["Error"]["Code"].as_str().unwrap().to_owned()
}

pub fn room_token(room: &str, identity: &str, admin: bool) -> String {
    let grants = VideoGrants {
        room_join: !admin,
        room_admin: admin,
        room_create: admin,
        room: room.into(),
        ..VideoGrants::default()
    };
    let token = AccessToken::with_api_key(ROOM_KEY.0, ROOM_KEY.1).with_identity(identity).with_name(identity);
    token.with_grants(grants).to_jwt().unwrap()
}

/// Calls RoomService in JSON with every right.
pub async fn twirp(addr: SocketAddr, method: &str, room: &str, body: Value) -> reqwest::StatusCode {
    let url = format!("http://{addr}/twirp/livekit.RoomService/{method}");
    let token = room_token(room, "admin", true);
    reqwest::Client::new().post(url).bearer_auth(token).json(&body).send().await.unwrap().status()
}

/// Somebody in a room without media.
pub struct Guest {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

impl Guest {
    pub async fn enter(addr: SocketAddr, room: &str, identity: &str) -> Self {
        Self::enter_with(addr, &room_token(room, identity, false)).await.expect("the token is good")
    }

    /// `None` where the door stays closed.
    pub async fn enter_with(addr: SocketAddr, token: &str) -> Option<Self> {
        let url = format!("ws://{addr}/rtc?access_token={token}&protocol=16&auto_subscribe=1");
        let (socket, _) = tokio_tungstenite::connect_async(url).await.ok()?;
        let mut guest = Self { socket };
        guest.told("the join", |told| matches!(told, Told::Join(_)).then_some(())).await;
        Some(guest)
    }

    /// Waits for a message.
    pub async fn told<T>(&mut self, what: &str, wanted: impl Fn(&Told) -> Option<T>) -> T {
        let waiting = async {
            loop {
                let frame = self.socket.next().await.expect("the socket is open").unwrap();
                let Message::Binary(bytes) = frame else { continue };
                let told = proto::SignalResponse::decode(bytes).unwrap().message;
                if let Some(found) = told.as_ref().and_then(&wanted) {
                    return found;
                }
            }
        };
        tokio::time::timeout(PATIENCE * 3, waiting).await.unwrap_or_else(|_| panic!("never told: {what}"))
    }

    /// Waits until it is put out.
    pub async fn put_out(&mut self) -> proto::DisconnectReason {
        self.told("the end", |told| match told {
            Told::Leave(leave) => Some(leave.reason()),
            _ => None,
        })
        .await
    }

    /// Waits until it hears that somebody is out.
    pub async fn hears_of_leaving(&mut self, identity: &str) -> proto::DisconnectReason {
        self.told("somebody's end", |told| match told {
            Told::Update(update) => update
                .participants
                .iter()
                .find(|who| who.identity == identity && who.state() == proto::participant_info::State::Disconnected)
                .map(proto::ParticipantInfo::disconnect_reason),
            _ => None,
        })
        .await
    }
}

/// Somebody who entered a room by the call plane, and is in it.
pub async fn member(server: &Server, addr: SocketAddr, room: Value, user: &str) -> (Client, Guest) {
    let ticket = server.mint_ticket(&protocol::UserId::new(user).unwrap(), Duration::from_secs(600));
    let mut client = Client::connect(addr).await;
    let hello = json!({"type": "hello", "versions": [1], "userId": user, "userSig": ticket, "deviceId": user});
    client.send(&hello).await;
    assert_eq!(client.next().await["type"], "welcome");
    client.request(1, "enterRoom", json!({ "roomId": room })).await;
    let token = client.reply(1).await["access"]["token"].as_str().unwrap().to_owned();
    let guest = Guest::enter_with(addr, &token).await.expect("the token is good");
    (client, guest)
}

/// The audit log, oldest first.
pub fn audit(data_dir: &Path) -> Vec<Entry> {
    let lines = server::audit::last(data_dir, 1000).unwrap();
    lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect()
}
