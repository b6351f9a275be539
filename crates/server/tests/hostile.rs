//! Frames that nobody honest sends: the sender gets a code or is cut off, everyone else notices nothing.
#![allow(clippy::unwrap_used, reason = "a test that is surprised fails")]

mod common;

use common::{Client, Host, start};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_tungstenite::tungstenite::Message;

async fn still_serves(host: &Host, witness: &mut Client) {
    witness.send(&json!({"type": "ping"})).await;
    assert_eq!(witness.next().await["type"], "pong");
    host.sign_in("newcomer").await;
}

#[tokio::test]
async fn faults_of_a_frame_end_the_connection_with_a_code() {
    let dir = tempfile::tempdir().unwrap();
    let host = start(dir.path()).await;
    let mut witness = host.sign_in("witness").await;
    let too_large = format!(r#"{{"type":"ping","x":"{}"}}"#, "x".repeat(20_000));
    let deep = "[".repeat(15_000);
    let frames = [
        (Message::text("hello?"), -100_000),
        (Message::text(too_large), -100_000),
        (Message::text(deep), -100_000),
        (Message::binary(vec![1, 2, 3]), -100_000),
        (Message::text(r#"{"type":"dance"}"#), -100_005),
        (Message::text(r#"{"type":"ack"}"#), -1202),
        (Message::text(r#"{"type":"ack","seq":-1}"#), -1202),
        (Message::text(host.hello("mallory").to_string()), -100_005),
    ];
    for (frame, code) in frames {
        let mut mallory = host.sign_in("mallory").await;
        mallory.send_raw(frame.clone()).await;
        assert_eq!(mallory.error().await, code, "{frame}");
        mallory.closed().await;
    }
    still_serves(&host, &mut witness).await;
    host.server.shutdown().await;
}

#[tokio::test]
async fn faults_of_a_request_are_answered_and_the_connection_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let host = start(dir.path()).await;
    let mut alice = host.sign_in("alice").await;
    host.sign_in("bob").await;
    let call = |callees: serde_json::Value| json!({"calleeIdList": callees, "callMediaType": 1});
    let requests = [
        ("dance", json!({}), -100_005),
        ("accept", json!({}), -1202),
        ("accept", json!({"callId": "../../etc"}), -1202),
        ("accept", json!({"callId": "nothing"}), -1203),
        ("hangup", json!({"callId": "nothing"}), -1203),
        ("roomAccess", json!({"callId": "nothing"}), -1203),
        ("call", call(json!([])), -1202),
        ("call", call(json!(["alice"])), -1202),
        ("call", call(json!(["bob", "bob"])), -1202),
        ("call", call(json!(["nobody"])), -1202),
        ("call", call(json!(["a b"])), -1202),
        ("call", json!({"calleeIdList": ["bob"], "callMediaType": 7}), -1202),
        ("join", json!({"callId": "nothing"}), -1203),
        ("join", json!({}), -1202),
        ("inviteUser", json!({"callId": "nothing", "calleeIdList": ["bob"]}), -1203),
        ("inviteUser", json!({"callId": "nothing", "calleeIdList": []}), -1202),
        ("inviteUser", json!({"callId": "nothing", "calleeIdList": ["nobody"]}), -1202),
        ("switchCallMediaType", json!({"callId": "nothing", "callMediaType": 0}), -1203),
        ("switchCallMediaType", json!({"callId": "nothing", "callMediaType": 2}), -1202),
        ("setSelfInfo", json!({"nickname": "two\nlines"}), -1202),
        ("setSelfInfo", json!({"nickname": "x".repeat(501)}), -1202),
        ("setSelfInfo", json!({"avatar": "javascript:alert(1)"}), -1202),
        ("enableMultiDeviceAbility", json!({"enable": "yes"}), -1202),
        ("queryRecentCalls", json!({"limit": 0}), -1202),
        ("queryRecentCalls", json!({"limit": 1000}), -1202),
        ("queryRecentCalls", json!({"resultType": 9}), -1202),
        ("deleteRecordCalls", json!({"callIdList": []}), -1202),
        ("deleteRecordCalls", json!({"callIdList": vec!["c"; 201]}), -1202),
        ("call", json!({"calleeIdList": ["bob"], "callMediaType": 0, "timeout": 0}), -1202),
        ("call", json!({"calleeIdList": ["bob"], "callMediaType": 0, "userData": "x".repeat(5000)}), -1202),
    ];
    for (id, (method, params, code)) in (1..).zip(requests) {
        alice.request(id, method, params.clone()).await;
        let answer = alice.next().await;
        assert_eq!((&answer["id"], &answer["code"]), (&json!(id), &json!(code)), "{method} {params}: {answer}");
    }
    still_serves(&host, &mut alice).await;
    host.server.shutdown().await;
}

#[tokio::test]
async fn a_flood_is_cut_off() {
    let dir = tempfile::tempdir().unwrap();
    let host = start(dir.path()).await;
    let mut witness = host.sign_in("witness").await;
    let floods: [fn(u64) -> serde_json::Value; 4] = [
        |_| json!({"type": "ping"}),
        |_| json!({"type": "pong"}),
        |_| json!({"type": "ack", "seq": 0}),
        // Of events that there never were.
        |n| json!({"type": "ack", "seq": n + 1}),
    ];
    for flood in floods {
        let mut mallory = host.sign_in("mallory").await;
        for n in 0..500 {
            mallory.send(&flood(n)).await;
        }
        // The refusal may be lost with the connection when the flood goes on into a closed socket.
        while let Some(message) = mallory.read().await {
            assert!(message["type"] == "pong" || message["code"] == -1401, "{message}");
        }
    }
    still_serves(&host, &mut witness).await;
    host.server.shutdown().await;
}

#[tokio::test]
async fn nobody_is_cut_off_by_what_others_make_the_server_tell_them() {
    let dir = tempfile::tempdir().unwrap();
    let host = start(dir.path()).await;
    let mut bob = host.sign_in("bob").await;
    for mallory in ["mallory-1", "mallory-2", "mallory-3", "mallory-4"] {
        let mut mallory = host.sign_in(mallory).await;
        for id in 0..25 {
            mallory.request(2 * id + 1, "call", json!({"calleeIdList": ["bob"], "callMediaType": 0})).await;
            let call = mallory.reply(2 * id + 1).await["callId"].clone();
            mallory.request(2 * id + 2, "hangup", json!({"callId": call})).await;
            mallory.reply(2 * id + 2).await;
            mallory.event("cancelled").await;
        }
    }
    for seq in 1..=200 {
        let name = if seq % 2 == 1 { "invited" } else { "cancelled" };
        assert_eq!(bob.event(name).await["seq"], seq);
    }
    for seq in 1..=200 {
        bob.ack(seq).await;
    }
    bob.send(&json!({"type": "ping"})).await;
    assert_eq!(bob.next().await["type"], "pong");
    host.server.shutdown().await;
}

#[tokio::test]
async fn one_who_is_not_part_of_a_call_cannot_touch_it() {
    let dir = tempfile::tempdir().unwrap();
    let host = start(dir.path()).await;
    let (mut alice, mut bob) = (host.sign_in("alice").await, host.sign_in("bob").await);
    let mut mallory = host.sign_in("mallory").await;
    host.sign_in("witness").await;
    alice.request(1, "call", json!({"calleeIdList": ["bob"], "callMediaType": 1})).await;
    let call = alice.reply(1).await["callId"].clone();
    bob.event("invited").await;
    let methods = ["accept", "reject", "ignore", "hangup", "roomAccess", "join", "inviteUser", "switchCallMediaType"];
    for (id, method) in (1..).zip(methods) {
        // What a method does not know it ignores.
        let params = json!({"callId": call, "calleeIdList": ["witness"], "callMediaType": 0});
        mallory.request(id, method, params).await;
        assert_eq!(mallory.error().await, -1203, "{method}");
    }
    // Nor with somebody else's session.
    let stolen = host.resume("eve", &bob.welcome["session"], 0).await;
    assert_eq!(stolen.welcome["resumed"], false);
    bob.request(1, "accept", json!({"callId": call})).await;
    bob.reply(1).await;
    bob.event("begun").await;
    host.server.shutdown().await;
}

#[tokio::test]
async fn what_is_no_websocket_is_no_trouble() {
    let dir = tempfile::tempdir().unwrap();
    let host = start(dir.path()).await;
    let mut witness = host.sign_in("witness").await;
    for bytes in [&b"\x16\x03\x01\x02\x00\x01\x00"[..], b"GET /call/v1 HTTP/1.1\r\nHost: x\r\n\r\n", &[0; 512]] {
        let mut socket = tokio::net::TcpStream::connect(host.server.http_addr()).await.unwrap();
        socket.write_all(bytes).await.unwrap();
        socket.shutdown().await.unwrap();
        let mut answer = Vec::new();
        // Answered by an HTTP error or by nothing at all.
        let _ = socket.read_to_end(&mut answer).await;
        assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 4"), "{}", String::from_utf8_lossy(&answer));
    }
    still_serves(&host, &mut witness).await;
    host.server.shutdown().await;
}
