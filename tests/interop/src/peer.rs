//! A foreign client: a process that reports by JSON lines and takes commands by lines.

use anyhow::{Context as _, Result, bail};
use serde_json::Value;
use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::{OnceCell, mpsc};

/// Nothing that is waited for takes this long, even on a loaded machine.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// Our own engine is asked for its numbers this often.
const POLL_INTERVAL: Duration = Duration::from_millis(200);

/// A voice is reported twice a second while it is received: this long without a report, and it is not.
const REPORT_GAP: Duration = Duration::from_secs(4);

/// Lines not read yet. When full, the reader waits, and the client after it.
const LINE_CAPACITY: usize = 4_096;

/// Which foreign client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Client {
    /// PyPI `livekit`: libwebrtc.
    Python,
    /// npm `livekit-client` in Chromium with its fake devices.
    Browser,
    /// Our own engine without a window, to meet the others. It chooses wire and codec itself.
    Headless,
}

/// Which of LiveKit's two addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wire {
    /// `/rtc/v1`: one peer connection.
    One,
    /// `/rtc`: two.
    Two,
}

/// A running client.
pub struct Peer {
    /// For messages of failing tests.
    name: String,
    client: Client,
    child: Child,
    input: ChildStdin,
    lines: mpsc::Receiver<Value>,
    seen: Vec<Value>,
}

pub(crate) fn here() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Where the Python environment lives: beside cargo's own output.
pub(crate) fn environment() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    target.unwrap_or_else(|| here().join("../../target")).join("interop")
}

pub(crate) async fn set_up() -> Result<()> {
    static DONE: OnceCell<()> = OnceCell::const_new();
    DONE.get_or_try_init(|| async {
        let status = Command::new(here().join("setup")).arg(environment()).status().await?;
        if status.success() { Ok(()) } else { bail!("tests/interop/setup failed") }
    })
    .await
    .copied()
}

/// Our own engine's program: from `AHOY_HEADLESS`, else built now, beside this test.
async fn headless() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("AHOY_HEADLESS") {
        return Ok(path.into());
    }
    static BUILT: OnceCell<PathBuf> = OnceCell::const_new();
    let build = || async {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = Command::new(cargo);
        // Of the whole workspace: chosen alone, the package would be built with other features, and all below it anew.
        command.args(["build", "--quiet", "--workspace", "--bin", "ahoy-headless"]).current_dir(here());
        if !command.status().await?.success() {
            bail!("ahoy-headless does not build");
        }
        // This test is target/PROFILE/deps/NAME.
        let test = std::env::current_exe()?;
        let profile = test.parent().and_then(Path::parent).context("a test outside of a target directory")?;
        Ok(profile.join("ahoy-headless"))
    };
    BUILT.get_or_try_init(build).await.cloned()
}

impl Peer {
    /// Starts a client that joins with `token` and publishes a voice and a picture in `codec` (`none`: only receives).
    pub async fn start(client: Client, name: &str, url: &str, token: &str, wire: Wire, codec: &str) -> Result<Self> {
        set_up().await?;
        let mut command = match client {
            Client::Python => {
                let mut command = Command::new(environment().join("python/bin/python"));
                command.arg(here().join("clients/peer.py"));
                command
            }
            Client::Browser => {
                let mut command = Command::new("node");
                command.arg(here().join("clients/peer.mjs"));
                command
            }
            Client::Headless => {
                let mut command = Command::new(headless().await?);
                command.args(["--mic", "tone:440", "--camera", &format!("pattern:{name}"), "--no-meters"]);
                command
            }
        };
        let wire = match wire {
            Wire::One => "one",
            Wire::Two => "two",
        };
        if client != Client::Headless {
            command.args([url, token, wire, codec]);
        }
        let mut peer = Self::run(client, name, command)?;
        if client == Client::Headless {
            peer.command(&format!("enter-token {url} {token}")).await?;
        }
        Ok(peer)
    }

