//! From accepting to hearing and seeing, over many calls between two clients, with the parts of that time.

use super::{STEP_TIMEOUT, connect, hang_up, headless, milliseconds, stats};
use crate::client::Client;
use crate::server::Server;
use crate::table::Table;
use anyhow::Result;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// What is timed at each side, in the order in which it happens, and the goal for it.
const PARTS: [(&str, &str); 5] = [
    ("onCallBegin", ""),
    ("onEnterRoom", ""),
    ("onUserJoin", ""),
    ("onFirstAudioFrame", "250"),
    ("onFirstVideoFrame", "400"),
];

/// Long enough for a few dozen timecodes.
const WATCH: Duration = Duration::from_secs(2);

/// Prints the table.
pub fn run(calls: usize) -> Result<()> {
    let data = tempfile::tempdir()?;
    let server = Server::start(data.path(), &[])?;
    let mut caller = headless(&server, "alice", &["--no-meters"], |_| {})?;
    let mut callee = headless(&server, "bob", &["--no-meters", "--mic", "tone:660"], |_| {})?;
    let mut times: BTreeMap<(usize, usize), Vec<f64>> = BTreeMap::new();
    let (mut rings, mut screens, mut leaves) = (Vec::new(), Vec::new(), Vec::new());
    for number in 0..calls {
        let said = Instant::now();
        let (accepted, since) = connect(&mut caller, &mut callee)?;
        rings.extend(since_said(&callee, since[1], "onCallReceived", said));
        for (part, (name, _)) in PARTS.iter().enumerate() {
            for (side, client) in [&caller, &callee].into_iter().enumerate() {
                times.entry((part, side)).or_default().extend(since_said(client, since[side], name, accepted));
            }
        }
        // The last calls are watched for a while: the delay needs pictures.
        if number + 3 >= calls {
            std::thread::sleep(WATCH);
            for client in [&mut caller, &mut callee] {
                screens.extend(stats(client)?["pictureDelayMs"].as_f64());
            }
        }
        let said = hang_up(&mut caller, &mut callee, since)?;
        leaves.extend(since_said(&callee, since[1], "onRemoteUserLeaveRoom", said));
    }
    let mut table = Table::new(
        &format!("Setting up {calls} video calls, one to one, loopback (ms)"),
        &["", "median", "p95", "worst", "samples", "goal"],
    );
    table.times("call placed to ringing (onCallReceived)", &rings, "");
    for (part, (name, goal)) in PARTS.iter().enumerate() {
        for (side, who) in ["caller", "callee"].into_iter().enumerate() {
            table.times(&format!("accept to {name}, {who}"), &times[&(part, side)], goal);
        }
    }
    table.times("camera to screen, by the timecode in the picture", &screens, "150");
    table.times("hang up to onRemoteUserLeaveRoom at the other", &leaves, "100");
    print!("{}", table.text());
    for client in [&mut caller, &mut callee] {
        client.say("quit")?;
        client.wait(STEP_TIMEOUT);
    }
    Ok(())
}

fn since_said(client: &Client, since: usize, name: &str, start: Instant) -> Option<f64> {
    client.history[since..].iter().find(|line| line.event() == name).map(|line| milliseconds(start, line.at))
}
