//! Webhooks of the embedded rooms at LiveKit's own receivers, unmodified, and event callbacks of media, with LiveKit's own
//! clients in the rooms.

use anyhow::Result;
use livekit_token::{AccessToken, VideoGrants};
use serde_json::Value;
use server::tokens::ApiKey;
use server::{Config, Server};
use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;
use tests_interop::{Client, KEY, Peer, Receiver, SECRET, Sdk, Wire};
use tokio::sync::mpsc;

/// A whole server that tells these receivers.
async fn serve(dir: &Path, receivers: &[&Receiver]) -> Result<Server> {
    let webhook_urls = receivers.iter().map(|receiver| receiver.url().parse()).collect::<Result<_, _>>()?;
    let webhook_api_key = Some(KEY.into());
    Server::start(Config { webhook_api_key, webhook_urls, ..config(dir) }).await
}

fn config(dir: &Path) -> Config {
    let api_keys = vec![ApiKey { key: KEY.into(), secret: SECRET.into() }];
    Config { data_dir: dir.to_owned(), api_keys, ..Config::default() }
}

async fn join(server: &Server, name: &str, codec: &str) -> Result<Peer> {
    join_in(server, "hall", name, codec).await
}

async fn join_in(server: &Server, room: &str, name: &str, codec: &str) -> Result<Peer> {
    let grants = VideoGrants { room_join: true, room: room.into(), ..VideoGrants::default() };
    let token = AccessToken::with_api_key(KEY, SECRET).with_identity(name).with_grants(grants).to_jwt()?;
    let url = server.url().replace("http:", "ws:");
    Peer::start(Client::Python, name, &url, &token, Wire::One, codec).await
}

/// The event in a line: its name, whose it is, and the source of its track.
fn line(event: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let words = [text(&event["event"]), text(&event["participant"]["identity"]), text(&event["track"]["source"])];
    words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

#[tokio::test(flavor = "multi_thread")]
async fn both_sdks_accept_and_read_a_rooms_whole_life() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let (mut python, mut node) =
        (Receiver::start(Sdk::Python, KEY, SECRET).await?, Receiver::start(Sdk::Node, KEY, SECRET).await?);
    let server = serve(dir.path(), &[&python, &node]).await?;
    let mut anna = join(&server, "anna", "h264").await?;
    anna.event("published").await?;
    let mut boris = join(&server, "boris", "none").await?;
    boris.sees("anna").await?;
    boris.command("leave").await?;
    anna.event_by("left", "boris").await?;
    anna.command("leave").await?;

    let mut ids = Vec::new();
    for receiver in [&mut python, &mut node] {
        let mut told = Vec::new();
        while told.last().map(line).as_deref() != Some("room_finished") {
            told.push(receiver.next().await?);
        }
        let lines: Vec<_> = told.iter().map(line).collect();
        let expected = |first: &str, second: &str| {
            vec![
                "room_started".to_owned(),
                "participant_joined anna".to_owned(),
                format!("track_published anna {first}"),
                format!("track_published anna {second}"),
                "participant_joined boris".to_owned(),
                "participant_left boris".to_owned(),
                "track_unpublished anna".to_owned(),
                "track_unpublished anna".to_owned(),
                "participant_left anna".to_owned(),
                "room_finished".to_owned(),
            ]
        };
        // In which order a client publishes is its own affair, and so is what ends first.
        let bare = |line: &String| {
            if line.starts_with("track_unpublished") { "track_unpublished anna".to_owned() } else { line.clone() }
        };
        let seen: Vec<_> = lines.iter().map(bare).collect();
        let either = [expected("MICROPHONE", "CAMERA"), expected("CAMERA", "MICROPHONE")];
        assert!(either.contains(&seen), "{lines:?}");
        let ended: BTreeSet<_> = lines.iter().filter(|line| line.starts_with("track_unpublished")).collect();
        assert_eq!(ended.len(), 2, "{lines:?}");
        for event in &told {
            assert_eq!(event["room"]["name"], "hall", "{event}");
            assert!(event["createdAt"].as_str().is_some_and(|at| at.parse::<u64>().is_ok()), "{event}");
        }
        let left = told.iter().find(|event| line(event) == "participant_left boris").map(|event| &event["participant"]);
        assert_eq!(left.map(|who| who["disconnectReason"].clone()), Some("CLIENT_INITIATED".into()));
        ids.push(told.iter().map(|event| event["id"].to_string()).collect::<Vec<_>>());
    }
    assert_eq!(ids[0], ids[1], "one event has one id, whoever receives it");
    assert_eq!(ids[0].iter().collect::<BTreeSet<_>>().len(), 10);
    server.shutdown().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_with_another_secret_refuses_them() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let wrong = "another secret of the interop tests, long enough";
    let (mut python, mut node) =
        (Receiver::start(Sdk::Python, KEY, wrong).await?, Receiver::start(Sdk::Node, KEY, wrong).await?);
    let server = serve(dir.path(), &[&python, &node]).await?;
    let _anna = join(&server, "anna", "none").await?;
    for receiver in [&mut python, &mut node] {
        let told = receiver.next().await?;
        assert!(told["refused"].is_string(), "{told}");
    }
    server.shutdown().await;
    Ok(())
}

/// Receives callbacks: where, and their numbers with their users.
async fn callbacks() -> Result<(url::Url, mpsc::UnboundedReceiver<(u64, String)>)> {
    let (seen, told) = mpsc::unbounded_channel();
    let take = move |axum::Json(body): axum::Json<Value>| async move {
        let user = body["EventInfo"]["UserId"].as_str().unwrap_or_default().to_owned();
        let _ = seen.send((body["EventType"].as_u64().unwrap_or(0), user));
        r#"{"code":0}"#
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/", listener.local_addr()?).parse()?;
    let app = axum::Router::new().route("/", axum::routing::post(take));
    tokio::spawn(async move { axum::serve(listener, app).await });
    Ok((url, told))
}

#[tokio::test(flavor = "multi_thread")]
async fn callbacks_tell_of_voice_picture_and_screen() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let (url, mut told) = callbacks().await?;
    let server = Server::start(Config { callback_urls: vec![url], ..config(dir.path()) }).await?;
    let mut next = async || {
        let next = tokio::time::timeout(Duration::from_secs(60), told.recv()).await;
        next.ok().flatten().map(|(number, user)| format!("{number} {user}"))
    };
    let mut anna = join_in(&server, "n:7", "anna", "h264").await?;
    assert_eq!(next().await.as_deref(), Some("101 anna"));
    assert_eq!(next().await.as_deref(), Some("103 anna"));
    // In which order a client publishes is its own affair.
    let begun = BTreeSet::from([next().await, next().await]);
    assert_eq!(begun, ["201 anna", "203 anna"].map(|told| Some(told.to_owned())).into());
    for (command, number) in [("mute", 204), ("unmute", 203), ("share", 205), ("unshare", 206)] {
        anna.command(command).await?;
        assert_eq!(next().await, Some(format!("{number} anna")), "{command}");
    }
    // With voice and picture on: the exit says that they end.
    anna.command("leave").await?;
    assert_eq!(next().await.as_deref(), Some("104 anna"));
    assert_eq!(next().await.as_deref(), Some("102 anna"));
    server.shutdown().await;
    Ok(())
}