    /// Starts a client of the call plane, signed in as `user`: `clients/caller.py`, or our own engine.
    pub async fn sign_in(client: Client, server: &str, user: &str, ticket: &str) -> Result<Self> {
        set_up().await?;
        let command = match client {
            Client::Python => {
                let mut command = Command::new(environment().join("python/bin/python"));
                command.arg(here().join("clients/caller.py")).args([server, user, ticket]);
                command
            }
            Client::Headless => {
                let mut command = Command::new(headless().await?);
                command.args(["--server", server, "--user", user, "--ticket", ticket, "--no-meters"]);
                command.args(["--camera", "none"]);
                command
            }
            Client::Browser => bail!("no browser speaks the call plane"),
        };
        Self::run(client, user, command)
    }

    fn run(client: Client, name: &str, mut command: Command) -> Result<Self> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(if std::env::var_os("INTEROP_STDERR").is_some() { Stdio::inherit() } else { Stdio::null() })
            .kill_on_drop(true)
            .spawn()
            .context("a foreign client cannot be started")?;
        let input = child.stdin.take().context("no standard input")?;
        let mut output = BufReader::new(child.stdout.take().context("no standard output")?).lines();
        let (sender, lines) = mpsc::channel(LINE_CAPACITY);
        tokio::spawn(async move {
            while let Ok(Some(line)) = output.next_line().await {
                let Ok(value) = serde_json::from_str(&line) else { continue };
                if sender.send(value).await.is_err() {
                    return;
                }
            }
        });
        Ok(Self { name: name.into(), client, child, input, lines, seen: Vec::new() })
    }

    /// Waits for an event of the call plane, as `clients/caller.py` reports it.
    pub async fn call_event(&mut self, event: &str) -> Result<Value> {
        let line = self.wait_new(event, |line| line["frame"]["event"] == event).await?;
        Ok(line["frame"].clone())
    }

    /// Sends a command line.
    pub async fn command(&mut self, line: &str) -> Result<()> {
        Ok(self.input.write_all(format!("{line}\n").as_bytes()).await?)
    }

    /// Kills the process without a goodbye.
    pub async fn kill(&mut self) -> Result<()> {
        Ok(self.child.kill().await?)
    }

    /// Waits for a report that `fits`, from now on or already seen.
    pub async fn wait(&mut self, what: &str, fits: impl Fn(&Value) -> bool) -> Result<Value> {
        if let Some(found) = self.seen.iter().find(|value| fits(value)) {
            return Ok(found.clone());
        }
        self.wait_new(what, fits).await
    }

    /// Waits for a report that `fits` and has not been read yet.
    pub async fn wait_new(&mut self, what: &str, fits: impl Fn(&Value) -> bool) -> Result<Value> {
        match self.await_new(what, fits).await {
            Ok(found) => Ok(found),
            Err(error) => {
                let numbers = self.counted().await;
                Err(error.context(format!("{} counts {numbers}", self.name)))
            }
        }
    }

    /// What the client has counted, for the message of a test that waited in vain.
    async fn counted(&mut self) -> String {
        if self.client == Client::Headless || self.command("numbers").await.is_err() {
            return "none".into();
        }
        let is_answer = |value: &Value| value["event"] == "numbers";
        if !self.tells_within(Duration::from_secs(5), is_answer).await {
            return "none".into();
        }
        self.seen.iter().rfind(|value| is_answer(value)).map(Value::to_string).unwrap_or_default()
    }

    async fn await_new(&mut self, what: &str, fits: impl Fn(&Value) -> bool) -> Result<Value> {
        let deadline = tokio::time::Instant::now() + DEADLINE;
        loop {
            match tokio::time::timeout_at(deadline, self.lines.recv()).await {
                Ok(Some(value)) => {
                    self.seen.push(value.clone());
                    if fits(&value) {
                        return Ok(value);
                    }
                }
                Ok(None) => bail!("{} ended before: {what}; last {:?}", self.name, self.tail()),
                Err(_) => bail!("{} never told: {what}; last {:?}", self.name, self.tail()),
            }
        }
    }

    /// Whether a report that `fits` comes within `time`.
    pub async fn tells_within(&mut self, time: Duration, fits: impl Fn(&Value) -> bool) -> bool {
        let told = async {
            while let Some(value) = self.lines.recv().await {
                self.seen.push(value.clone());
                if fits(&value) {
                    return true;
                }
            }
            false
        };
        tokio::time::timeout(time, told).await.unwrap_or(false)
    }

    /// Whether a report that `fits` has been read or waits to be read.
    pub fn has_seen(&mut self, fits: impl Fn(&Value) -> bool) -> bool {
        while let Ok(value) = self.lines.try_recv() {
            self.seen.push(value);
        }
        self.seen.iter().any(fits)
    }

    /// The last reports, youngest first: those of what happened, then those of voices and pictures, which would flood them.
    fn tail(&self) -> Vec<String> {
        let is_media = |value: &&Value| value["event"] == "audio" || value["event"] == "video";
        let events = self.seen.iter().rev().filter(|value| !is_media(value)).take(8);
        let media = self.seen.iter().rev().filter(is_media).take(3);
        events.chain(media).map(Value::to_string).collect()
    }

    /// Fails if a report that `fits` has come so far.
    pub fn never(&mut self, what: &str, fits: impl Fn(&Value) -> bool) -> Result<()> {
        if self.has_seen(fits) {
            bail!("{} told: {what}; last {:?}", self.name, self.tail());
        }
        Ok(())
    }

    /// Reads what has come, so that what is waited for next is news.
    fn catch_up(&mut self) {
        let _ = self.has_seen(|_| false);
    }

    /// Waits for `event`.
    pub async fn event(&mut self, event: &str) -> Result<Value> {
        self.wait(event, |value| value["event"] == event).await
    }

    /// Waits for `event` about `by`.
    pub async fn event_by(&mut self, event: &str, by: &str) -> Result<Value> {
        self.wait(&format!("{event} by {by}"), |value| value["event"] == event && value["by"] == by).await
    }

    /// Asks by a command that is answered with the report `answer`, until one `fits`.
    pub async fn ask(
        &mut self,
        command: &str,
        answer: &str,
        what: &str,
        fits: impl Fn(&Value) -> bool,
    ) -> Result<Value> {
        let deadline = tokio::time::Instant::now() + DEADLINE;
        loop {
            self.command(command).await?;
            let is_answer = |value: &Value| value["event"] == answer || value[answer].is_object();
            let value = self.wait_new(answer, is_answer).await?;
            if fits(&value) {
                return Ok(value);
            }
            if tokio::time::Instant::now() > deadline {
                bail!("{} never answered {what}: {value}; last {:?}", self.name, self.tail());
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    /// Asks our own engine for its numbers until they fit.
    async fn numbers(&mut self, what: &str, fits: impl Fn(&Value) -> bool) -> Result<Value> {
        let line = self.ask("stats", "stats", what, |value| fits(&value["stats"])).await?;
        Ok(line["stats"].clone())
    }

    /// Repeats a command that may get lost until a report of `other` `fits`.
    pub async fn repeat(&mut self, command: &str, other: &mut Self, fits: impl Fn(&Value) -> bool) -> Result<()> {
        let deadline = tokio::time::Instant::now() + DEADLINE;
        while !other.has_seen(&fits) {
            if tokio::time::Instant::now() > deadline {
                bail!("{} never told what {}'s `{command}` makes; last {:?}", other.name, self.name, other.tail());
            }
            self.command(command).await?;
            tokio::time::sleep(POLL_INTERVAL).await;
        }
        Ok(())
    }

    /// Waits until a voice of `by` is really heard: loud, and where `hz` is given, at that pitch.
    pub async fn hears(&mut self, by: &str, hz: Option<f64>) -> Result<Value> {
        if self.client == Client::Headless {
            let fits = |stats: &Value| {
                let remote = &stats["remotes"][by];
                remote["audioLevel"].as_u64() > Some(5) && remote["audioPackets"].as_u64() > Some(25)
            };
            return self.numbers(&format!("the voice of {by}"), fits).await;
        }
        self.wait(&format!("the voice of {by}"), |value| {
            let pitch = value["hz"].as_f64().unwrap_or_default();
            value["event"] == "audio"
                && value["by"] == by
                && value["rms"].as_f64().unwrap_or_default() > 500.0
                && hz.is_none_or(|hz| (pitch - hz).abs() < 20.0)
        })
        .await
    }

    /// Waits until nothing of the voice of `by` is heard any more: silence is reported, or nothing is for a while.
    pub async fn hears_silence(&mut self, by: &str) -> Result<()> {
        let is_silent = |value: &Value| value["rms"].as_f64().is_some_and(|rms| rms < 50.0);
        self.loses("audio", by, is_silent).await
    }

    /// Waits until no picture of `by` comes any more.
    pub async fn sees_nothing(&mut self, by: &str) -> Result<()> {
        self.loses("video", by, |_| false).await
    }

    /// Waits for a report of `event` that `is_end`, or for a while without any.
    async fn loses(&mut self, event: &str, by: &str, is_end: impl Fn(&Value) -> bool) -> Result<()> {
        self.catch_up();
        let deadline = tokio::time::Instant::now() + DEADLINE;
        let mut quiet_since = tokio::time::Instant::now();
        while tokio::time::Instant::now() < deadline {
            match tokio::time::timeout_at(quiet_since + REPORT_GAP, self.lines.recv()).await {
                Ok(Some(value)) => {
                    let is_report = value["event"] == event && value["by"] == by;
                    let is_over = is_report && is_end(&value);
                    self.seen.push(value);
                    if is_over {
                        return Ok(());
                    }
                    if is_report {
                        quiet_since = tokio::time::Instant::now();
                    }
                }
                Ok(None) => bail!("{} ended before {event} of {by} did; last {:?}", self.name, self.tail()),
                Err(_) => return Ok(()),
            }
        }
        bail!("{} still receives {event} of {by}; last {:?}", self.name, self.tail())
    }

    /// Waits until a voice of `by` is heard from now on.
    pub async fn hears_again(&mut self, by: &str) -> Result<Value> {
        self.catch_up();
        self.wait_new(&format!("the voice of {by} again"), |value| {
            value["event"] == "audio" && value["by"] == by && value["rms"].as_f64().unwrap_or_default() > 500.0
        })
        .await
    }

    /// Waits until a picture of `by` moves from now on.
    pub async fn sees_again(&mut self, by: &str) -> Result<Value> {
        self.catch_up();
        // Counts go on over a resume and start anew with another subscription.
        let (first, decoded) = (Cell::new(None), Cell::new(None));
        self.wait_new(&format!("the picture of {by} again"), |value| {
            let number = |name: &str| value[name].as_u64().unwrap_or_default();
            if is_decoded(value, by) {
                let frames = number("frames");
                let before = decoded.get().filter(|before| frames >= *before);
                before.is_none().then(|| decoded.set(Some(frames)));
                return before.is_some_and(|before| frames >= before + 5);
            }
            if value["event"] != "video" || value["by"] != by {
                return false;
            }
            let (frames, changed) =
                first.get().filter(|(frames, _)| number("frames") >= *frames).unwrap_or_else(|| {
                    let now = (number("frames"), number("changed"));
                    first.set(Some(now));
                    now
                });
            number("frames") > frames && number("changed") >= changed + 5
        })
        .await
    }

    /// Waits until pictures of `by` are really seen: of a size, with content, and moving.
    pub async fn sees(&mut self, by: &str) -> Result<Value> {
        if self.client == Client::Headless {
            let fits = |stats: &Value| {
                stats["remotes"][by]["videoFrames"].as_u64() > Some(10)
                    && stats["decodedFrames"].as_u64() > Some(10)
                    && stats["pictureSize"][0].as_u64() >= Some(160)
            };
            return self.numbers(&format!("the picture of {by}"), fits).await;
        }
        self.wait(&format!("the picture of {by}"), |value| {
            let number = |name: &str| value[name].as_u64().unwrap_or_default();
            let is_seen = value["event"] == "video" && value["by"] == by;
            (is_decoded(value, by) && number("frames") >= 15)
                || is_seen
                    && number("width") >= 160
                    && number("height") >= 90
                    && number("spread") > 40
                    && number("changed") >= 8
        })
        .await
    }
}

/// Python's client may count decoded pictures where it hands none out (`clients/peer.py`): it has received them all the same.
fn is_decoded(value: &Value, by: &str) -> bool {
    value["event"] == "decoded" && value["by"] == by && value["width"].as_u64() >= Some(160)
}
