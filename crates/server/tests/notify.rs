//! Webhooks and event callbacks over real sockets: what comes, in which order, signed how, and who is never slowed.
#![allow(clippy::unwrap_used, reason = "a test that is surprised fails")]

mod common;

use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use common::PATIENCE;
use common::signal::{Socket, closed, joined, knock, leave};
use hmac::{Hmac, Mac as _};
use livekit_token::{AccessToken, TokenVerifier, VideoGrants};
use serde_json::{Value, json};
use server::tokens::ApiKey;
use server::{Config, Server};
use sha2::{Digest as _, Sha256};
use std::future::pending;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;
use tokio::sync::mpsc;

const KEY: &str = "boss";
const SECRET: &str = "a-secret-of-these-tests-long-enough";
const CALLBACK_KEY: &str = "123654";

/// How a receiver answers its requests, by their number.
type Manners = Arc<dyn Fn(usize) -> Option<StatusCode> + Send + Sync>;

/// Somebody who is told.
struct Receiver {
    url: url::Url,
    requests: mpsc::UnboundedReceiver<(HeaderMap, Bytes)>,
}

impl Receiver {
    async fn polite() -> Self {
        Self::with(Arc::new(|_| Some(StatusCode::OK))).await
    }

    /// `None`: it hangs.
    async fn with(manners: Manners) -> Self {
        let (seen, requests) = mpsc::unbounded_channel();
        let count = Arc::new(AtomicUsize::new(0));
        let answer = move |headers: HeaderMap, body: Bytes| {
            let (seen, count, manners) = (seen.clone(), Arc::clone(&count), Arc::clone(&manners));
            async move {
                let number = count.fetch_add(1, Ordering::SeqCst);
                let _ = seen.send((headers, body));
                match manners(number) {
                    Some(status) => status,
                    None => pending().await,
                }
            }
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/told?secret=x", listener.local_addr().unwrap()).parse().unwrap();
        let app = axum::Router::new().route("/told", axum::routing::post(answer));
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { url, requests }
    }

    async fn raw(&mut self) -> (HeaderMap, Bytes) {
        tokio::time::timeout(3 * PATIENCE, self.requests.recv()).await.expect("the next request").unwrap()
    }

    /// The next callback, its signature checked.
    async fn callback(&mut self) -> Value {
        let (headers, body) = self.raw().await;
        let mut mac = Hmac::<Sha256>::new_from_slice(CALLBACK_KEY.as_bytes()).unwrap();
        mac.update(&body);
        assert_eq!(headers["Sign"], STANDARD.encode(mac.finalize().into_bytes()));
        assert_eq!(
            (&headers["SdkAppId"], &headers["Content-Type"]),
            (&"1400000000".parse().unwrap(), &"application/json".parse().unwrap())
        );
        serde_json::from_slice(&body).unwrap()
    }

    /// Number, user and reason of the next callback, which must be about this room.
    async fn event(&mut self, room: &Value) -> (u64, String, Option<u64>) {
        let told = self.callback().await;
        let info = &told["EventInfo"];
        assert_eq!(&info["RoomId"], room, "{told}");
        assert!(told["CallbackTs"].as_u64() >= info["EventMsTs"].as_u64(), "{told}");
        let user = info["UserId"].as_str().unwrap_or_default().to_owned();
        (told["EventType"].as_u64().unwrap(), user, info["Reason"].as_u64())
    }

    /// The next webhook, its signature checked.
    async fn webhook(&mut self) -> Value {
        let (headers, body) = self.raw().await;
        let claims =
            TokenVerifier::with_api_key(KEY, SECRET).verify(headers["Authorization"].to_str().unwrap()).unwrap();
        assert_eq!(claims.sha256, STANDARD.encode(Sha256::digest(&body)));
        assert_eq!(headers["Content-Type"], "application/webhook+json");
        serde_json::from_slice(&body).unwrap()
    }
}

fn config(dir: &Path) -> Config {
    Config {
        data_dir: dir.to_owned(),
        api_keys: vec![ApiKey { key: KEY.to_owned(), secret: SECRET.to_owned() }],
        webhook_api_key: Some(KEY.to_owned()),
        callback_key: Some(CALLBACK_KEY.to_owned()),
        ..Config::default()
    }
}

async fn calling(dir: &Path, receivers: &[&Receiver]) -> Server {
    let callback_urls = receivers.iter().map(|receiver| receiver.url.clone()).collect();
    Server::start(Config { callback_urls, ..config(dir) }).await.unwrap()
}

fn sign(room: &str, identity: &str, change: impl FnOnce(&mut VideoGrants)) -> String {
    let mut grants = VideoGrants { room: room.to_owned(), ..VideoGrants::default() };
    change(&mut grants);
    AccessToken::with_api_key(KEY, SECRET).with_identity(identity).with_grants(grants).to_jwt().unwrap()
}

async fn join(server: &Server, room: &str, identity: &str) -> Socket {
    let token = sign(room, identity, |grants| grants.room_join = true);
    let mut socket = knock(server.http_addr(), &token).await;
    joined(&mut socket).await;
    socket
}

async fn twirp(server: &Server, method: &str, body: Value) {
    let token = sign(body["room"].as_str().unwrap(), "", |grants| {
        grants.room_admin = true;
        grants.room_create = true;
    });
    let url = format!("http://{}/twirp/livekit.RoomService/{method}", server.http_addr());
    let answer = reqwest::Client::new().post(url).bearer_auth(token).json(&body).send().await.unwrap();
    assert!(answer.status().is_success(), "{method}: {}", answer.status());
}

fn told(number: u64, user: &str, reason: Option<u64>) -> (u64, String, Option<u64>) {
    (number, user.to_owned(), reason)
}

#[tokio::test]
async fn callbacks_tell_a_rooms_life_in_order_and_signed() {
    let dir = tempfile::tempdir().unwrap();
    let mut receiver = Receiver::polite().await;
    let server = calling(dir.path(), &[&receiver]).await;
    let room = json!(7);
    let mut anna = join(&server, "n:7", "anna").await;
    assert_eq!(receiver.event(&room).await, told(101, "anna", None));
    assert_eq!(receiver.event(&room).await, told(103, "anna", Some(1)));
    let boris = join(&server, "n:7", "boris").await;
    assert_eq!(receiver.event(&room).await, told(103, "boris", Some(1)));
    for can_publish in [false, true] {
        let permission = json!({"canSubscribe": true, "canPublish": can_publish, "canPublishData": true});
        let change = json!({"room": "n:7", "identity": "boris", "permission": permission});
        twirp(&server, "UpdateParticipant", change).await;
        assert_eq!(receiver.event(&room).await, told(105, "boris", None));
    }
    twirp(&server, "RemoveParticipant", json!({"room": "n:7", "identity": "boris"})).await;
    assert_eq!(receiver.event(&room).await, told(104, "boris", Some(3)));
    // The process dies: no goodbye, and nothing more on either socket.
    drop(boris);
    drop(join(&server, "n:7", "clara").await);
    assert_eq!(receiver.event(&room).await, told(103, "clara", Some(1)));
    assert_eq!(receiver.event(&room).await, told(104, "clara", Some(5)));
    leave(&mut anna).await;
    closed(&mut anna).await;
    assert_eq!(receiver.event(&room).await, told(104, "anna", Some(1)));
    assert_eq!(receiver.event(&room).await, told(102, "anna", None));

    let _dora = join(&server, "s:7", "dora").await;
    let room = json!("7");
    assert_eq!(receiver.event(&room).await, told(101, "dora", None));
    assert_eq!(receiver.event(&room).await, told(103, "dora", Some(1)));
    twirp(&server, "DeleteRoom", json!({"room": "s:7"})).await;
    assert_eq!(receiver.event(&room).await, told(104, "dora", Some(3)));
    assert_eq!(receiver.event(&room).await, told(102, "dora", None));
    server.shutdown().await;
}

#[tokio::test]
async fn webhooks_tell_the_same_in_livekits_words() {
    let dir = tempfile::tempdir().unwrap();
    let mut receiver = Receiver::polite().await;
    let webhook_urls = vec![receiver.url.clone()];
    let server = Server::start(Config { webhook_urls, ..config(dir.path()) }).await.unwrap();
    let mut anna = join(&server, "any room", "anna").await;
    leave(&mut anna).await;
    closed(&mut anna).await;
    let mut ids = std::collections::BTreeSet::new();
    for (event, people) in
        [("room_started", 0), ("participant_joined", 1), ("participant_left", 0), ("room_finished", 0)]
    {
        let webhook = receiver.webhook().await;
        assert_eq!(webhook["event"], event, "{webhook}");
        assert_eq!(webhook["room"]["name"], "any room");
        assert_eq!(webhook["room"]["numParticipants"].as_u64().unwrap_or(0), people, "{webhook}");
        if event.starts_with("participant") {
            assert_eq!(webhook["participant"]["identity"], "anna");
        }
        assert!(webhook["createdAt"].as_str().unwrap().parse::<u64>().unwrap() > 1_700_000_000, "{webhook}");
        ids.insert(webhook["id"].as_str().unwrap().to_owned());
    }
    assert_eq!(ids.len(), 4);
    server.shutdown().await;
}

#[tokio::test]
async fn a_refused_request_is_sent_again_at_once_and_the_order_stays() {
    let dir = tempfile::tempdir().unwrap();
    let refuses_first = |number| Some(if number == 0 { StatusCode::INTERNAL_SERVER_ERROR } else { StatusCode::OK });
    let mut receiver = Receiver::with(Arc::new(refuses_first)).await;
    let server = calling(dir.path(), &[&receiver]).await;
    let _anna = join(&server, "n:7", "anna").await;
    for number in [101, 101, 103] {
        assert_eq!(receiver.event(&json!(7)).await.0, number);
    }
    server.shutdown().await;
}

#[tokio::test]
async fn a_receiver_that_hangs_slows_neither_the_rooms_nor_the_other_receivers_nor_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let hangs = Receiver::with(Arc::new(|_| None)).await;
    let mut polite = Receiver::polite().await;
    let server = calling(dir.path(), &[&hangs, &polite]).await;
    let began = Instant::now();
    let mut sockets = Vec::new();
    for number in 0..30 {
        sockets.push(join(&server, "n:7", &format!("user{number}")).await);
    }
    assert_eq!(polite.event(&json!(7)).await.0, 101);
    for number in 0..30 {
        assert_eq!(polite.event(&json!(7)).await, told(103, &format!("user{number}"), Some(1)));
    }
    // One request takes the hanging one five seconds; it has thirty-one to answer.
    let slowed = 31 * std::time::Duration::from_secs(5);
    assert!(began.elapsed() < slowed, "{:?}", began.elapsed());
    let ending = Instant::now();
    server.shutdown().await;
    assert!(ending.elapsed() < slowed, "{:?}", ending.elapsed());
}

#[tokio::test]
async fn a_server_that_stops_tells_how_its_rooms_ended() {
    let dir = tempfile::tempdir().unwrap();
    let mut receiver = Receiver::polite().await;
    let server = calling(dir.path(), &[&receiver]).await;
    let _anna = join(&server, "n:7", "anna").await;
    server.shutdown().await;
    let room = json!(7);
    for expected in
        [told(101, "anna", None), told(103, "anna", Some(1)), told(104, "anna", Some(2)), told(102, "anna", None)]
    {
        assert_eq!(receiver.event(&room).await, expected);
    }
}

#[tokio::test]
async fn webhooks_that_nobody_could_check_are_refused_at_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let receiver = Receiver::polite().await;
    for (name, word) in [(None, "webhook-api-key"), (Some("stranger"), "\"stranger\"")] {
        let webhook_urls = vec![receiver.url.clone()];
        let webhook_api_key = name.map(str::to_owned);
        let refused = Server::start(Config { webhook_urls, webhook_api_key, ..config(dir.path()) }).await;
        let why = format!("{:#}", refused.unwrap_err());
        assert!(why.contains(word), "{why}");
    }
}
