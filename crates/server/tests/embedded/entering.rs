//! Who gets in, and in which words who does not.

use super::member::Member;
use super::{House, KEY, SECRET, entry, sign};
use futures_util::future::join_all;
use livekit_protocol as proto;
use livekit_token::{AccessToken, VideoGrants};
use proto::signal_response::Message as Response;
use server::config::RoomRules;
use tokio_tungstenite::tungstenite::Error;

/// The status and the words with which a socket is refused.
async fn refusal(house: &House, token: &str) -> (u16, String) {
    match Member::open(house, token, "").await {
        Err(Error::Http(response)) => {
            let words = response.body().clone().unwrap_or_default();
            (response.status().as_u16(), String::from_utf8(words).unwrap())
        }
        Err(error) => panic!("no answer: {error}"),
        Ok(_) => panic!("let in"),
    }
}

/// The same from `validate`, which browsers ask because they cannot read a refused WebSocket.
async fn validation(house: &House, token: &str) -> (u16, String) {
    let url = format!("{}/rtc/validate?access_token={token}", house.url("http"));
    let response = reqwest::Client::new().get(url).header("origin", "https://app.example").send().await.unwrap();
    assert_eq!(response.headers().get("access-control-allow-origin").unwrap(), "https://app.example");
    (response.status().as_u16(), response.text().await.unwrap())
}

#[tokio::test]
async fn a_full_room_refuses_in_words_and_lets_a_member_change_places() {
    let house = House::start(RoomRules { room_limit: 2, ..RoomRules::default() }).await;
    let mut anna = Member::enter(&house, &entry("hall", "anna")).await;
    let mut boris = Member::enter(&house, &entry("hall", "boris")).await;
    assert_eq!(anna.joined.room.as_ref().unwrap().max_participants, 2);
    let carla = entry("hall", "carla");
    for (status, words) in [refusal(&house, &carla).await, validation(&house, &carla).await] {
        assert_eq!(status, 403);
        assert!(words.contains("full") && words.contains("-102052"), "{words}");
    }
    let _again = Member::enter(&house, &entry("hall", "anna")).await;
    assert_eq!(anna.leave_reason().await, proto::DisconnectReason::DuplicateIdentity);
    boris.ask(proto::signal_request::Message::Leave(proto::LeaveRequest::default())).await;
    while boris.next().await.is_some() {}
    Member::enter(&house, &carla).await;
}

#[tokio::test]
async fn the_token_of_whoever_makes_the_room_says_how() {
    let house = House::start(RoomRules::default()).await;
    let config = proto::RoomConfiguration { max_participants: 1, metadata: "theme".into(), ..Default::default() };
    let grants = VideoGrants { room_join: true, room: "hall".to_owned(), ..VideoGrants::default() };
    let token = AccessToken::with_api_key(KEY, SECRET).with_identity("anna").with_grants(grants);
    let token = token.with_room_config(config).to_jwt().unwrap();
    let anna = Member::enter(&house, &token).await;
    assert_eq!(anna.joined.room.as_ref().unwrap().metadata, "theme");
    assert_eq!(refusal(&house, &entry("hall", "boris")).await.0, 403);
}

#[tokio::test]
async fn too_many_joins_in_a_second_are_told_to_wait() {
    let house = House::start(RoomRules { join_rate: 1, ..RoomRules::default() }).await;
    let tokens: Vec<String> = (0..30).map(|number| entry("hall", &format!("p{number}"))).collect();
    let answers = join_all(tokens.iter().map(|token| validation(&house, token))).await;
    assert!(answers.iter().any(|(status, _)| *status == 200), "{answers:?}");
    let (_, words) = answers.iter().find(|(status, _)| *status == 429).expect("too many at once");
    assert!(words.contains("too many joins"), "{words}");
    let through_a_proxy = reqwest::Client::new()
        .get(format!("{}/rtc/validate?access_token={}", house.url("http"), entry("hall", "other")))
        .header("x-forwarded-for", "192.0.2.9");
    assert_eq!(through_a_proxy.send().await.unwrap().status(), 200, "another address is another's");
}

#[tokio::test]
async fn what_is_too_large_is_refused_with_its_name() {
    let house = House::start(RoomRules::default()).await;
    let long = "x".repeat(300);
    for token in [entry(&long, "anna"), entry("hall", &long)] {
        let (status, words) = refusal(&house, &token).await;
        assert_eq!(status, 400);
        assert!(words.contains("256"), "{words}");
    }
}

#[tokio::test]
async fn no_token_a_bad_one_and_one_without_the_grant_are_unauthorised() {
    let house = House::start(RoomRules::default()).await;
    let no_join = sign("anna", VideoGrants { room: "hall".to_owned(), ..VideoGrants::default() });
    for token in ["", "no.token.atall", no_join.as_str()] {
        assert_eq!(refusal(&house, token).await.0, 401);
        assert_eq!(validation(&house, token).await.0, 401);
    }
}

#[tokio::test]
async fn a_removed_member_needs_a_fresh_token_and_a_cut_one_resumes() {
    let house = House::start(RoomRules::default()).await;
    let _witness = Member::enter(&house, &entry("hall", "witness")).await;
    let old = entry("hall", "anna");
    let mut anna = Member::enter(&house, &old).await;
    anna.resume(&house, &old).await;
    anna.told(|message| matches!(message, Response::Reconnect(_)).then_some(())).await;
    let admin = sign("admin", VideoGrants { room_admin: true, room: "hall".to_owned(), ..VideoGrants::default() });
    let url = format!("{}/twirp/livekit.RoomService/RemoveParticipant", house.url("http"));
    let body = serde_json::json!({"room": "hall", "identity": "anna"});
    let done = reqwest::Client::new().post(url).bearer_auth(admin).json(&body).send().await.unwrap();
    assert_eq!(done.status(), 200);
    assert_eq!(anna.leave_reason().await, proto::DisconnectReason::ParticipantRemoved);
    assert_eq!(refusal(&house, &old).await.0, 401);
    // The same second, the same claims: another token all the same, because its lifetime differs.
    let fresh = AccessToken::with_api_key(KEY, SECRET)
        .with_identity("anna")
        .with_ttl(std::time::Duration::from_secs(600))
        .with_grants(VideoGrants { room_join: true, room: "hall".to_owned(), ..VideoGrants::default() });
    let fresh = fresh.to_jwt().unwrap();
    let mut anna = Member::enter(&house, &fresh).await;
    anna.joined.participant.as_mut().unwrap().sid = "PA_unknown".to_owned();
    anna.resume(&house, &fresh).await;
    assert_eq!(anna.leave_reason().await, proto::DisconnectReason::StateMismatch);
}
