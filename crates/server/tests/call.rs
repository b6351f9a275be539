//! Whole calls between raw clients over real sockets.
#![allow(clippy::unwrap_used, reason = "a test that is surprised fails")]

mod common;

use common::{Client, Host, start, start_with, who};
use serde_json::{Value, json};
use server::Config;
use server::rooms::{FinishedWhy, LeftWhy, RoomEvent};
use std::sync::Arc;
use std::time::Duration;

fn wish(callees: &[&str]) -> Value {
    json!({"calleeIdList": callees, "callMediaType": 1, "userData": "hi"})
}

/// Two who ring: the caller's reply and the callee's invitation.
async fn ring(alice: &mut Client, bob: &mut Client) -> (Value, Value) {
    alice.request(1, "call", wish(&["bob"])).await;
    let reply = alice.reply(1).await;
    let invited = bob.event("invited").await;
    bob.ack(1).await;
    alice.event("ringing").await;
    (reply, invited)
}

/// Two who talk: the call, and the room's name on the wire.
async fn talk(host: &Host, alice: &mut Client, bob: &mut Client) -> (Value, String) {
    let (reply, _) = ring(alice, bob).await;
    bob.request(1, "accept", json!({"callId": reply["callId"]})).await;
    bob.reply(1).await;
    bob.event("begun").await;
    alice.event("userAccepted").await;
    alice.event("begun").await;
    let room = format!("n:{}", reply["roomId"]["intRoomId"]);
    host.rooms.join(&room, "alice");
    host.rooms.join(&room, "bob");
    (reply["callId"].clone(), room)
}

#[tokio::test]
async fn a_whole_call_from_ring_to_goodbye() {
    let dir = tempfile::tempdir().unwrap();
    let host = start(dir.path()).await;
    let (mut alice, mut bob) = (host.sign_in("alice").await, host.sign_in("bob").await);
    let (reply, invited) = ring(&mut alice, &mut bob).await;
    assert_eq!(invited["seq"], 1);
    assert_eq!((&invited["callId"], &invited["roomId"]), (&reply["callId"], &reply["roomId"]));
    assert_eq!((&invited["callerId"], &invited["calleeIdList"]), (&json!("alice"), &json!(["bob"])));
    assert_eq!((&invited["callMediaType"], &invited["userData"]), (&json!(1), &json!("hi")));
    assert!(invited.get("access").is_none(), "nobody gets into the room before they answer");
    let room = format!("n:{}", reply["roomId"]["intRoomId"]);
    host.rooms.wait_for(&format!("open {room}")).await;

    bob.request(1, "accept", json!({"callId": reply["callId"]})).await;
    bob.reply(1).await;
    assert_eq!(alice.event("userAccepted").await["userId"], "bob");
    for (client, user, role, other) in [(&mut bob, "bob", 2, "alice"), (&mut alice, "alice", 1, "bob")] {
        let begun = client.event("begun").await;
        assert_eq!((&begun["callRole"], &begun["members"]), (&json!(role), &json!([other])));
        assert_eq!(begun["access"]["url"], format!("ws://{}", host.server.http_addr()));
        let claims = host.rooms.tokens.verify(begun["access"]["token"].as_str().unwrap()).unwrap();
        assert_eq!((claims.sub.as_str(), &claims.video.room), (user, &room));
    }
    alice.request(2, "hangup", json!({"callId": reply["callId"]})).await;
    alice.reply(2).await;
    let own = alice.event("ended").await;
    assert_eq!((&own["reason"], &own["userId"], &own["totalTime"]), (&json!(1), &json!("alice"), &json!(0)));
    bob.event("userLeft").await;
    let other = bob.event("ended").await;
    assert_eq!((&other["reason"], &other["userId"], &other["seq"]), (&json!(1), &json!("alice"), &json!(4)));
    host.rooms.wait_for("revoke alice").await;
    host.rooms.wait_for("revoke bob").await;
    host.server.shutdown().await;
}

#[tokio::test]
async fn the_room_is_named_by_the_address_that_the_client_used() {
    let dir = tempfile::tempdir().unwrap();
    let public = Some("https://calls.example.org/".parse().unwrap());
    let config = Config { data_dir: dir.path().to_owned(), public_url: public, ..Config::default() };
    let host = start_with(config).await;
    let (mut alice, mut bob) = (host.sign_in("alice").await, host.sign_in("bob").await);
    let (reply, _) = ring(&mut alice, &mut bob).await;
    assert_eq!(reply["access"]["url"], "wss://calls.example.org");
    host.server.shutdown().await;
}

