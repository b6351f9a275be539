//! `clients/caller.py`, a client of the call plane that was written from `docs/protocol.md` alone, against the real server:
//! it is rung, answers, joins the room with LiveKit's own client, and survives a lost connection.

use anyhow::{Context as _, Result};
use protocol::UserId;
use server::{Config, Server};
use std::time::Duration;
use tempfile::TempDir;
use tests_interop::{Client, Peer};

struct House {
    server: Server,
    _dir: TempDir,
}

impl House {
    async fn open() -> Result<Self> {
        let filter = std::env::var("RUST_LOG").unwrap_or_else(|_| "warn".into());
        let _ = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).try_init();
        let dir = tempfile::tempdir()?;
        let config = Config { data_dir: dir.path().to_owned(), ..Config::default() };
        Ok(Self { server: Server::start(config).await.context("starting the server")?, _dir: dir })
    }

    /// Somebody who is signed in.
    async fn arrive(&self, client: Client, name: &str) -> Result<Peer> {
        let ticket = self.server.mint_ticket(&UserId::new(name)?, Duration::from_secs(3600));
        let mut peer = Peer::sign_in(client, &self.server.url(), name, &ticket).await?;
        peer.wait("the welcome", |line| line["frame"]["type"] == "welcome" || line["signedIn"] == true).await?;
        Ok(peer)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_rung_by_our_engine_answers_and_talks() -> Result<()> {
    let house = House::open().await?;
    let mut anna = house.arrive(Client::Headless, "anna").await?;
    let mut boris = house.arrive(Client::Python, "boris").await?;
    anna.command("call boris voice data hello").await?;
    let invited = boris.call_event("invited").await?;
    assert_eq!((&invited["callerId"], &invited["userData"]), (&"anna".into(), &"hello".into()));
    boris.command("accept").await?;
    assert_eq!(boris.call_event("begun").await?["members"], serde_json::json!(["anna"]));
    anna.event("onCallBegin").await?;
    boris.event("connected").await?;
    boris.hears("anna", Some(440.0)).await?;
    anna.hears("boris", None).await?;

    // Its connection breaks, and comes back to the same session: the call does not notice.
    boris.command("cut").await?;
    boris.wait_new("the resume", |line| line["frame"]["resumed"] == true).await?;
    anna.command("hangup").await?;
    let ended = boris.call_event("ended").await?;
    assert_eq!((&ended["reason"], &ended["userId"]), (&1.into(), &"anna".into()));
    boris.event("disconnected").await?;
    let end = anna.event("onCallEnd").await?;
    assert_eq!(end["reason"], 1);
    boris.command("recent").await?;
    let records = boris.wait_new("the records", |line| line["frame"]["records"].is_array()).await?;
    assert_eq!(records["frame"]["records"][0]["result"], 2, "{records}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn two_of_them_and_our_engine_make_a_group_call() -> Result<()> {
    let house = House::open().await?;
    let mut anna = house.arrive(Client::Python, "anna").await?;
    let mut boris = house.arrive(Client::Python, "boris").await?;
    let mut clara = house.arrive(Client::Headless, "clara").await?;
    anna.command("call boris").await?;
    boris.call_event("invited").await?;
    boris.command("accept").await?;
    anna.call_event("begun").await?;
    anna.hears("boris", Some(440.0)).await?;
    // Clara misses the invitation, sees the card, and joins.
    boris.command("invite clara").await?;
    clara.event("onCallReceived").await?;
    clara.command("reject").await?;
    clara.wait("the card", |line| line["cards"][0]["members"].as_array().is_some_and(|m| m.len() == 2)).await?;
    clara.command("join").await?;
    clara.event("onCallBegin").await?;
    assert_eq!(anna.call_event("userJoined").await?["userId"], "clara");
    clara.hears("anna", None).await?;
    clara.hears("boris", None).await?;
    anna.hears("clara", None).await?;
    anna.command("hangup").await?;
    clara.wait("anna's leaving", |line| line["event"] == "onUserLeave" && line["userId"] == "anna").await?;
    boris.command("hangup").await?;
    clara.event("onCallEnd").await?;
    Ok(())
}
