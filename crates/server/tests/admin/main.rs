//! The administration API over real HTTP, with people in real rooms.
#![allow(clippy::unwrap_used, reason = "a test that is surprised fails")]
#![allow(clippy::wildcard_enum_match_arm, reason = "most messages are not what a test waits for")]

#[path = "../common/mod.rs"]
mod common;
mod desk;

use desk::{APP, Desk, Guest, audit, code, config, member, now, room_token, twirp};
use livekit_protocol::DisconnectReason;
use reqwest::Method;
use serde_json::{Value, json};
use server::audit::Plane;
use server::{Config, Server};
use std::time::Duration;

async fn start(config: Config) -> (Server, Desk) {
    let server = Server::start(config).await.unwrap();
    let desk = Desk::at(server.http_addr());
    (server, desk)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_removed_and_the_others_are_told_and_everything_is_written_down() {
    let dir = tempfile::tempdir().unwrap();
    let (server, desk) = start(config(dir.path())).await;
    let room = json!({"intRoomId": 123, "strRoomId": ""});
    let (mut alice, mut alices) = member(&server, desk.addr, room.clone(), "alice").await;
    let (_bob, mut bobs) = member(&server, desk.addr, room, "bob").await;
    let mut namesake = Guest::enter(desk.addr, "s:123", "alice").await;

    let body = json!({"SdkAppId": APP, "RoomId": 123, "UserIds": ["alice", "nobody"]});
    let removal = desk.done("RemoveUser", body).await;
    assert_eq!(alices.put_out().await, DisconnectReason::ParticipantRemoved);
    assert_eq!(bobs.hears_of_leaving("alice").await, DisconnectReason::ParticipantRemoved);
    let exit = alice.event("roomExit").await;
    assert_eq!((&exit["reason"], &exit["by"]), (&json!(1), &json!("support")), "{exit}");

    desk.done("DismissRoomByStrRoomId", json!({"SdkAppId": APP, "RoomId": "123"})).await;
    assert_eq!(namesake.put_out().await, DisconnectReason::RoomDeleted);
    desk.done("DismissRoom", json!({"SdkAppId": APP, "RoomId": 123})).await;
    assert_eq!(bobs.put_out().await, DisconnectReason::RoomDeleted);
    let gone = json!({"SdkAppId": APP, "RoomId": 123, "UserIds": ["bob"]});
    assert_eq!(desk.refused("RemoveUser", gone).await, "FailedOperation.RoomNotExist");
    assert_eq!(desk.refused("DismissRoom", json!({"SdkAppId": APP})).await, "MissingParameter.RoomId");

    let log = audit(dir.path());
    let told: Vec<_> =
        log.iter().map(|entry| (entry.act.as_str(), entry.room.as_deref(), entry.result.as_str())).collect();
    let expected = [
        ("RemoveUser", Some("n:123"), "ok"),
        ("DismissRoomByStrRoomId", Some("s:123"), "ok"),
        ("DismissRoom", Some("n:123"), "ok"),
        ("RemoveUser", Some("n:123"), "FailedOperation.RoomNotExist"),
        ("DismissRoom", None, "MissingParameter.RoomId"),
    ];
    assert_eq!(told, expected);
    assert_eq!(log[0].users, ["alice", "nobody"]);
    assert_eq!((log[0].by.as_str(), log[0].api, log[0].request_id.as_str()), ("support", Plane::Tc3, removal.as_str()));
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_of_a_room_may_be_removed_at_once_and_enter_again() {
    let dir = tempfile::tempdir().unwrap();
    let (server, desk) = start(config(dir.path())).await;
    let old = room_token("s:lobby", "a", false);
    let mut a = Guest::enter_with(desk.addr, &old).await.unwrap();
    let mut b = Guest::enter(desk.addr, "s:lobby", "b").await;
    let body = json!({"SdkAppId": APP, "RoomId": "lobby", "UserIds": ["a", "b", "c"]});
    desk.done("RemoveUserByStrRoomId", body).await;
    assert_eq!(a.put_out().await, DisconnectReason::ParticipantRemoved);
    assert_eq!(b.put_out().await, DisconnectReason::ParticipantRemoved);
    assert!(Guest::enter_with(desk.addr, &old).await.is_none(), "the old token is void");
    // Another token: they carry the second in which they were made.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    Guest::enter(desk.addr, "s:lobby", "a").await;
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn blocking_needs_somebody_who_is_there() {
    let dir = tempfile::tempdir().unwrap();
    let (server, desk) = start(config(dir.path())).await;
    let _guest = Guest::enter(desk.addr, "n:5", "a").await;
    let number = |user: &str, mute: u8| json!({"SdkAppId": APP, "RoomId": 5, "UserId": user, "IsMute": mute});
    for mute in [1, 2, 3, 0] {
        desk.done("SetUserBlocked", number("a", mute)).await;
    }
    assert_eq!(desk.refused("SetUserBlocked", number("b", 1)).await, "FailedOperation.UserNotExist");
    let text = |room: &str| json!({"SdkAppId": APP, "StrRoomId": room, "UserId": "a", "IsMute": 1});
    assert_eq!(desk.refused("SetUserBlockedByStrRoomId", text("5")).await, "FailedOperation.RoomNotExist");
    let _other = Guest::enter(desk.addr, "s:5", "a").await;
    desk.done("SetUserBlockedByStrRoomId", text("5")).await;
    let details: Vec<_> = audit(dir.path()).into_iter().filter_map(|entry| entry.detail).collect();
    assert_eq!(details[..4], ["voice and picture blocked", "voice blocked", "picture blocked", "nothing blocked"]);
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_asks_like_a_body() {
    let dir = tempfile::tempdir().unwrap();
    let (server, mut desk) = start(config(dir.path())).await;
    let mut a = Guest::enter(desk.addr, "n:5", "a").await;
    let mut b = Guest::enter(desk.addr, "n:5", "b").await;
    let mut c = Guest::enter(desk.addr, "s:a b!", "c").await;
    desk.method = Method::GET;
    desk.content_type = "application/x-www-form-urlencoded".to_owned();
    let query = format!("SdkAppId={APP}&RoomId=5&UserIds.0=a&UserIds.1=b");
    assert_eq!(desk.call_raw("RemoveUser", query).await.get("Error"), None);
    assert_eq!(a.put_out().await, DisconnectReason::ParticipantRemoved);
    assert_eq!(b.put_out().await, DisconnectReason::ParticipantRemoved);
    let query = format!("SdkAppId={APP}&RoomId=a%20b%21&UserId=c&IsMute=1");
    assert_eq!(code(&desk.call_raw("SetUserBlockedByStrRoomId", query).await), "MissingParameter.StrRoomId");
    let query = format!("SdkAppId={APP}&RoomId=a+b%21");
    assert_eq!(desk.call_raw("DismissRoomByStrRoomId", query).await.get("Error"), None);
    assert_eq!(c.put_out().await, DisconnectReason::RoomDeleted);
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_refusal_has_its_code() {
    let dir = tempfile::tempdir().unwrap();
    let (server, desk) = start(config(dir.path())).await;
    let body = || json!({"SdkAppId": APP, "RoomId": 5});
    let act = "DismissRoom";
    let with = |change: &dyn Fn(&mut Desk)| {
        let mut desk = desk.clone();
        change(&mut desk);
        desk
    };
    for (desk, expected) in [
        (with(&|d| d.key.1 = "secretexamplf".into()), "AuthFailure.SignatureFailure"),
        (with(&|d| d.key.0 = "nobody".into()), "AuthFailure.SecretIdNotFound"),
        (with(&|d| d.key.0 = "not an id".into()), "AuthFailure.InvalidSecretId"),
        (with(&|d| d.seconds -= 301), "AuthFailure.SignatureExpire"),
        (with(&|d| d.seconds += 310), "AuthFailure.SignatureExpire"),
        (with(&|d| d.more = vec![("x-tc-token", "t".into())]), "AuthFailure.TokenFailure"),
        (with(&|d| d.version = "2020-01-01".into()), "NoSuchVersion"),
        (with(&|d| d.content_type = "text/plain".into()), "UnsupportedProtocol"),
        (with(&|d| d.method = Method::PUT), "UnsupportedProtocol"),
        (with(&|d| d.method = Method::DELETE), "UnsupportedProtocol"),
        (with(&|d| d.seconds -= 290), "FailedOperation.RoomNotExist"),
        (with(&|d| d.content_type = "application/json; charset=utf-8".into()), "FailedOperation.RoomNotExist"),
    ] {
        assert_eq!(desk.refused(act, body()).await, expected);
    }
    assert_eq!(desk.refused("StartCloudRecording", body()).await, "InvalidAction");
    assert_eq!(code(&desk.call_raw(act, "{".to_owned()).await), "InvalidParameter");
    assert_eq!(code(&desk.call_raw(act, "x".repeat(100_000)).await), "RequestSizeLimitExceeded");
    assert_eq!(desk.refused(act, json!({"SdkAppId": 1, "RoomId": 5})).await, "UnauthorizedOperation.SdkAppId");
    assert_eq!(desk.refused(act, json!({"SdkAppId": APP, "RoomId": "5"})).await, "InvalidParameter.RoomId");
    assert_eq!(desk.refused(act, json!({"SdkAppId": APP, "RoomId": 0})).await, "InvalidParameterValue.RoomId");
    assert_eq!(desk.refused(act, json!({"SdkAppId": APP, "RoomId": 5, "Why": 1})).await, "UnknownParameter");
    let unsigned = reqwest::get(format!("http://{}/", desk.addr)).await.unwrap();
    assert_eq!(
        (unsigned.status().as_u16(), &unsigned.headers()["content-type"]),
        (200, &"application/json".parse().unwrap())
    );
    let unsigned: Value = unsigned.json().await.unwrap();
    assert_eq!(code(&unsigned["Response"]), "AuthFailure.SignatureFailure");
    // Nobody who was not believed is in the log.
    assert!(audit(dir.path()).iter().all(|entry| entry.by == "support"));
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_limit_holds_for_each_action_and_key() {
    let dir = tempfile::tempdir().unwrap();
    // Few and slow: the test must not depend on doing many within a second.
    let (server, desk) = start(Config { admin_rate: 1, ..config(dir.path()) }).await;
    let body = || json!({"SdkAppId": APP, "RoomId": 5});
    let mut codes = Vec::new();
    for _ in 0..200 {
        codes.push(desk.refused("DismissRoom", body()).await);
        if codes.last().unwrap() == "RequestLimitExceeded" {
            break;
        }
    }
    assert_eq!(codes[0], "FailedOperation.RoomNotExist");
    assert_eq!(codes.last().unwrap(), "RequestLimitExceeded");
    let other = json!({"SdkAppId": APP, "RoomId": "5"});
    assert_eq!(desk.refused("DismissRoomByStrRoomId", other).await, "FailedOperation.RoomNotExist");
    tokio::time::sleep(Duration::from_millis(1100)).await;
    assert_eq!(desk.refused("DismissRoom", body()).await, "FailedOperation.RoomNotExist");
    assert!(audit(dir.path()).iter().all(|entry| entry.result != "RequestLimitExceeded"));
    server.shutdown().await;
}

async fn rooms(desk: &Desk, more: Value) -> Value {
    let mut body = json!({"SdkAppId": APP, "StartTime": now() - 60, "EndTime": now() + 1});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let answer = desk.call("DescribeRoomInfo", body).await;
    assert_eq!(answer.get("Error"), None, "{answer}");
    answer
}

async fn users(desk: &Desk, comm: &Value) -> Value {
    let body = json!({"SdkAppId": APP, "CommId": comm, "StartTime": now() - 60, "EndTime": now() + 1});
    let answer = desk.call("DescribeUserInfo", body).await;
    assert_eq!(answer.get("Error"), None, "{answer}");
    answer
}

/// Waits for what is recorded a moment after it happened.
async fn until<T, F: Future<Output = Option<T>>>(what: &str, mut look: impl FnMut() -> F) -> T {
    let waiting = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(common::PATIENCE * 3, waiting).await.unwrap_or_else(|_| panic!("never: {what}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn records_tell_rooms_and_stays_and_outlive_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let (server, desk) = start(config(dir.path())).await;
    let began = now();
    let _alice = Guest::enter(desk.addr, "n:7", "alice").await;
    let mut bob = Guest::enter(desk.addr, "n:7", "bob").await;
    let _other = Guest::enter(desk.addr, "room of another name", "carol").await;
    desk.done("RemoveUser", json!({"SdkAppId": APP, "RoomId": 7, "UserIds": ["bob"]})).await;
    bob.put_out().await;

    let room = until("the room", || async {
        let found = rooms(&desk, json!({"RoomId": "7"})).await;
        (found["Total"] == 1).then(|| found["RoomList"][0].clone())
    })
    .await;
    let created = room["CreateTime"].as_u64().unwrap();
    assert!((began..=now()).contains(&created), "{room}");
    assert_eq!(room["CommId"], format!("{APP}_7_{created}"));
    assert_eq!(
        (&room["RoomString"], &room["UserId"], &room["IsFinished"]),
        (&json!("7"), &json!("alice"), &json!(false))
    );
    let stays = until("bob's end", || async {
        let found = users(&desk, &room["CommId"]).await;
        (found["UserList"][1]["Finished"] == true).then_some(found)
    })
    .await;
    assert_eq!(stays["Total"], 2);
    assert_eq!((&stays["UserList"][0]["UserId"], &stays["UserList"][0]["Finished"]), (&json!("alice"), &json!(false)));
    assert_eq!((&stays["UserList"][1]["UserId"], &stays["UserList"][1]["RoomStr"]), (&json!("bob"), &json!("7")));
    assert_eq!(rooms(&desk, json!({})).await["Total"], 1, "a room without an id is not recorded");
    assert_eq!(rooms(&desk, json!({"RoomId": "8"})).await["RoomList"], json!([]));

    server.shutdown().await;
    let (server, desk) = start(config(dir.path())).await;
    let room = until("the room's end", || async {
        let found = rooms(&desk, json!({})).await["RoomList"][0].clone();
        (found["IsFinished"] == true).then_some(found)
    })
    .await;
    assert!(room["DestroyTime"].as_u64() >= Some(created), "{room}");
    assert_eq!(users(&desk, &room["CommId"]).await["UserList"][0]["Finished"], true);
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_come_and_go_while_the_server_runs() {
    let dir = tempfile::tempdir().unwrap();
    let (server, mut desk) = start(config(dir.path())).await;
    let tool = server::admin_keys::AdminKeys::new(Vec::new(), dir.path());
    let body = || json!({"SdkAppId": APP, "RoomId": 5});
    desk.key.0 = "night-shift".to_owned();
    assert_eq!(desk.refused("DismissRoom", body()).await, "AuthFailure.SecretIdNotFound");
    desk.key.1 = tool.create("night-shift", now()).unwrap().secret_key;
    let mut guest = Guest::enter(desk.addr, "n:5", "a").await;
    desk.done("DismissRoom", body()).await;
    assert_eq!(guest.put_out().await, DisconnectReason::RoomDeleted);
    assert_eq!(audit(dir.path())[0].by, "night-shift");
    tool.revoke("night-shift").unwrap();
    assert_eq!(desk.refused("DismissRoom", body()).await, "AuthFailure.SecretIdNotFound");
    // A damaged file stops its own keys, and not those of the configuration.
    std::fs::write(dir.path().join("admin-keys.toml"), "damaged").unwrap();
    assert_eq!(desk.refused("DismissRoom", body()).await, "InternalError");
    assert_eq!(Desk::at(desk.addr).refused("DismissRoom", body()).await, "FailedOperation.RoomNotExist");
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn acts_of_room_service_are_written_down_too() {
    let dir = tempfile::tempdir().unwrap();
    let (server, desk) = start(config(dir.path())).await;
    let mut guest = Guest::enter(desk.addr, "lobby", "a").await;
    let _other = Guest::enter(desk.addr, "lobby", "b").await;
    let remove = |who: &str| json!({"room": "lobby", "identity": who});
    assert_eq!(twirp(desk.addr, "RemoveParticipant", "lobby", remove("a")).await, 200);
    assert_eq!(guest.put_out().await, DisconnectReason::ParticipantRemoved);
    assert_eq!(twirp(desk.addr, "RemoveParticipant", "lobby", remove("nobody")).await, 404);
    assert_eq!(twirp(desk.addr, "RemoveParticipant", "attic", remove("b")).await, 403);
    assert_eq!(twirp(desk.addr, "ListParticipants", "lobby", json!({"room": "lobby"})).await, 200);
    assert_eq!(twirp(desk.addr, "DeleteRoom", "lobby", json!({"room": "lobby"})).await, 200);
    let log = audit(dir.path());
    let told: Vec<_> = log
        .iter()
        .map(|entry| (entry.act.as_str(), entry.room.as_deref(), entry.users.join(","), entry.result.as_str()))
        .collect();
    let expected = [
        ("RemoveParticipant", Some("lobby"), "a".to_owned(), "ok"),
        ("RemoveParticipant", Some("lobby"), "nobody".to_owned(), "not_found"),
        ("RemoveParticipant", Some("lobby"), "b".to_owned(), "permission_denied"),
        ("DeleteRoom", Some("lobby"), String::new(), "ok"),
    ];
    assert_eq!(told, expected);
    assert!(log.iter().all(|entry| entry.by == "devkey" && entry.api == Plane::Twirp));
    server.shutdown().await;
}
