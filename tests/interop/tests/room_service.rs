//! RoomService by LiveKit's own server SDKs, unmodified, on rooms with LiveKit's own clients in them, unmodified too.

use anyhow::Result;
use serde_json::{Value, json};
use tests_interop::{Admin, Client, KEY, Peer, SECRET, Sdk, TestServer, Wire};

/// Anna speaks and shows a picture, boris listens; both by Python, on one connection and on two.
async fn two(server: &TestServer) -> Result<(Peer, Peer)> {
    let token = server.token("hall", "anna")?;
    let mut anna = Peer::start(Client::Python, "anna", &server.url(), &token, Wire::One, "h264").await?;
    anna.event("published").await?;
    let token = server.token("hall", "boris")?;
    let mut boris = Peer::start(Client::Python, "boris", &server.url(), &token, Wire::Two, "none").await?;
    boris.hears("anna", Some(440.0)).await?;
    Ok((anna, boris))
}

async fn admin(server: &TestServer, sdk: Sdk) -> Result<Admin> {
    Admin::start(sdk, &server.url().replace("ws:", "http:"), KEY, SECRET).await
}

fn about(identity: &str, more: Value) -> Value {
    let mut body = json!({ "room": "hall", "identity": identity });
    if let (Some(body), Value::Object(more)) = (body.as_object_mut(), more) {
        body.extend(more);
    }
    body
}

fn tracks(info: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let tracks = info["tracks"].as_array().cloned().unwrap_or_default();
    tracks.iter().map(|track| (text(&track["source"]), text(&track["sid"]))).collect()
}

fn sid_of(info: &Value, source: &str) -> String {
    tracks(info).into_iter().find(|(name, _)| name == source).map(|(_, sid)| sid).unwrap_or_default()
}

