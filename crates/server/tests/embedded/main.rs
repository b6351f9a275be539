//! The embedded rooms over real sockets, with clients that signal and send no media.
#![allow(clippy::unwrap_used, reason = "a test that is surprised fails")]
#![allow(clippy::wildcard_enum_match_arm, reason = "of the many messages a test looks for one")]

mod entering;
mod member;
mod service;

use livekit_token::{AccessToken, VideoGrants};
use server::config::RoomRules;
use server::tokens::ApiKey;
use server::{Config, Server};
use std::time::Duration;
use tempfile::TempDir;

/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(30);

const KEY: &str = "devkey";
const SECRET: &str = "a secret of these tests, long enough for LiveKit";

/// A whole server with embedded rooms on loopback.
struct House {
    server: Server,
    _data: TempDir,
}

impl House {
    async fn start(rules: RoomRules) -> Self {
        let data = tempfile::tempdir().unwrap();
        let api_keys = vec![ApiKey { key: KEY.to_owned(), secret: SECRET.to_owned() }];
        let config = Config { data_dir: data.path().to_owned(), api_keys, rules, ..Config::default() };
        Self { server: Server::start(config).await.unwrap(), _data: data }
    }

    fn url(&self, scheme: &str) -> String {
        format!("{scheme}://{}", self.server.http_addr())
    }
}

fn sign(identity: &str, grants: VideoGrants) -> String {
    let token = AccessToken::with_api_key(KEY, SECRET).with_identity(identity).with_name(identity);
    token.with_grants(grants).to_jwt().unwrap()
}

/// A token that opens `room`.
fn entry(room: &str, identity: &str) -> String {
    sign(identity, VideoGrants { room_join: true, room: room.to_owned(), ..VideoGrants::default() })
}
