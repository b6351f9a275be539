//! A server with a directory of its own.

use anyhow::{Context, Result};
use protocol::{Privileges, RoomId, UserId};
use server::tokens::ApiKey;
use server::{Config, Server};
use std::time::Duration;
use tempfile::TempDir;

const KEY: &str = "tests";
const SECRET: &str = "a-secret-of-the-tests-with-enough-characters";

/// A running server.
pub struct House {
    server: Server,
    config: Config,
    /// Files of the people in it, and the server's store.
    pub dir: TempDir,
}

impl House {
    /// Starts it on any free ports of loopback; it finds lost connections within a second or two.
    pub async fn open() -> Result<Self> {
        Self::open_with(|_| ()).await
    }

    /// Starts it with a heartbeat of so long.
    pub async fn open_beating(heartbeat: Duration) -> Result<Self> {
        Self::open_with(|config| config.heartbeat = heartbeat).await
    }

    /// Starts it with other settings.
    pub async fn open_with(change: impl FnOnce(&mut Config)) -> Result<Self> {
        // What happened, for whoever looks into a failure: RUST_LOG=debug.
        let filter = tracing_subscriber::EnvFilter::from_default_env();
        let _ = tracing_subscriber::fmt().with_env_filter(filter).with_test_writer().try_init();
        let dir = tempfile::tempdir()?;
        let mut config = Config {
            data_dir: dir.path().join("server"),
            api_keys: vec![Self::api_key()],
            heartbeat: Duration::from_millis(500),
            ..Config::default()
        };
        change(&mut config);
        let server = Server::start(config.clone()).await.context("starting the server")?;
        Ok(Self { server, config, dir })
    }

    /// Stops the server and starts it again, under the same addresses and over the same data.
    pub async fn restart(self) -> Result<Self> {
        let Self { server, mut config, dir } = self;
        config.listen = server.http_addr();
        config.media = server.media_addr().unwrap_or(config.media);
        server.shutdown().await;
        let server = Server::start(config.clone()).await.context("starting the server again")?;
        Ok(Self { server, config, dir })
    }

    /// The API key that it knows.
    pub fn api_key() -> ApiKey {
        ApiKey { key: KEY.to_owned(), secret: SECRET.to_owned() }
    }

    /// Where people sign in.
    pub fn url(&self) -> url::Url {
        self.server.url().parse().expect("the server's own address")
    }

    /// Where it listens.
    pub fn address(&self) -> std::net::SocketAddr {
        self.server.http_addr()
    }

    /// Its rooms, as the call plane and the administrators see them.
    pub fn rooms(&self) -> std::sync::Arc<dyn server::rooms::Rooms> {
        self.server.rooms()
    }

    /// A ticket for somebody.
    pub fn ticket(&self, user: &UserId) -> String {
        self.server.mint_ticket(user, Duration::from_secs(600))
    }

    /// A key for a room.
    pub fn key(&self, user: &UserId, room: &RoomId, bits: u32) -> String {
        self.server.mint_map_key(user, room, Privileges(bits), Duration::from_secs(600))
    }

    /// A ticket for somebody, for so long.
    pub fn ticket_for(&self, user: &str, lifetime: Duration) -> Result<String> {
        Ok(self.server.mint_ticket(&UserId::new(user)?, lifetime))
    }

    /// The server ends a call.
    pub async fn end_call(&self, call: protocol::CallId) -> bool {
        self.server.end_call(call).await
    }

    /// RoomService's RemoveParticipant.
    pub async fn remove(&self, room: &RoomId, user: &str) -> Result<()> {
        let name = room.wire_name();
        self.ask("RemoveParticipant", &name, serde_json::json!({ "room": name, "identity": user })).await
    }

    /// RoomService's DeleteRoom.
    pub async fn dismiss(&self, room: &RoomId) -> Result<()> {
        let name = room.wire_name();
        self.ask("DeleteRoom", &name, serde_json::json!({ "room": name })).await
    }

    async fn ask(&self, method: &str, room: &str, body: serde_json::Value) -> Result<()> {
        let grants = livekit_token::VideoGrants {
            room_admin: true,
            room_create: true,
            room_list: true,
            room: room.to_owned(),
            ..Default::default()
        };
        let token = livekit_token::AccessToken::with_api_key(KEY, SECRET).with_grants(grants).to_jwt()?;
        let url = format!("http://{}/twirp/livekit.RoomService/{method}", self.address());
        let answer = reqwest::Client::new().post(url).bearer_auth(token).json(&body).send().await?;
        anyhow::ensure!(answer.status().is_success(), "{method}: {} {}", answer.status(), answer.text().await?);
        Ok(())
    }
}
