//! Entering rooms where keys are required, over a real socket: what is refused, and what the token then allows.
#![allow(clippy::unwrap_used, reason = "a test that is surprised fails")]

mod common;

use common::{Client, Host, start, start_with};
use livekit_token::{Claims, VideoGrants};
use protocol::{Privileges, RoomId, UserId};
use serde_json::{Value, json};
use server::Config;
use server::tokens::PRIVILEGES_ATTRIBUTE;
use std::path::Path;
use std::time::Duration;

const LIFE: Duration = Duration::from_secs(60);

async fn guarded(dir: &Path) -> Host {
    start_with(Config { data_dir: dir.to_owned(), require_map_key: true, ..Config::default() }).await
}

fn key(host: &Host, user: &str, room: u32, privileges: u32) -> String {
    let (user, room) = (UserId::new(user).unwrap(), RoomId::number(room).unwrap());
    host.server.mint_map_key(&user, &room, Privileges(privileges), LIFE)
}

/// The request's next number, the client, and what it asks for.
struct Asking {
    client: Client,
    next: u64,
}

impl Asking {
    async fn new(host: &Host, user: &str) -> Self {
        Self { client: host.sign_in(user).await, next: 1 }
    }

    async fn ask(&mut self, room: &Value, key: Option<&str>) {
        let mut params = json!({"roomId": room});
        if let Some(key) = key {
            params["privateMapKey"] = json!(key);
        }
        self.client.request(self.next, "enterRoom", params).await;
        self.next += 1;
    }

    async fn refused(&mut self, room: u32, key: Option<&str>) -> i64 {
        self.ask(&json!({"intRoomId": room}), key).await;
        self.client.error().await
    }

    async fn admitted(&mut self, room: u32, key: &str) -> Claims {
        self.ask(&json!({"intRoomId": room}), Some(key)).await;
        let reply = self.client.reply(self.next - 1).await;
        Claims::from_unverified(reply["access"]["token"].as_str().unwrap()).unwrap()
    }
}

#[tokio::test]
async fn a_wrong_key_is_refused_whatever_is_wrong_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let host = guarded(dir.path()).await;
    let mut alice = Asking::new(&host, "alice").await;
    let late = host.server.mint_map_key(
        &UserId::new("alice").unwrap(),
        &RoomId::number(7).unwrap(),
        Privileges::ALL,
        Duration::ZERO,
    );
    let ticket = host.ticket("alice");
    let (of_bob, of_room_8) = (key(&host, "bob", 7, 255), key(&host, "alice", 8, 255));
    for wrong in [None, Some(""), Some("no key"), Some(&ticket), Some(&of_bob), Some(&of_room_8), Some(&late)] {
        assert_eq!(alice.refused(7, wrong).await, -100_006, "{wrong:?}");
    }
    // Named rooms are another name space: the key of 7 does not open "7".
    alice.ask(&json!({"strRoomId": "7"}), Some(&key(&host, "alice", 7, 255))).await;
    assert_eq!(alice.client.error().await, -100_006);
    assert!(host.rooms.asked.lock().is_empty(), "no room was made for any of them");
    host.server.shutdown().await;
}

#[tokio::test]
async fn who_may_not_create_or_enter_hears_so() {
    let dir = tempfile::tempdir().unwrap();
    let host = guarded(dir.path()).await;
    let (mut alice, mut bob) = (Asking::new(&host, "alice").await, Asking::new(&host, "bob").await);
    assert_eq!(alice.refused(7, Some(&key(&host, "alice", 7, 255 - 1))).await, -102_010);
    assert_eq!(alice.refused(7, Some(&key(&host, "alice", 7, 255 - 2))).await, -102_011);
    bob.admitted(7, &key(&host, "bob", 7, 255)).await;
    host.rooms.wait_for("open n:7").await;
    alice.admitted(7, &key(&host, "alice", 7, 255 - 1)).await;
    host.server.shutdown().await;
}

#[tokio::test]
async fn the_other_bits_become_grants_of_the_token() {
    let dir = tempfile::tempdir().unwrap();
    let host = guarded(dir.path()).await;
    let mut alice = Asking::new(&host, "alice").await;
    let sources = |video: &VideoGrants| (video.can_publish, video.can_publish_sources.join(" "));
    let expected = [
        (255, Some(true), "", Some(true)),
        (1 + 2 + 4, Some(true), "microphone", Some(false)),
        (1 + 2 + 16, Some(true), "camera", Some(false)),
        (1 + 2 + 64, Some(true), "screen_share screen_share_audio", Some(false)),
        (1 + 42, Some(false), "", Some(true)),
        (255 - 8, Some(true), "", Some(false)),
        (255 - 32, Some(true), "", Some(false)),
    ];
    for (bits, publish, named, subscribe) in expected {
        let claims = alice.admitted(7, &key(&host, "alice", 7, bits)).await;
        assert_eq!(sources(&claims.video), (publish, named.to_owned()), "{bits}");
        assert_eq!(claims.video.can_subscribe, subscribe, "{bits}");
        assert!(!claims.video.room_admin && !claims.video.room_create, "{bits}");
        let attribute = (bits != 255).then(|| bits.to_string());
        assert_eq!(claims.attributes.get(PRIVILEGES_ATTRIBUTE), attribute.as_ref());
    }
    host.server.shutdown().await;
}

#[tokio::test]
async fn members_of_a_call_need_no_key_and_choose_no_room() {
    let dir = tempfile::tempdir().unwrap();
    let host = guarded(dir.path()).await;
    let (mut alice, mut bob) = (host.sign_in("alice").await, host.sign_in("bob").await);
    let wish = json!({"calleeIdList": ["bob"], "callMediaType": 0});
    let mut into_a_room = wish.clone();
    into_a_room["roomId"] = json!({"intRoomId": 7});
    alice.request(1, "call", into_a_room).await;
    assert_eq!(alice.error().await, -100_006);
    alice.request(2, "call", wish).await;
    let placed = alice.reply(2).await;
    let invited = bob.event("invited").await;
    bob.request(1, "accept", json!({"callId": invited["callId"]})).await;
    bob.reply(1).await;
    let begun = bob.event("begun").await;
    for access in [&placed["access"], &begun["access"]] {
        let claims = Claims::from_unverified(access["token"].as_str().unwrap()).unwrap();
        assert!(claims.video.can_publish() && claims.video.can_subscribe() && claims.attributes.is_empty());
    }
    host.server.shutdown().await;
}

#[tokio::test]
async fn without_the_switch_a_key_is_neither_asked_for_nor_looked_at() {
    let dir = tempfile::tempdir().unwrap();
    let host = start(dir.path()).await;
    let mut alice = Asking::new(&host, "alice").await;
    for key in [None, Some("no key")] {
        alice.ask(&json!({"intRoomId": 7}), key).await;
        let reply = alice.client.reply(alice.next - 1).await;
        let claims = Claims::from_unverified(reply["access"]["token"].as_str().unwrap()).unwrap();
        assert!(claims.video.can_publish() && claims.attributes.is_empty());
    }
    host.server.shutdown().await;
}
