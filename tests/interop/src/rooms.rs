//! A server that has nothing but embedded rooms.

use anyhow::{Result, bail};
use livekit_token::{AccessToken, VideoGrants};
use serde_json::Value;
use server::config::RoomRules;
use server::rooms::embedded::Embedded;
use server::rooms::{Carrier as _, Rooms};
use server::tokens::{ApiKey, Tokens};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::sync::{Mutex, MutexGuard};

/// The API key that the server knows.
pub const KEY: &str = "devkey";
/// Its secret.
pub const SECRET: &str = "a secret of the interop tests, long enough";

/// Browsers are heavy: one server's worth of clients at a time, however many tests run at once.
static TURN: Mutex<()> = Mutex::const_new(());

/// Rooms on loopback, on free ports.
pub struct TestServer {
    addr: SocketAddr,
    /// The rooms behind the trait, as the call plane sees them.
    pub rooms: Arc<dyn Rooms>,
    task: tokio::task::JoinHandle<()>,
    _turn: MutexGuard<'static, ()>,
}

impl Drop for TestServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl TestServer {
    /// Starts one.
    pub async fn start() -> Result<Self> {
        Self::start_with(RoomRules::default()).await
    }

    /// Starts one with other rules, when no other runs in this process.
    pub async fn start_with(rules: RoomRules) -> Result<Self> {
        let turn = TURN.lock().await;
        let filter = std::env::var("RUST_LOG").unwrap_or_else(|_| "warn".into());
        let _ = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).try_init();
        let own = ApiKey { key: "own".into(), secret: "the server's own secret, long enough too".into() };
        let tokens = Arc::new(Tokens::new(own, &[ApiKey { key: KEY.into(), secret: SECRET.into() }]));
        let embedded = Embedded::start(SocketAddr::from(([127, 0, 0, 1], 0)), rules, tokens)?;
        let (rooms, router) = (embedded.rooms(), embedded.router());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let addr = listener.local_addr()?;
        let task = tokio::spawn(async move {
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self { addr, rooms, task, _turn: turn })
    }

    /// Where clients connect.
    #[must_use]
    pub fn url(&self) -> String {
        format!("ws://{}", self.addr)
    }

    /// A token signed with the configured API key.
    pub fn token(&self, room: &str, identity: &str) -> Result<String> {
        self.token_with(room, identity, |_| {})
    }

    /// The same with other grants.
    pub fn token_with(&self, room: &str, identity: &str, change: impl FnOnce(&mut VideoGrants)) -> Result<String> {
        let mut grants = VideoGrants { room_join: true, room: room.into(), ..VideoGrants::default() };
        change(&mut grants);
        self.sign(identity, grants)
    }

    fn sign(&self, identity: &str, grants: VideoGrants) -> Result<String> {
        let token = AccessToken::with_api_key(KEY, SECRET).with_identity(identity).with_name(identity);
        Ok(token.with_grants(grants).to_jwt()?)
    }

    /// Calls `RoomService` in JSON with every administrative grant for `room`.
    pub async fn twirp(&self, method: &str, room: &str, body: Value) -> Result<Value> {
        let grants = VideoGrants {
            room_admin: true,
            room_create: true,
            room_list: true,
            room: room.into(),
            ..VideoGrants::default()
        };
        let token = self.sign("admin", grants)?;
        let url = format!("http://{}/twirp/livekit.RoomService/{method}", self.addr);
        let response = reqwest::Client::new().post(url).bearer_auth(token).json(&body).send().await?;
        let status = response.status();
        let answer = response.json().await?;
        if !status.is_success() {
            bail!("{method}: {status} {answer}");
        }
        Ok(answer)
    }
}
