//! Group calls, records, names, several devices and tickets, by raw clients over real sockets.
#![allow(clippy::unwrap_used, reason = "a test that is surprised fails")]

mod common;

use common::{Client, Host, start, start_with};
use protocol::{CallId, UserId};
use serde_json::{Value, json};
use server::Config;
use std::time::Duration;

/// Alice calls bob and carol, bob is in.
async fn group(host: &Host) -> (Client, Client, Client, Value) {
    let (mut alice, mut bob) = (host.sign_in("alice").await, host.sign_in("bob").await);
    let mut carol = host.sign_in("carol").await;
    alice.request(1, "call", json!({"calleeIdList": ["bob", "carol"], "callMediaType": 1})).await;
    let call = alice.reply(1).await["callId"].clone();
    assert_eq!(bob.event("invited").await["isGroup"], true);
    carol.event("invited").await;
    bob.request(1, "accept", json!({"callId": call})).await;
    bob.reply(1).await;
    let begun = bob.event("begun").await;
    assert_eq!((&begun["ringing"], &begun["inviterId"]), (&json!(["carol"]), &json!("alice")));
    assert!(begun["ringingUntil"]["carol"].as_u64() > begun["beganAt"].as_u64());
    alice.event("userAccepted").await;
    alice.event("begun").await;
    assert_eq!(carol.event("userAccepted").await["userId"], "bob");
    (alice, bob, carol, call)
}

#[tokio::test]
async fn people_are_invited_into_a_running_call_and_come_back_by_its_card() {
    let dir = tempfile::tempdir().unwrap();
    let host = start(dir.path()).await;
    let (mut alice, mut bob, mut carol, call) = group(&host).await;
    let mut dave = host.sign_in("dave").await;
    bob.request(2, "inviteUser", json!({"callId": call, "calleeIdList": ["dave"], "timeout": 60})).await;
    bob.reply(2).await;
    let invited = dave.event("invited").await;
    assert_eq!((&invited["callerId"], &invited["calleeIdList"]), (&json!("bob"), &json!(["alice", "carol", "dave"])));
    for client in [&mut alice, &mut bob] {
        assert_eq!(client.event("userInviting").await["userId"], "dave");
    }
    dave.request(1, "reject", json!({"callId": call})).await;
    dave.reply(1).await;
    assert_eq!(dave.event("cancelled").await["reason"], 2);
    let cards = dave.cards().await;
    assert_eq!((&cards[0]["callId"], &cards[0]["members"]), (&call, &json!(["alice", "bob"])));
    for client in [&mut alice, &mut bob, &mut carol] {
        assert_eq!(client.event("userRejected").await["userId"], "dave");
    }
    dave.request(2, "join", json!({"callId": call})).await;
    dave.reply(2).await;
    let begun = dave.event("begun").await;
    assert!(begun["access"]["token"].is_string());
    assert!(dave.cards().await.is_empty());
    assert_eq!(alice.event("userJoined").await["userId"], "dave");
    assert!(host.server.end_call(CallId::new(call.as_str().unwrap()).unwrap()).await);
    assert_eq!(alice.event("ended").await["reason"], 9);
    bob.event("userJoined").await;
    for client in [&mut bob, &mut dave] {
        assert_eq!(client.event("ended").await["reason"], 9);
    }
    let gone = carol.event("cancelled").await;
    assert_eq!((&gone["reason"], &gone["callerId"]), (&json!(9), &json!("carol")));
    assert!(!host.server.end_call(CallId::new("none").unwrap()).await);
    host.server.shutdown().await;
}

async fn records(client: &mut Client, id: u64, filter: Value) -> Value {
    client.request(id, "queryRecentCalls", filter).await;
    client.reply(id).await
}

