//! Signing in over a real socket: every way to be refused has its code and a sentence.
#![allow(clippy::unwrap_used, reason = "a test that is surprised fails")]

mod common;

use common::{Client, start, start_with};
use protocol::usersig::TicketKey;
use protocol::{UnixMillis, UserId};
use serde_json::{Value, json};
use server::Config;
use std::time::{Duration, SystemTime};

const KEY: &str = "5bd2850fff3ecb11d7c805251c51ee463a25727bddc2385f3fa8bfee1bb93b5e";
const APP: u64 = 1_400_000_000;

fn mint(app: u64, key: &str, user: &str, age: u64, expire: u64) -> String {
    let now = UnixMillis::from(SystemTime::now() - Duration::from_secs(age));
    TicketKey::new(app, key).mint(&UserId::new(user).unwrap(), Duration::from_secs(expire), now)
}

async fn refused(mut client: Client, hello: &Value) -> i64 {
    client.send(hello).await;
    let code = client.error().await;
    client.closed().await;
    code
}

#[tokio::test]
async fn each_wrong_ticket_has_its_code() {
    let dir = tempfile::tempdir().unwrap();
    let config = Config { data_dir: dir.path().to_owned(), ticket_key: Some(KEY.to_owned()), ..Config::default() };
    let host = start_with(config).await;
    let vectors: Value = serde_json::from_str(include_str!("../../protocol/tests/usersig.json")).unwrap();
    let map_key = vectors["vectors"].as_array().unwrap().iter().find(|vector| vector["kind"] == "pmk_int").unwrap();
    let map_key = map_key["sig_by_generator"]["npm tls-sig-api-v2 1.0.2"].as_str().unwrap();
    let cases = [
        ("", -3320),
        ("not a ticket", -70003),
        (&mint(1, KEY, "alice", 0, 60), -70014),
        (&mint(APP, "another key", "alice", 0, 60), -70009),
        (&mint(APP, KEY, "bob", 0, 60), -70013),
        (&mint(APP, KEY, "alice", 120, 60), -70001),
        (map_key, -70052),
    ];
    for (ticket, code) in cases {
        let mut hello = host.hello("alice");
        hello["userSig"] = json!(ticket);
        assert_eq!(refused(host.connect().await, &hello).await, code, "{ticket}");
    }
    host.sign_in("alice").await;
    host.server.shutdown().await;
}

#[tokio::test]
async fn a_wrong_hello_has_its_code() {
    let dir = tempfile::tempdir().unwrap();
    let host = start(dir.path()).await;
    let changes = [
        // Which side is to be upgraded.
        ("versions", json!([2, 3]), -1002),
        ("versions", json!([0]), -1003),
        ("versions", json!([]), -1003),
        ("sdkAppId", json!(5), -3317),
        ("userId", json!("a b"), -3319),
        ("userId", json!("x".repeat(33)), -3319),
        ("deviceId", json!(""), -1202),
        ("userSig", json!(5), -1202),
        ("type", json!("ping"), -100_005),
        ("type", json!("dance"), -100_005),
    ];
    for (field, value, code) in changes {
        let mut hello = host.hello("alice");
        hello[field] = value;
        assert_eq!(refused(host.connect().await, &hello).await, code, "{field}");
    }
    host.server.shutdown().await;
}

#[tokio::test]
async fn the_version_is_negotiated_and_later_fields_are_ignored() {
    let dir = tempfile::tempdir().unwrap();
    let host = start(dir.path()).await;
    let mut client = host.connect().await;
    let mut hello = host.hello("alice");
    hello["versions"] = json!([7, 1]);
    hello["sdkAppId"] = json!(APP);
    hello["mood"] = json!({"good": true});
    client.send(&hello).await;
    let welcome = client.next().await;
    assert_eq!((&welcome["type"], &welcome["version"]), (&json!("welcome"), &json!(1)));
    assert!(welcome["heartbeatMs"].as_u64().is_some_and(|ms| ms > 0));
    host.server.shutdown().await;
}

#[tokio::test]
async fn signing_in_elsewhere_kicks_the_earlier_device() {
    let dir = tempfile::tempdir().unwrap();
    let host = start(dir.path()).await;
    let mut first = host.sign_in("alice").await;
    let mut hello = host.hello("alice");
    hello["deviceId"] = json!("phone");
    let mut second = host.connect().await;
    second.send(&hello).await;
    assert_eq!(second.next().await["type"], "welcome");
    assert_eq!(first.next().await["type"], "kicked");
    first.closed().await;
    host.server.shutdown().await;
}

#[tokio::test]
async fn a_ticket_that_expires_online_is_told_and_can_be_renewed() {
    let dir = tempfile::tempdir().unwrap();
    let host = start(dir.path()).await;
    let mut client = host.connect().await;
    let mut hello = host.hello("alice");
    hello["userSig"] = json!(host.server.mint_ticket(&UserId::new("alice").unwrap(), Duration::from_secs(2)));
    client.send(&hello).await;
    assert_eq!(client.next().await["type"], "welcome");
    assert_eq!(client.next().await["type"], "ticketExpired");
    client.request(1, "call", json!({"calleeIdList": ["bob"], "callMediaType": 0})).await;
    assert_eq!(client.error().await, -70001);
    client.request(2, "renewTicket", json!({"userSig": host.ticket("bob")})).await;
    assert_eq!(client.error().await, -70013);
    client.request(3, "renewTicket", json!({"userSig": host.ticket("alice")})).await;
    client.reply(3).await;
    client.request(4, "call", json!({"calleeIdList": ["bob"], "callMediaType": 0})).await;
    assert_eq!(client.error().await, -1202, "bob is not known here; the ticket is good again");
    host.server.shutdown().await;
}

#[tokio::test]
async fn several_servers_live_in_one_process() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (one, two) = (start(one.path()).await, start(two.path()).await);
    assert_ne!(one.server.http_addr(), two.server.http_addr());
    one.sign_in("alice").await;
    // Each has made its own secrets: a ticket of one does not open the other.
    assert_eq!(refused(two.connect().await, &one.hello("alice")).await, -70009);
    let health = reqwest::get(format!("{}/healthz", two.server.url())).await.unwrap();
    assert!(health.status().is_success());
    one.server.shutdown().await;
    two.server.shutdown().await;
}
