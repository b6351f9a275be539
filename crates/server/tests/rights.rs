//! Keys for rooms at the embedded rooms themselves, with a raw LiveKit signal socket.
#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm, reason = "a test that is surprised fails")]

mod common;

use common::Client;
use common::signal::{Socket, ask, closed, joined, knock, leave, told};
use livekit_protocol as proto;
use proto::signal_request::Message as Asked;
use proto::signal_response::Message as Told;
use protocol::{Privileges, RoomId, UserId};
use serde_json::json;
use server::{Config, Server};
use std::path::Path;
use std::time::Duration;

async fn guarded(dir: &Path) -> Server {
    Server::start(Config { data_dir: dir.to_owned(), require_map_key: true, ..Config::default() }).await.unwrap()
}

/// A room token by way of the call plane.
async fn token(server: &Server, name: &str, bits: u32) -> String {
    let user = UserId::new(name).unwrap();
    let mut client = Client::connect(server.http_addr()).await;
    let ticket = server.mint_ticket(&user, Duration::from_secs(60));
    client
        .send(&json!({"type": "hello", "versions": [1], "userId": name, "userSig": ticket, "deviceId": "desk"}))
        .await;
    assert_eq!(client.next().await["type"], "welcome");
    let key = server.mint_map_key(&user, &RoomId::number(7).unwrap(), Privileges(bits), Duration::from_secs(60));
    client.request(1, "enterRoom", json!({"roomId": {"intRoomId": 7}, "privateMapKey": key})).await;
    client.reply(1).await["access"]["token"].as_str().unwrap().to_owned()
}

/// The sentence of the refusal, or nothing where the track may be published.
async fn publish(socket: &mut Socket, source: proto::TrackSource, kind: proto::TrackType) -> Option<String> {
    let cid = source.as_str_name().to_owned();
    let request = proto::AddTrackRequest { cid, source: source.into(), r#type: kind.into(), ..Default::default() };
    ask(socket, Asked::AddTrack(request)).await;
    told(socket, |message| match message {
        Told::TrackPublished(_) => Some(None),
        Told::RequestResponse(response) => Some(Some(response.message)),
        _ => None,
    })
    .await
}

#[tokio::test]
async fn each_bit_to_send_lets_its_own_sources_through() {
    use proto::{TrackSource as Source, TrackType as Type};
    let dir = tempfile::tempdir().unwrap();
    let server = guarded(dir.path()).await;
    let cases = [
        (4, Source::Microphone, Type::Audio, "(-100006)"),
        (16, Source::Camera, Type::Video, "(-102013)"),
        (64, Source::ScreenShare, Type::Video, "(-102015)"),
        (64, Source::ScreenShareAudio, Type::Audio, "(-102015)"),
    ];
    for (bit, source, kind, code) in cases {
        let mut with = knock(server.http_addr(), &token(&server, "with", 1 + 2 + bit).await).await;
        joined(&mut with).await;
        assert_eq!(publish(&mut with, source, kind).await, None);
        let mut without = knock(server.http_addr(), &token(&server, "without", 255 - bit).await).await;
        joined(&mut without).await;
        let refusal = publish(&mut without, source, kind).await.unwrap();
        assert!(refusal.ends_with(code), "{refusal}");
    }
    server.shutdown().await;
}

#[tokio::test]
async fn nobody_sees_what_a_key_withholds_and_clients_are_told_what_they_may() {
    let dir = tempfile::tempdir().unwrap();
    let server = guarded(dir.path()).await;
    for (bits, subscribes) in [(255, true), (1 + 42, true), (1 + 2 + 8, true), (1 + 2 + 128, true), (1 + 2 + 4, false)]
    {
        let mut socket = knock(server.http_addr(), &token(&server, "alice", bits).await).await;
        let me = joined(&mut socket).await.participant.unwrap();
        assert!(me.attributes.is_empty());
        assert_eq!(me.permission.unwrap().can_subscribe, subscribes, "{bits}");
    }
    server.shutdown().await;
}

#[tokio::test]
async fn a_token_that_may_not_make_the_room_does_not_make_it_later_either() {
    let dir = tempfile::tempdir().unwrap();
    let server = guarded(dir.path()).await;
    let mut maker = knock(server.http_addr(), &token(&server, "maker", 255).await).await;
    joined(&mut maker).await;
    // Handed out while the room is there, twice.
    let (early, late) = (token(&server, "early", 255 - 1).await, token(&server, "late", 255 - 1).await);
    let mut early = knock(server.http_addr(), &early).await;
    joined(&mut early).await;
    for socket in [&mut maker, &mut early] {
        leave(socket).await;
        closed(socket).await;
    }
    let door = format!("{}/rtc", server.http_addr());
    let socket = tokio_tungstenite::connect_async(format!("ws://{door}?access_token={late}")).await;
    assert!(socket.is_err(), "the room is gone, and this token makes none");
    let answer = reqwest::get(format!("http://{door}/validate?access_token={late}")).await.unwrap();
    assert_eq!(answer.status(), 403);
    assert!(answer.text().await.unwrap().contains("-102010"));
    server.shutdown().await;
}
