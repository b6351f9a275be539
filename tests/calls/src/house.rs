//! A server with a directory of its own.

use anyhow::{Context, Result};
use protocol::{RoomId, UserId};
use server::tokens::ApiKey;
use server::{Config, Server};
use std::time::Duration;
use tempfile::TempDir;

const KEY: &str = "tests";
const SECRET: &str = "a-secret-of-the-tests-with-enough-characters";

/// A running server.
pub struct House {
    server: Server,
    /// Files of the people in it, and the server's store.
    pub dir: TempDir,
}

impl House {
    /// Starts it on any free ports of loopback.
    pub async fn open() -> Result<Self> {
        // What happened, for whoever looks into a failure: RUST_LOG=debug.
        let filter = tracing_subscriber::EnvFilter::from_default_env();
        let _ = tracing_subscriber::fmt().with_env_filter(filter).with_test_writer().try_init();
        let dir = tempfile::tempdir()?;
        let config = Config {
            data_dir: dir.path().join("server"),
            api_keys: vec![ApiKey { key: KEY.to_owned(), secret: SECRET.to_owned() }],
            heartbeat: Duration::from_millis(500),
            ..Config::default()
        };
        Ok(Self { server: Server::start(config).await.context("starting the server")?, dir })
    }

    /// Where people sign in.
    pub fn url(&self) -> url::Url {
        self.server.url().parse().expect("the server's own address")
    }

    /// Where it listens.
    pub fn address(&self) -> std::net::SocketAddr {
        self.server.http_addr()
    }

    /// A ticket for somebody.
    pub fn ticket(&self, user: &UserId) -> String {
        self.server.mint_ticket(user, Duration::from_secs(600))
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
