//! Foreign LiveKit clients, unmodified, hear and see each other in an embedded room, and learn why they are out.

use anyhow::Result;
use serde_json::json;
use tests_interop::{Client, Peer, TestServer, Wire};

async fn join(server: &TestServer, client: Client, name: &str, wire: Wire, codec: &str) -> Result<Peer> {
    Peer::start(client, name, &server.url(), &server.token("room", name)?, wire, codec).await
}

/// The Python client's tone; the browser's fake microphone beeps, which is checked by level alone.
fn pitch(client: Client) -> Option<f64> {
    (client != Client::Browser).then_some(440.0)
}

async fn exchange(one: (Client, Wire, &str), two: (Client, Wire, &str)) -> Result<()> {
    let server = TestServer::start().await?;
    let mut anna = join(&server, one.0, "anna", one.1, one.2).await?;
    anna.event("published").await?;
    let mut boris = join(&server, two.0, "boris", two.1, two.2).await?;
    boris.hears("anna", pitch(one.0)).await?;
    boris.sees("anna").await?;
    anna.hears("boris", pitch(two.0)).await?;
    anna.sees("boris").await?;

    anna.command("data from anna").await?;
    boris.wait("anna's data", |value| value["event"] == "data" && value["text"] == "from anna").await?;
    boris.command("data from boris").await?;
    anna.wait("boris's data", |value| value["event"] == "data" && value["by"] == "boris").await?;

    anna.command("mute").await?;
    boris.event_by("muted", "anna").await?;
    anna.command("unmute").await?;
    boris.event_by("unmuted", "anna").await?;

    boris.command("leave").await?;
    anna.event_by("left", "boris").await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn two_python_clients_on_one_connection_each() -> Result<()> {
    exchange((Client::Python, Wire::One, "h264"), (Client::Python, Wire::One, "vp8")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn two_python_clients_on_two_connections_each() -> Result<()> {
    exchange((Client::Python, Wire::Two, "h264"), (Client::Python, Wire::Two, "h264")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn python_and_browser_on_one_connection_each() -> Result<()> {
    exchange((Client::Python, Wire::One, "h264"), (Client::Browser, Wire::One, "h264")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn python_and_browser_on_two_connections_each() -> Result<()> {
    exchange((Client::Browser, Wire::Two, "vp8"), (Client::Python, Wire::Two, "h264")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn one_and_two_connections_meet() -> Result<()> {
    exchange((Client::Python, Wire::Two, "vp8"), (Client::Python, Wire::One, "h264")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn removal_and_deletion_give_their_reasons_to_both_clients() -> Result<()> {
    let server = TestServer::start().await?;
    let mut anna = join(&server, Client::Python, "anna", Wire::One, "h264").await?;
    let mut boris = join(&server, Client::Browser, "boris", Wire::One, "h264").await?;
    let mut clara = join(&server, Client::Python, "clara", Wire::One, "none").await?;
    anna.event("published").await?;
    boris.event("published").await?;
    clara.event("connected").await?;

    let people = server.twirp("ListParticipants", "room", json!({ "room": "room" })).await?;
    assert_eq!(people["participants"].as_array().map(Vec::len), Some(3), "{people}");
    server.twirp("RemoveParticipant", "room", json!({ "room": "room", "identity": "boris" })).await?;
    assert_eq!(boris.event("disconnected").await?["reason"], "PARTICIPANT_REMOVED");
    let left = anna.event_by("left", "boris").await?;
    assert_eq!(left["reason"], "PARTICIPANT_REMOVED");

    let rooms = server.twirp("ListRooms", "room", json!({})).await?;
    assert_eq!(rooms["rooms"][0]["name"], "room", "{rooms}");
    server.twirp("DeleteRoom", "room", json!({ "room": "room" })).await?;
    assert_eq!(anna.event("disconnected").await?["reason"], "ROOM_DELETED");
    assert_eq!(clara.event("disconnected").await?["reason"], "ROOM_DELETED");
    let refused = server.twirp("ListParticipants", "room", json!({ "room": "room" })).await;
    assert!(refused.is_err_and(|error| error.to_string().contains("not_found")));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_client_is_gone_for_the_others_within_seconds() -> Result<()> {
    let server = TestServer::start().await?;
    let mut anna = join(&server, Client::Python, "anna", Wire::One, "none").await?;
    anna.event("connected").await?;
    let mut boris = join(&server, Client::Python, "boris", Wire::One, "h264").await?;
    anna.sees("boris").await?;
    boris.kill().await?;
    let left = anna.event_by("left", "boris").await?;
    assert_eq!(left["reason"], "SIGNAL_CLOSE");
    Ok(())
}

/// Our own engine with a foreign client: both directions, then removal and deletion.
async fn with_the_engine(client: Client, wire: Wire) -> Result<()> {
    let server = TestServer::start().await?;
    let mut anna = join(&server, Client::Headless, "anna", Wire::One, "h264").await?;
    anna.event("onEnterRoom").await?;
    let mut boris = join(&server, client, "boris", wire, "h264").await?;
    boris.hears("anna", pitch(Client::Headless)).await?;
    boris.sees("anna").await?;
    anna.hears("boris", None).await?;
    anna.sees("boris").await?;

    server.twirp("RemoveParticipant", "room", json!({ "room": "room", "identity": "anna" })).await?;
    assert_eq!(anna.event("onExitRoom").await?["reason"], 1);
    boris.event_by("left", "anna").await?;
    server.twirp("DeleteRoom", "room", json!({ "room": "room" })).await?;
    assert_eq!(boris.event("disconnected").await?["reason"], "ROOM_DELETED");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_engine_and_python() -> Result<()> {
    with_the_engine(Client::Python, Wire::One).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_engine_and_python_on_two_connections() -> Result<()> {
    with_the_engine(Client::Python, Wire::Two).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_engine_and_the_browser() -> Result<()> {
    with_the_engine(Client::Browser, Wire::One).await
}

/// The signal socket breaks; the membership goes on, and with it voice, picture and what is published later.
async fn survives_a_cut(client: Client, wire: Wire) -> Result<()> {
    let server = TestServer::start().await?;
    let mut anna = join(&server, client, "anna", wire, "h264").await?;
    anna.event("published").await?;
    let mut boris = join(&server, Client::Python, "boris", Wire::One, "none").await?;
    boris.sees("anna").await?;
    anna.command("cut").await?;
    anna.event("reconnected").await?;
    let mut clara = join(&server, Client::Python, "clara", Wire::One, "h264").await?;
    anna.sees("clara").await?;
    clara.sees("anna").await?;
    assert!(!boris.has_seen(|value| value["event"] == "left"), "nobody left");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn python_resumes_on_one_connection() -> Result<()> {
    survives_a_cut(Client::Python, Wire::One).await
}

#[tokio::test(flavor = "multi_thread")]
async fn python_resumes_on_two_connections() -> Result<()> {
    survives_a_cut(Client::Python, Wire::Two).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_browser_resumes() -> Result<()> {
    survives_a_cut(Client::Browser, Wire::One).await
}

#[tokio::test(flavor = "multi_thread")]
async fn simulcast_gives_the_layer_that_is_asked_for() -> Result<()> {
    let server = TestServer::start().await?;
    let mut anna = join(&server, Client::Browser, "anna", Wire::One, "vp8-simulcast").await?;
    anna.event("published").await?;
    let mut boris = join(&server, Client::Browser, "boris", Wire::One, "none").await?;
    let width = |value: &serde_json::Value| value["width"].as_u64().unwrap_or_default();
    let is_video = |value: &serde_json::Value| value["event"] == "video" && value["by"] == "anna";
    let high = boris.wait("the high layer", |value| is_video(value) && width(value) >= 1_000).await?;
    boris.command("quality low").await?;
    boris.wait_new("the low layer", |value| is_video(value) && width(value) < width(&high) / 2).await?;
    boris.command("quality high").await?;
    boris.wait_new("the high layer again", |value| is_video(value) && width(value) == width(&high)).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn scalable_vp9_passes_through() -> Result<()> {
    let server = TestServer::start().await?;
    let mut anna = join(&server, Client::Browser, "anna", Wire::One, "vp9").await?;
    anna.event("published").await?;
    let mut boris = join(&server, Client::Python, "boris", Wire::One, "none").await?;
    boris.sees("anna").await?;
    Ok(())
}

/// Prints the times that `docs` and the bench table quote, of joins after each process's first, which loads libraries;
/// asserts only that there are pictures.
#[tokio::test(flavor = "multi_thread")]
async fn first_picture_of_a_live_publisher() -> Result<()> {
    const ROUNDS: usize = 10;
    for (client, wire) in [(Client::Python, Wire::One), (Client::Python, Wire::Two), (Client::Browser, Wire::One)] {
        let server = TestServer::start().await?;
        let mut anna = join(&server, Client::Python, "anna", Wire::One, "h264").await?;
        anna.event("published").await?;
        let mut late = join(&server, client, "late", wire, "none").await?;
        late.sees("anna").await?;
        let mut times = Vec::new();
        for _ in 0..ROUNDS {
            let ms = |value: &serde_json::Value| value["ms"].as_f64().unwrap_or_default();
            late.command(&format!("again {}", server.token("room", "late")?)).await?;
            let began = ms(&late.wait_new("a new join", |value| value["event"] == "connecting").await?);
            let mut connected = None;
            let picture = loop {
                let next = late
                    .wait_new("a picture", |value| value["event"] == "connected" || value["event"] == "first_picture");
                let next = next.await?;
                if next["event"] == "connected" {
                    connected = Some(ms(&next) - began);
                } else {
                    break ms(&next) - began;
                }
            };
            times.push((picture, connected.unwrap_or(picture)));
            // Not sooner: publishers answer keyframe requests that follow each other closely with one.
            late.wait_new("the picture goes on", |value| value["event"] == "video").await?;
        }
        times.sort_by(f64_pair);
        let (picture, connected) = times[times.len() / 2];
        println!(
            "first picture for {client:?} on {wire:?}: {picture:.0} ms (connected {connected:.0} ms), median of {ROUNDS}"
        );
    }
    Ok(())
}

fn f64_pair(a: &(f64, f64), b: &(f64, f64)) -> std::cmp::Ordering {
    a.0.total_cmp(&b.0)
}
