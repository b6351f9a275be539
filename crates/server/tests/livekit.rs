//! The way to a LiveKit deployment and back: requests that fail, webhooks that lie. What a real one does is tested in
//! tests/rooms.
#![allow(clippy::unwrap_used, reason = "a test that is surprised fails")]

use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse as _;
use base64::Engine as _;
use livekit_token::{AccessToken, VideoGrants};
use serde_json::{Value, json};
use server::rooms::livekit::LiveKit;
use server::rooms::{Carrier as _, LeftWhy, RoomEvent, RoomsError};
use server::tokens::{ApiKey, Grants, Tokens};
use sha2::Digest as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;

const PATIENCE: Duration = Duration::from_secs(30);

fn key() -> ApiKey {
    ApiKey { key: "operator".to_owned(), secret: "a-secret-of-more-than-thirty-two-characters".to_owned() }
}

async fn serve(app: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

/// A deployment that has nothing, and answers whatever it is asked with this.
async fn deployment(status: StatusCode, kind: &'static str, body: &'static str) -> url::Url {
    let answer = move || async move { (status, [(header::CONTENT_TYPE, kind)], body).into_response() };
    let address = serve(Router::new().fallback(answer)).await;
    format!("ws://{address}").parse().unwrap()
}

/// One that has no rooms.
async fn empty() -> url::Url {
    deployment(StatusCode::OK, "application/protobuf", "").await
}

async fn start(url: &url::Url) -> anyhow::Result<LiveKit> {
    // Its files stay open and usable after their directory is gone.
    let dir = tempfile::tempdir()?;
    LiveKit::start(url, key(), Arc::new(Tokens::new(key(), &[])), dir.path()).await
}

fn sign(body: &str, key: &ApiKey) -> String {
    let hash = base64::engine::general_purpose::STANDARD.encode(sha2::Sha256::digest(body));
    AccessToken::with_api_key(&key.key, &key.secret).with_sha256(&hash).to_jwt().unwrap()
}

async fn post(address: SocketAddr, token: &str, body: &str) -> (u16, String) {
    let request = reqwest::Client::new()
        .post(format!("http://{address}/livekit/webhook"))
        .header("Authorization", token)
        .header("Content-Type", "application/webhook+json")
        .body(body.to_owned());
    let answer = request.send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

fn webhook(event: &str, reason: &str) -> String {
    json!({
        "event": event, "id": "EV_1", "createdAt": "1795200000",
        "room": { "name": "n:7", "sid": "RM_1", "creationTime": "1795190000" },
        "participant": {
            "sid": "PA_1", "identity": "bob", "joinedAt": "1795190001",
            "state": "ACTIVE", "disconnectReason": reason, "fieldOfANewerServer": 1
        },
    })
    .to_string()
}

#[tokio::test]
async fn webhooks_become_events_if_they_are_signed() {
    let livekit = start(&empty().await).await.unwrap();
    let mut events = livekit.rooms().events();
    let address = serve(livekit.router()).await;
    let joined = webhook("participant_joined", "UNKNOWN_REASON");

    for token in ["", "nonsense", &sign("another body", &key()), &sign(&joined, &ApiKey { key: "x".into(), ..key() })] {
        let (status, told) = post(address, token, &joined).await;
        assert_eq!(status, 401, "{told}");
        assert!(told.contains("not signed"), "{told}");
    }
    let wrong_secret = ApiKey { secret: "another-secret-of-more-than-thirty-two-characters".to_owned(), ..key() };
    assert_eq!(post(address, &sign(&joined, &wrong_secret), &joined).await.0, 401);
    for bad in ["", "[]", "{\"event\": 5}", "{\"event\": \"room_started\"}"] {
        assert_eq!(post(address, &sign(bad, &key()), bad).await.0, 400, "{bad}");
    }
    let other = webhook("egress_started", "UNKNOWN_REASON");
    for body in [&other, &joined, &joined, &webhook("participant_left", "PARTICIPANT_REMOVED")] {
        assert_eq!(post(address, &sign(body, &key()), body).await, (200, String::new()));
    }

    let mut told = Vec::new();
    for _ in 0..3 {
        told.push(tokio::time::timeout(PATIENCE, events.recv()).await.unwrap().unwrap());
    }
    assert!(matches!(&told[0], RoomEvent::Started { room, info } if room == "n:7" && info.sid == "RM_1"), "{told:?}");
    assert!(matches!(&told[1], RoomEvent::Joined { who, .. } if who.identity == "bob"), "{told:?}");
    assert!(matches!(&told[2], RoomEvent::Left { why: LeftWhy::Removed { by: None }, .. }), "{told:?}");
    livekit.shutdown().await;
}

#[tokio::test]
async fn a_deployment_that_refuses_the_key_is_an_error_at_the_start() {
    let refusal = r#"{"code":"unauthenticated","msg":"no permissions"}"#;
    let url = deployment(StatusCode::UNAUTHORIZED, "application/json", refusal).await;
    let error = start(&url).await.unwrap_err().to_string();
    assert!(error.contains("refuses the API key \"operator\""), "{error}");
    assert!(!error.contains(&key().secret), "{error}");
}

#[tokio::test]
async fn a_deployment_out_of_reach_is_waited_for_and_named() {
    // Bound and let go: nobody listens there.
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let livekit = start(&format!("ws://{nobody}").parse().unwrap()).await.unwrap();
    let rooms = livekit.rooms();
    for failed in [
        rooms.open("n:7").await.unwrap_err(),
        rooms.remove("n:7", "bob", None).await.unwrap_err(),
        rooms.dismiss("n:7", None).await.unwrap_err(),
        rooms.list("n:7").await.unwrap_err(),
        rooms.list_all().await.unwrap_err(),
    ] {
        assert!(failed.to_string().contains("LiveKit cannot be reached"), "{failed}");
    }
    // Tokens are made here: whoever gets one tries for themselves.
    let admission = rooms.admit("n:7", "bob", Grants::MEMBER).unwrap();
    assert_eq!(admission.url, Some(format!("ws://{nobody}")));
}

#[tokio::test]
async fn something_that_is_no_livekit_is_said_to_be_none() {
    let url = deployment(StatusCode::NOT_FOUND, "text/html", "<h1>Not Found</h1>").await;
    let error = start(&url).await.unwrap().rooms().open("n:7").await.unwrap_err().to_string();
    assert!(error.contains("no LiveKit (404"), "{error}");
}

#[tokio::test]
async fn what_livekit_does_not_know_does_not_exist() {
    let livekit = start(&empty().await).await.unwrap();
    let rooms = livekit.rooms();
    assert_eq!(rooms.remove("n:7", "bob", None).await, Err(RoomsError::NotExist));
    assert_eq!(rooms.dismiss("n:7", None).await, Err(RoomsError::NotExist));
    assert_eq!(rooms.list("n:7").await, Err(RoomsError::NotExist));
    assert_eq!(rooms.list_all().await, Ok(Vec::new()));
}

#[tokio::test]
async fn room_service_is_served_under_the_own_address() {
    let livekit = start(&empty().await).await.unwrap();
    let address = serve(livekit.router()).await;
    let ask = |method: &'static str, grants: Option<VideoGrants>, body: Value| async move {
        let token =
            AccessToken::with_api_key(&key().key, &key().secret).with_grants(grants.clone().unwrap_or_default());
        let url = format!("http://{address}/twirp/livekit.RoomService/{method}");
        let mut request = reqwest::Client::new().post(url).json(&body);
        if grants.is_some() {
            request = request.bearer_auth(token.to_jwt().unwrap());
        }
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.json::<Value>().await.unwrap_or_default()["code"].clone())
    };
    let admin = |room: &str| Some(VideoGrants { room_admin: true, room: room.to_owned(), ..VideoGrants::default() });
    let bob = || json!({ "room": "n:7", "identity": "bob" });
    assert_eq!(ask("RemoveParticipant", None, bob()).await, (401, json!("unauthenticated")));
    assert_eq!(ask("RemoveParticipant", admin("n:8"), bob()).await, (403, json!("permission_denied")));
    assert_eq!(ask("RemoveParticipant", admin("n:7"), bob()).await, (404, json!("not_found")));
    assert_eq!(ask("RemoveParticipant", admin("n:7"), json!([1])).await, (400, json!("malformed")));
    assert_eq!(ask("DeleteRoom", admin("n:7"), json!({ "room": "n:7" })).await, (403, json!("permission_denied")));
    assert_eq!(ask("..%2F..%2Frtc", admin("n:7"), bob()).await, (404, json!("bad_route")));
    // Everything else is LiveKit's to answer.
    assert_eq!(ask("SendData", admin("n:7"), bob()).await.0, 200);
}
