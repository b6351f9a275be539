//! What scripts say to a running app and read of it: one command a line in, one event a line out.

use engine::Engine;
use engine::api::{Answer, Refusal, Reported};
use engine::script::{self, Command};
use serde_json::json;
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

/// TUICallKit's code for a parameter that is not what it should be.
const BAD_PARAMETER: i32 = -1202;

/// A file, or standard output where it is `-`.
///
/// # Errors
/// When the file cannot be created.
pub fn open(path: &Path) -> io::Result<Box<dyn Write + Send>> {
    if path == Path::new("-") {
        return Ok(Box::new(io::stdout()));
    }
    Ok(Box::new(File::create(path)?))
}

/// Writes until the engine or the reader goes.
pub async fn write_events(mut events: Receiver<Reported>, mut out: Box<dyn Write + Send>) {
    loop {
        let written = match events.recv().await {
            Ok(reported) => writeln!(out, "{}", script::event_line(&reported)).and_then(|()| out.flush()),
            Err(RecvError::Lagged(missed)) => {
                tracing::warn!(missed, "events were lost on their way to the script");
                Ok(())
            }
            Err(RecvError::Closed) => return,
        };
        if let Err(error) = written {
            return tracing::warn!(%error, "nobody reads the events any more");
        }
    }
}

/// Does what standard input says, line by line, until it ends; answers each line on standard output, and says at last
/// whether the script asked to quit.
pub async fn follow_commands(engine: Engine) -> bool {
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let verb = line.split_whitespace().next().unwrap_or_default();
        let answer = match Command::parse(&line) {
            Ok(None) => continue,
            Ok(Some(Command::Quit)) => return true,
            Ok(Some(Command::Intent(intent))) => script::answer_line(verb, &engine.request(*intent).await),
            Ok(Some(Command::Stats)) => json!({ "stats": engine.report().await }),
            Ok(Some(Command::Sleep(time))) => {
                tokio::time::sleep(time).await;
                script::answer_line(verb, &Ok(Answer::Done))
            }
            Ok(Some(Command::Wait { .. } | Command::Picture(_))) => refused(verb, "only ahoy-headless can do that"),
            Err(message) => refused(verb, &message),
        };
        let mut out = io::stdout().lock();
        // A reader that went away ends nothing: the script may still have something to do.
        let _ = writeln!(out, "{answer}").and_then(|()| out.flush());
    }
    false
}

fn refused(verb: &str, message: &str) -> serde_json::Value {
    script::answer_line(verb, &Err(Refusal { code: BAD_PARAMETER, message: message.to_owned() }))
}
