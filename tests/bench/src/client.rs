//! A client as a process, a window or a headless one: commands go in as lines, events come out as JSON lines.

use crate::process::Process;
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::io::{BufRead, BufReader, Write};
use std::process::{ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::{Duration, Instant};

/// Lines that wait for their reader; the reader's thread waits past that, and then the client does.
const LINES_WAITING: usize = 4096;

/// One line that a client wrote.
#[derive(Clone, Debug)]
pub struct Line {
    /// When it was read.
    pub at: Instant,
    /// What it says.
    pub json: Value,
}

impl Line {
    /// The event's documented name; empty for lines that are no event.
    #[must_use]
    pub fn event(&self) -> &str {
        self.json["event"].as_str().unwrap_or_default()
    }
}

/// A running client.
pub struct Client {
    process: Process,
    input: ChildStdin,
    lines: Receiver<Line>,
    /// Everything that it has said so far, in order.
    pub history: Vec<Line>,
    user: String,
}

impl Client {
    /// Starts it with pipes for its standard input and output.
    pub fn start(user: &str, command: &mut Command) -> Result<Self> {
        let mut process = Process::start(user, command.stdin(Stdio::piped()).stdout(Stdio::piped()))?;
        let input = process.child().stdin.take().context("the client's input is a pipe")?;
        let output = process.child().stdout.take().context("the client's output is a pipe")?;
        let (send, lines) = sync_channel(LINES_WAITING);
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                let at = Instant::now();
                let Ok(json) = serde_json::from_str(&line) else { continue };
                if send.send(Line { at, json }).is_err() {
                    return;
                }
            }
        });
        Ok(Self { process, input, lines, history: Vec::new(), user: user.to_owned() })
    }

    /// Who is signed in there.
    #[must_use]
    pub fn user(&self) -> &str {
        &self.user
    }

    /// The process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        self.process.is_running()
    }

    /// Waits for its own end; false where it did not come in time.
    pub fn wait(&mut self, longest: Duration) -> bool {
        self.process.wait(longest)
    }

    /// Says one command and gives back when it was said.
    pub fn say(&mut self, command: &str) -> Result<Instant> {
        let at = Instant::now();
        writeln!(self.input, "{command}")
            .and_then(|()| self.input.flush())
            .with_context(|| format!("{}: {command}", self.user))?;
        Ok(at)
    }

    /// Takes what was said meanwhile into the history.
    pub fn listen(&mut self) {
        self.history.extend(self.lines.try_iter());
    }

    /// Waits for a line after the first `since` ones of the history, and gives its place there.
    pub fn wait_for(
        &mut self,
        since: usize,
        longest: Duration,
        what: &str,
        wanted: impl Fn(&Value) -> bool,
    ) -> Result<usize> {
        let deadline = Instant::now() + longest;
        let mut next = since;
        loop {
            if let Some(at) = self.history[next..].iter().position(|line| wanted(&line.json)) {
                return Ok(next + at);
            }
            next = self.history.len();
            match self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => self.history.push(line),
                Err(_) => bail!("{}: no {what} within {longest:?}; it said last: {:?}", self.user, self.last_words()),
            }
        }
    }

    /// Waits for an event by its documented name.
    pub fn wait_for_event(&mut self, since: usize, longest: Duration, name: &str) -> Result<usize> {
        self.wait_for(since, longest, name, |json| json["event"] == name)
    }

    fn last_words(&self) -> Vec<String> {
        self.history.iter().rev().take(5).rev().map(|line| line.json.to_string()).collect()
    }
}
