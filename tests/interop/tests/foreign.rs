//! Foreign LiveKit clients, unmodified, hear and see each other in an embedded room, and learn why they are out.

use anyhow::Result;
use serde_json::json;
use tests_interop::{Client, Peer, TestServer, Wire};

async fn join(server: &TestServer, client: Client, name: &str, wire: Wire, codec: &str) -> Result<Peer> {
    Peer::start(client, name, &server.url(), &server.token("room", name)?, wire, codec).await
}

/// The Python client's tone; the browser's fake microphone beeps, which is checked by level alone.
fn pitch(client: Client) -> Option<f64> {
    (client == Client::Python).then_some(440.0)
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

/// Prints the times that `docs` and the bench table quote; asserts only that there are pictures.
#[tokio::test(flavor = "multi_thread")]
async fn first_picture_of_a_live_publisher() -> Result<()> {
    for (client, wire) in [(Client::Python, Wire::One), (Client::Python, Wire::Two), (Client::Browser, Wire::One)] {
        let server = TestServer::start().await?;
        let mut anna = join(&server, Client::Python, "anna", Wire::One, "h264").await?;
        let mut early = join(&server, Client::Python, "early", Wire::One, "none").await?;
        early.sees("anna").await?;
        let mut times = Vec::new();
        for round in 0..5 {
            let name = format!("late{round}");
            let mut late = join(&server, client, &name, wire, "none").await?;
            let ms = |value: &serde_json::Value| value["ms"].as_f64().unwrap_or_default();
            let began = ms(&late.event("connecting").await?);
            let connected = ms(&late.event("connected").await?) - began;
            let picture = ms(&late.event_by("first_picture", "anna").await?) - began;
            times.push((picture, connected));
            late.command("leave").await?;
            anna.event_by("left", &name).await?;
        }
        times.sort_by(f64_pair);
        let (picture, connected) = times[times.len() / 2];
        println!(
            "first picture for {client:?} on {wire:?}: {picture:.0} ms (connected {connected:.0} ms), median of 5"
        );
    }
    Ok(())
}

fn f64_pair(a: &(f64, f64), b: &(f64, f64)) -> std::cmp::Ordering {
    a.0.total_cmp(&b.0)
}
