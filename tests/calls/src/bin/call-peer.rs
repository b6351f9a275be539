//! A peer in a process of its own, to be killed: signs in and answers every call with voice and picture.

use anyhow::{Context, Result};
use engine::api::{Intent, Secret, Stage};
use engine::{Engine, EngineConfig};
use media::{DeviceChoice, Synthetic};
use protocol::{DeviceId, UserId};

#[tokio::main]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let mut next = |what: &str| arguments.next().with_context(|| format!("call-peer SERVER USER TICKET: no {what}"));
    let (server, user, ticket) = (next("server")?.parse()?, UserId::new(next("user")?)?, Secret(next("ticket")?));
    let mut config = EngineConfig::new(DeviceId::new("call-peer")?);
    config.microphone = DeviceChoice::Synthetic(Synthetic::Tone(440));
    config.speaker = DeviceChoice::None;
    config.camera = DeviceChoice::Synthetic(Synthetic::Pattern("peer".to_owned()));
    config.watch_devices = false;
    let engine = Engine::start(config);
    engine.request(Intent::SignIn { server, user, ticket }).await?;
    println!("ready");
    let mut snapshots = engine.snapshots();
    loop {
        snapshots.wait_for(|snapshot| matches!(snapshot.stage, Stage::Incoming { .. })).await?;
        engine.request(Intent::Accept { camera: true }).await?;
        snapshots.wait_for(|snapshot| !matches!(snapshot.stage, Stage::Incoming { .. })).await?;
    }
}