#[tokio::test]
async fn records_are_kept_over_a_restart_read_by_pages_and_deleted_for_oneself() {
    let dir = tempfile::tempdir().unwrap();
    let host = start(dir.path()).await;
    let (mut alice, mut bob) = (host.sign_in("alice").await, host.sign_in("bob").await);
    alice.request(1, "setSelfInfo", json!({"nickname": "Ann"})).await;
    alice.reply(1).await;
    for id in 2..5 {
        alice.request(2 * id, "call", json!({"calleeIdList": ["bob"], "callMediaType": 0})).await;
        let call = alice.reply(2 * id).await["callId"].clone();
        let invited = bob.event("invited").await;
        assert_eq!(invited["profiles"]["alice"]["nickname"], "Ann");
        alice.request(2 * id + 1, "hangup", json!({"callId": call})).await;
        alice.reply(2 * id + 1).await;
        alice.event("cancelled").await;
        bob.event("cancelled").await;
    }
    host.server.shutdown().await;

    let host = start(dir.path()).await;
    let mut bob = host.sign_in("bob").await;
    let first = records(&mut bob, 1, json!({"resultType": 1, "limit": 2})).await;
    assert_eq!(first["records"].as_array().unwrap().len(), 2);
    let record = &first["records"][0];
    assert_eq!((&record["inviter"], &record["inviteList"]), (&json!("alice"), &json!(["bob"])));
    assert_eq!((&record["role"], &record["result"], &record["reason"]), (&json!(2), &json!(1), &json!(6)));
    assert_eq!((&record["scene"], &record["mediaType"], &record["totalTime"]), (&json!(3), &json!(0), &json!(0)));
    assert_eq!(first["profiles"]["alice"]["nickname"], "Ann", "names survive, too");
    let rest = records(&mut bob, 2, json!({"resultType": 1, "limit": 2, "cursor": first["next"]})).await;
    assert_eq!(rest["records"].as_array().unwrap().len(), 1);
    assert!(rest.get("next").is_none());
    assert!(records(&mut bob, 3, json!({"resultType": 3})).await["records"].as_array().unwrap().is_empty());

    let ids: Vec<_> = first["records"].as_array().unwrap().iter().map(|record| record["callId"].clone()).collect();
    bob.request(4, "deleteRecordCalls", json!({"callIdList": ids})).await;
    bob.reply(4).await;
    assert_eq!(records(&mut bob, 5, json!({})).await["records"].as_array().unwrap().len(), 1);
    let mut alice = host.sign_in("alice").await;
    assert_eq!(alice.welcome["profile"]["nickname"], "Ann");
    assert_eq!(records(&mut alice, 1, json!({})).await["records"].as_array().unwrap().len(), 3);
    host.server.shutdown().await;
}

#[tokio::test]
async fn all_devices_ring_and_the_others_fall_silent_when_one_answers() {
    let dir = tempfile::tempdir().unwrap();
    let host = start(dir.path()).await;
    let (mut alice, mut desk) = (host.sign_in("alice").await, host.sign_in("bob").await);
    desk.request(1, "enableMultiDeviceAbility", json!({"enable": true})).await;
    desk.reply(1).await;
    let mut phone = host.sign_in_with("bob", "phone").await;
    assert_eq!(phone.welcome["multiDevice"], true);
    alice.request(1, "call", json!({"calleeIdList": ["bob"], "callMediaType": 1})).await;
    let call = alice.reply(1).await["callId"].clone();
    desk.event("invited").await;
    phone.event("invited").await;
    phone.request(1, "accept", json!({"callId": call})).await;
    phone.reply(1).await;
    phone.event("begun").await;
    assert_eq!(desk.event("cancelled").await["reason"], 7);
    // Taken back, only the device that did it stays.
    desk.request(2, "enableMultiDeviceAbility", json!({"enable": false})).await;
    desk.reply(2).await;
    assert_eq!(phone.next().await["type"], "kicked");
    phone.closed().await;
    host.server.shutdown().await;
}

#[tokio::test]
async fn an_operator_may_forbid_several_devices() {
    let dir = tempfile::tempdir().unwrap();
    let config = Config { data_dir: dir.path().to_owned(), multi_device: false, ..Config::default() };
    let host = start_with(config).await;
    let mut bob = host.sign_in("bob").await;
    bob.request(1, "enableMultiDeviceAbility", json!({"enable": true})).await;
    assert_eq!(bob.error().await, -1001);
    host.server.shutdown().await;
}

#[tokio::test]
async fn a_ticket_expires_on_time_and_is_renewed_within_the_call() {
    let dir = tempfile::tempdir().unwrap();
    let host = start(dir.path()).await;
    let (mut alice, mut bob) = (host.sign_in("alice").await, host.connect().await);
    let mut hello = host.hello("bob");
    let lifetime = Duration::from_secs(2);
    hello["userSig"] = json!(host.server.mint_ticket(&UserId::new("bob").unwrap(), lifetime));
    let minted = std::time::Instant::now();
    bob.send(&hello).await;
    assert_eq!(bob.next().await["type"], "welcome");
    alice.request(1, "call", json!({"calleeIdList": ["bob"], "callMediaType": 1})).await;
    let call = alice.reply(1).await["callId"].clone();
    bob.event("invited").await;
    bob.request(1, "accept", json!({"callId": call})).await;
    bob.reply(1).await;
    bob.event("begun").await;
    assert_eq!(bob.next().await["type"], "ticketExpired");
    // A ticket counts in whole seconds: it may have begun up to one before it was minted.
    assert!(minted.elapsed() >= lifetime - Duration::from_secs(1), "{:?}", minted.elapsed());
    bob.request(2, "join", json!({"callId": call})).await;
    assert_eq!(bob.error().await, -70001);
    bob.request(3, "renewTicket", json!({"userSig": host.ticket("bob")})).await;
    bob.reply(3).await;
    bob.request(4, "roomAccess", json!({"callId": call})).await;
    assert!(bob.reply(4).await["access"]["token"].is_string(), "the call goes on");
    host.server.shutdown().await;
}