async fn rooms_and_people(sdk: Sdk) -> Result<()> {
    let server = TestServer::start().await?;
    let mut admin = admin(&server, sdk).await?;
    let options =
        json!({ "name": "hall", "emptyTimeout": 77, "departureTimeout": 33, "maxParticipants": 3, "metadata": "m" });
    let made = admin.done("CreateRoom", options).await?;
    assert_eq!(
        (&made["emptyTimeout"], &made["departureTimeout"], &made["maxParticipants"]),
        (&json!(77), &json!(33), &json!(3))
    );
    let (mut anna, mut boris) = two(&server).await?;

    let rooms = admin.done("ListRooms", json!({ "names": ["hall"] })).await?;
    assert_eq!((&rooms["rooms"][0]["numParticipants"], &rooms["rooms"][0]["metadata"]), (&json!(2), &json!("m")));
    let people = admin.done("ListParticipants", json!({ "room": "hall" })).await?;
    assert_eq!(people["participants"].as_array().map(Vec::len), Some(2));
    let info = admin.done("GetParticipant", about("anna", json!({}))).await?;
    assert_eq!(tracks(&info).len(), 2, "{info}");

    admin.done("UpdateRoomMetadata", json!({ "room": "hall", "metadata": "theme" })).await?;
    for peer in [&mut anna, &mut boris] {
        peer.wait("the theme", |value| value["event"] == "room_metadata" && value["text"] == "theme").await?;
    }
    let change = json!({ "metadata": "queen of all", "name": "Queen", "attributes": { "hand": "up" } });
    let info = admin.done("UpdateParticipant", about("anna", change)).await?;
    assert_eq!((&info["name"], &info["attributes"]["hand"]), (&json!("Queen"), &json!("up")));
    for event in ["name", "metadata", "attributes"] {
        boris.event_by(event, "anna").await?;
        anna.event_by(event, "anna").await?;
    }
    anna.event("token").await?;

    admin.done("RemoveParticipant", about("boris", json!({}))).await?;
    assert_eq!(boris.event("disconnected").await?["reason"], "PARTICIPANT_REMOVED");
    assert_eq!(anna.event_by("left", "boris").await?["reason"], "PARTICIPANT_REMOVED");
    admin.done("DeleteRoom", json!({ "room": "hall" })).await?;
    assert_eq!(anna.event("disconnected").await?["reason"], "ROOM_DELETED");
    assert_eq!(admin.done("ListRooms", json!({})).await?["rooms"].as_array().map_or(0, Vec::len), 0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn rooms_and_people_by_the_python_sdk() -> Result<()> {
    rooms_and_people(Sdk::Python).await
}

#[tokio::test(flavor = "multi_thread")]
async fn rooms_and_people_by_the_node_sdk() -> Result<()> {
    rooms_and_people(Sdk::Node).await
}

async fn tracks_and_permissions(sdk: Sdk) -> Result<()> {
    let server = TestServer::start().await?;
    let mut admin = admin(&server, sdk).await?;
    let (mut anna, mut boris) = two(&server).await?;
    anna.event("first_subscriber").await?;
    let info = admin.done("GetParticipant", about("anna", json!({}))).await?;
    let (voice, picture) = (sid_of(&info, "MICROPHONE"), sid_of(&info, "CAMERA"));

    let muted = admin.done("MutePublishedTrack", about("anna", json!({ "trackSid": voice, "muted": true }))).await?;
    assert_eq!(muted["track"]["muted"], true);
    boris.event_by("muted", "anna").await?;
    boris.hears_silence("anna").await?;
    let unmute = about("anna", json!({ "trackSid": voice, "muted": false }));
    assert_eq!(admin.refused("MutePublishedTrack", unmute).await?, "failed_precondition");
    anna.command("unmute").await?;
    boris.event_by("unmuted", "anna").await?;
    boris.hears_again("anna").await?;

    let order = |subscribe: bool| {
        about("boris", json!({ "trackSids": [voice.clone(), picture.clone()], "subscribe": subscribe }))
    };
    admin.done("UpdateSubscriptions", order(false)).await?;
    boris.hears_silence("anna").await?;
    admin.done("UpdateSubscriptions", order(true)).await?;
    boris.hears_again("anna").await?;

    // 2: the microphone.
    let only_voice = json!({ "permission": { "canSubscribe": true, "canPublish": true, "canPublishSources": [2] } });
    admin.done("UpdateParticipant", about("anna", only_voice)).await?;
    boris.wait("the camera ends", |value| value["event"] == "unpublished" && value["sid"] == picture.as_str()).await?;
    anna.event_by("permissions", "anna").await?;
    let deaf = json!({ "permission": { "canSubscribe": false, "canPublish": true } });
    admin.done("UpdateParticipant", about("boris", deaf)).await?;
    boris.hears_silence("anna").await?;
    let all = json!({ "permission": { "canSubscribe": true, "canPublish": true } });
    admin.done("UpdateParticipant", about("boris", all)).await?;
    boris.hears_again("anna").await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn tracks_and_permissions_by_the_python_sdk() -> Result<()> {
    tracks_and_permissions(Sdk::Python).await
}

#[tokio::test(flavor = "multi_thread")]
async fn tracks_and_permissions_by_the_node_sdk() -> Result<()> {
    tracks_and_permissions(Sdk::Node).await
}

async fn data_and_refusals(sdk: Sdk) -> Result<()> {
    let server = TestServer::start().await?;
    let mut admin = admin(&server, sdk).await?;
    let (mut anna, mut boris) = two(&server).await?;
    let sid = admin.done("GetParticipant", about("anna", json!({}))).await?["sid"].clone();
    // "to all", "to boris", "to anna", "and lossy" in base64.
    for more in [
        json!({ "data": "dG8gYWxs", "topic": "news" }),
        json!({ "data": "dG8gYm9yaXM=", "destinationIdentities": ["boris"] }),
        json!({ "data": "dG8gYW5uYQ==", "destinationSids": [sid] }),
        json!({ "data": "YW5kIGxvc3N5", "kind": "LOSSY" }),
    ] {
        let mut body = json!({ "room": "hall" });
        if let (Some(body), Value::Object(more)) = (body.as_object_mut(), more) {
            body.extend(more);
        }
        admin.done("SendData", body).await?;
    }
    let is = |text: &'static str, kind: &'static str| {
        move |value: &Value| value["event"] == "data" && value["text"] == text && value["kind"] == kind
    };
    for peer in [&mut anna, &mut boris] {
        assert_eq!(peer.wait("data for all", is("to all", "reliable")).await?["topic"], "news");
        peer.wait("lossy data", is("and lossy", "lossy")).await?;
    }
    boris.wait("data for boris", is("to boris", "reliable")).await?;
    anna.wait("data for anna", is("to anna", "reliable")).await?;
    assert!(!anna.has_seen(is("to boris", "reliable")) && !boris.has_seen(is("to anna", "reliable")));

    assert_eq!(admin.refused("GetParticipant", about("nobody", json!({}))).await?, "not_found");
    assert_eq!(admin.refused("ListParticipants", json!({ "room": "attic" })).await?, "not_found");
    assert_eq!(admin.refused("DeleteRoom", json!({ "room": "attic" })).await?, "not_found");
    let no_track = about("anna", json!({ "trackSid": "TR_none", "muted": true }));
    assert_eq!(admin.refused("MutePublishedTrack", no_track).await?, "not_found");
    let large = about("anna", json!({ "metadata": "x".repeat(600 << 10) }));
    assert_eq!(admin.refused("UpdateParticipant", large).await?, "invalid_argument");
    let url = server.url().replace("ws:", "http:");
    let mut stranger = Admin::start(sdk, &url, KEY, "another secret that is long enough too").await?;
    assert_eq!(stranger.refused("ListRooms", json!({})).await?, "unauthenticated");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn data_and_refusals_by_the_python_sdk() -> Result<()> {
    data_and_refusals(Sdk::Python).await
}

#[tokio::test(flavor = "multi_thread")]
async fn data_and_refusals_by_the_node_sdk() -> Result<()> {
    data_and_refusals(Sdk::Node).await
}