#[tokio::test]
async fn a_connection_lost_in_the_middle_loses_and_repeats_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let host = start(dir.path()).await;
    let (mut alice, mut bob) = (host.sign_in("alice").await, host.sign_in("bob").await);
    let (reply, _) = ring(&mut alice, &mut bob).await;
    let accept = json!({"callId": reply["callId"]});
    // Bob's accept is on its way when his connection breaks: he hears neither the answer nor what follows.
    bob.request(1, "accept", accept.clone()).await;
    let session = bob.welcome["session"].clone();
    alice.event("userAccepted").await;
    alice.event("begun").await;
    bob.cut();

    let mut bob = host.resume("bob", &session, 1).await;
    assert_eq!((&bob.welcome["resumed"], &bob.welcome["session"]), (&json!(true), &session));
    bob.reply(1).await;
    let begun = bob.event("begun").await;
    assert_eq!(begun["seq"], 2);
    assert!(begun["access"]["token"].is_string(), "a token as fresh as the delivery");
    // He cannot know, and asks again: the old answer, and nothing happens twice.
    bob.request(1, "accept", accept).await;
    bob.reply(1).await;
    bob.ack(2).await;
    alice.request(2, "hangup", json!({"callId": reply["callId"]})).await;
    alice.reply(2).await;
    alice.event("ended").await;
    assert_eq!(bob.event("userLeft").await["seq"], 3);
    assert_eq!(bob.event("ended").await["seq"], 4);

    // What was acknowledged does not come again; what was not does.
    bob.ack(3).await;
    bob.request(2, "hangup", json!({"callId": reply["callId"]})).await;
    assert_eq!(bob.error().await, -1203);
    bob.cut();
    let mut bob = host.resume("bob", &session, 3).await;
    bob.reply(1).await;
    assert_eq!(bob.error().await, -1203);
    assert_eq!(bob.event("ended").await["seq"], 4);
    host.server.shutdown().await;
}

#[tokio::test]
async fn a_resume_takes_the_session_from_a_half_open_connection() {
    let dir = tempfile::tempdir().unwrap();
    let host = start(dir.path()).await;
    let mut old = host.sign_in("alice").await;
    let session = old.welcome["session"].clone();
    let new = host.resume("alice", &session, 0).await;
    assert_eq!(new.welcome["resumed"], true);
    old.closed().await;
    host.server.shutdown().await;
}

#[tokio::test]
async fn a_restarted_server_goes_on_where_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let host = start(dir.path()).await;
    let (mut alice, mut bob) = (host.sign_in("alice").await, host.sign_in("bob").await);
    let (reply, _) = ring(&mut alice, &mut bob).await;
    let sessions = (alice.welcome["session"].clone(), bob.welcome["session"].clone());
    host.server.shutdown().await;
    alice.closed().await;
    bob.closed().await;

    let host = start(dir.path()).await;
    let room = format!("n:{}", reply["roomId"]["intRoomId"]);
    host.rooms.wait_for(&format!("open {room}")).await;
    let mut alice = host.resume("alice", &sessions.0, 1).await;
    assert_eq!(alice.welcome["resumed"], true);
    assert_eq!(alice.reply(1).await["callId"], reply["callId"]);
    let mut bob = host.resume("bob", &sessions.1, 1).await;
    assert_eq!(bob.welcome["resumed"], true);
    bob.request(1, "accept", json!({"callId": reply["callId"]})).await;
    bob.reply(1).await;
    bob.event("begun").await;
    alice.event("userAccepted").await;
    alice.event("begun").await;
    host.server.shutdown().await;

    // And once more, with the call running and an event that nobody has acknowledged.
    let host = start(dir.path()).await;
    let mut bob = host.resume("bob", &sessions.1, 1).await;
    bob.reply(1).await;
    let begun = bob.event("begun").await;
    assert_eq!(begun["seq"], 2);
    let token = begun["access"]["token"].as_str().unwrap();
    assert!(host.rooms.tokens.verify(token).is_ok());
    bob.request(2, "hangup", json!({"callId": reply["callId"]})).await;
    bob.reply(2).await;
    bob.event("ended").await;
    let mut alice = host.resume("alice", &sessions.0, 3).await;
    alice.reply(1).await;
    alice.event("userLeft").await;
    alice.event("ended").await;
    host.server.shutdown().await;
}

