//! What is measured; each module prints one table.

pub mod admin;
pub mod call;
pub mod ear;
pub mod join;
pub mod load;
pub mod setup;

use crate::client::Client;
use crate::process::program;
use crate::server::Server;
use anyhow::Result;
use serde_json::Value;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Everything that a call brings about happens within this, or the measurement has failed.
pub const STEP_TIMEOUT: Duration = Duration::from_secs(20);

/// A person needs this long to answer, at the least; the caller's side uses the time.
const RING: Duration = Duration::from_millis(700);

/// A headless client that is signed in; `more` are further flags.
pub fn headless(server: &Server, user: &str, more: &[&str], prepare: impl FnOnce(&mut Command)) -> Result<Client> {
    let mut command = Command::new(program("ahoy-headless")?);
    command.args(["--server", &server.url()?, "--user", user]).args(more);
    command.env("AHOY_TICKET", server.ticket(user)?).stderr(Stdio::null());
    prepare(&mut command);
    let mut client = Client::start(user, &mut command)?;
    client.wait_for(0, STEP_TIMEOUT, "sign-in", |json| json["signedIn"] == true)?;
    Ok(client)
}

/// One call between two signed-in clients, up to the first voice and picture on both sides.
///
/// Gives back when the callee said `accept`, and where in the histories the call begins.
pub fn connect(caller: &mut Client, callee: &mut Client) -> Result<(Instant, [usize; 2])> {
    let since = [caller.history.len(), callee.history.len()];
    caller.say(&format!("call {} video", callee.user()))?;
    callee.wait_for_event(since[1], STEP_TIMEOUT, "onCallReceived")?;
    std::thread::sleep(RING);
    let accepted = callee.say("accept")?;
    for name in ["onFirstAudioFrame", "onFirstVideoFrame"] {
        caller.wait_for_event(since[0], STEP_TIMEOUT, name)?;
        callee.wait_for_event(since[1], STEP_TIMEOUT, name)?;
    }
    Ok((accepted, since))
}

/// Ends the call and waits until both know. Gives back when the caller said so.
pub fn hang_up(caller: &mut Client, callee: &mut Client, since: [usize; 2]) -> Result<Instant> {
    let said = caller.say("hangup")?;
    caller.wait_for_event(since[0], STEP_TIMEOUT, "onCallEnd")?;
    callee.wait_for_event(since[1], STEP_TIMEOUT, "onCallEnd")?;
    Ok(said)
}

/// The client's numbers now.
pub fn stats(client: &mut Client) -> Result<Value> {
    let since = client.history.len();
    client.say("stats")?;
    let at = client.wait_for(since, STEP_TIMEOUT, "numbers", |json| json["stats"].is_object())?;
    Ok(client.history[at].json["stats"].clone())
}

/// Milliseconds from one time to another.
#[must_use]
pub fn milliseconds(from: Instant, to: Instant) -> f64 {
    to.saturating_duration_since(from).as_secs_f64() * 1000.0
}