#[tokio::test]
async fn one_removed_by_an_administrator_hears_by_whom_and_their_token_is_void() {
    let dir = tempfile::tempdir().unwrap();
    let host = start(dir.path()).await;
    let (mut alice, mut bob) = (host.sign_in("alice").await, host.sign_in("bob").await);
    let (call, room) = talk(&host, &mut alice, &mut bob).await;
    bob.request(2, "roomAccess", json!({"callId": call})).await;
    let token = bob.reply(2).await["access"]["token"].as_str().unwrap().to_owned();
    let why = LeftWhy::Removed { by: Some("warden".to_owned()) };
    host.rooms.say(RoomEvent::Left { room, who: who("bob"), why });
    let exit = bob.event("roomExit").await;
    assert_eq!((&exit["reason"], &exit["by"]), (&json!(1), &json!("warden")));
    assert_eq!(bob.event("ended").await["reason"], 9);
    alice.event("userLeft").await;
    assert_eq!(alice.event("ended").await["userId"], "bob");
    host.rooms.wait_for("revoke bob").await;
    assert!(host.rooms.tokens.verify(&token).is_err());
    bob.request(3, "roomAccess", json!({"callId": call})).await;
    assert_eq!(bob.error().await, -1203);
    host.server.shutdown().await;
}

#[tokio::test]
async fn a_dismissed_room_ends_the_call_for_everyone() {
    let dir = tempfile::tempdir().unwrap();
    let host = start(dir.path()).await;
    let (mut alice, mut bob) = (host.sign_in("alice").await, host.sign_in("bob").await);
    let (_, room) = talk(&host, &mut alice, &mut bob).await;
    for identity in ["alice", "bob"] {
        let why = LeftWhy::Dismissed { by: None };
        host.rooms.say(RoomEvent::Left { room: room.clone(), who: who(identity), why });
    }
    host.rooms.say(RoomEvent::Finished { room, info: Arc::default(), why: FinishedWhy::Dismissed { by: None } });
    for client in [&mut alice, &mut bob] {
        let exit = client.event("roomExit").await;
        assert_eq!(exit["reason"], 2);
        assert!(exit.get("by").is_none());
        assert_eq!(client.event("ended").await["reason"], 9);
    }
    host.server.shutdown().await;
}

#[tokio::test]
async fn one_who_hangs_up_and_stays_in_the_room_is_put_out() {
    let dir = tempfile::tempdir().unwrap();
    let host = start(dir.path()).await;
    let (mut alice, mut bob) = (host.sign_in("alice").await, host.sign_in("bob").await);
    let (call, _) = talk(&host, &mut alice, &mut bob).await;
    bob.request(2, "hangup", json!({"callId": call})).await;
    bob.reply(2).await;
    host.rooms.wait_for("remove bob None").await;
    host.server.shutdown().await;
}

#[tokio::test]
async fn a_room_is_entered_by_its_id_and_a_call_is_refused_meanwhile() {
    let dir = tempfile::tempdir().unwrap();
    let host = start(dir.path()).await;
    let mut alice = host.sign_in("alice").await;
    alice.request(1, "enterRoom", json!({"roomId": {"intRoomId": 0, "strRoomId": "lobby"}})).await;
    let reply = alice.reply(1).await;
    let claims = host.rooms.tokens.verify(reply["access"]["token"].as_str().unwrap()).unwrap();
    assert_eq!(claims.video.room, "s:lobby");
    host.rooms.wait_for("open s:lobby").await;
    alice.request(2, "enterRoom", json!({"roomId": {"intRoomId": 0, "strRoomId": "a/b"}})).await;
    assert_eq!(alice.error().await, -1202);
    host.server.shutdown().await;
}

#[tokio::test]
async fn one_whose_socket_is_dead_is_noticed_and_the_ring_of_a_dead_caller_ends() {
    let dir = tempfile::tempdir().unwrap();
    // Short, but not so short that a busy machine takes Bob for dead, too.
    let heartbeat = Duration::from_millis(800);
    let host = start_with(Config { data_dir: dir.path().to_owned(), heartbeat, ..Config::default() }).await;
    let (mut alice, mut bob) = (host.sign_in("alice").await, host.sign_in("bob").await);
    let (_, _) = ring(&mut alice, &mut bob).await;
    // Alice's computer sleeps: the socket is open and nobody answers. The server gives the connection up, and after
    // the grace for those who change networks the ring ends.
    alice.answers_pings = false;
    // Bob goes on answering meanwhile.
    let ended = tokio::time::timeout(Duration::from_secs(30), bob.read_slowly());
    let ((), ended) = tokio::join!(alice.closed(), ended);
    let ended = ended.unwrap().unwrap();
    assert_eq!((&ended["event"], &ended["reason"]), (&json!("cancelled"), &json!(4)), "{ended}");
    host.server.shutdown().await;
}
