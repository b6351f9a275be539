//! `ahoy-headless` as a process, to be killed.

use crate::{House, PATIENCE, steps::user};
use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::OnceCell;

/// A running client that talks by lines.
pub struct Headless {
    child: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
    user: String,
    /// Everything that it has said, in order.
    pub seen: Vec<Value>,
    /// Those before were waited for.
    waited: usize,
}

/// The program: from `AHOY_HEADLESS`, else built now, beside this test.
async fn program() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("AHOY_HEADLESS") {
        return Ok(path.into());
    }
    static BUILT: OnceCell<PathBuf> = OnceCell::const_new();
    let build = || async {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = Command::new(cargo);
        // Of the whole workspace: chosen alone, the package would be built with other features, and all below it anew.
        command.args(["build", "--quiet", "--workspace", "--bin", "ahoy-headless"]);
        let status = command.current_dir(env!("CARGO_MANIFEST_DIR")).status().await?;
        ensure!(status.success(), "ahoy-headless does not build");
        // This test is target/PROFILE/deps/NAME.
        let test = std::env::current_exe()?;
        let profile = test.parent().and_then(Path::parent).context("a test outside of a target directory")?;
        Ok(profile.join("ahoy-headless"))
    };
    BUILT.get_or_try_init(build).await.cloned()
}

impl Headless {
    /// Starts it and signs `name` in, without a camera; `device` is the name of the installation.
    pub async fn start(house: &House, name: &str, device: &str) -> Result<Self> {
        let mut command = Command::new(program().await?);
        command.args(["--server", house.url().as_str(), "--user", name, "--device", device]);
        command.args(["--no-meters", "--camera", "none"]).env("AHOY_TICKET", house.ticket(&user(name)));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().context("starting ahoy-headless")?;
        let input = child.stdin.take().context("its input is a pipe")?;
        let output = BufReader::new(child.stdout.take().context("its output is a pipe")?).lines();
        let mut this = Self { child, input, output, user: name.to_owned(), seen: Vec::new(), waited: 0 };
        this.wait("a sign-in", |line| line["signedIn"] == true).await?;
        this.waited = 0;
        Ok(this)
    }

    /// Says one command.
    pub async fn say(&mut self, command: &str) -> Result<()> {
        Ok(self.input.write_all(format!("{command}\n").as_bytes()).await?)
    }

    /// Says one command and waits until it is done. What it brings about may be told before that, and is still to come
    /// for whoever waits for it.
    pub async fn done(&mut self, command: &str) -> Result<Value> {
        let begin = self.seen.len();
        self.say(command).await?;
        let verb = command.split(' ').next().unwrap_or_default();
        let at = self.find(begin, command, |line| line["command"] == verb && line["ok"] == true).await?;
        Ok(self.seen[at].clone())
    }

    /// Waits for a line that was not waited for before.
    pub async fn wait(&mut self, what: &str, wanted: impl Fn(&Value) -> bool) -> Result<Value> {
        let at = self.find(self.waited, what, wanted).await?;
        self.waited = at + 1;
        Ok(self.seen[at].clone())
    }

    /// Waits for a line, also for one that came before what was waited for.
    pub async fn has(&mut self, what: &str, wanted: impl Fn(&Value) -> bool) -> Result<()> {
        self.find(0, what, wanted).await.map(drop)
    }

    async fn find(&mut self, begin: usize, what: &str, wanted: impl Fn(&Value) -> bool) -> Result<usize> {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            if let Some(at) = self.seen.iter().skip(begin).position(&wanted) {
                return Ok(begin + at);
            }
            match tokio::time::timeout_at(deadline, self.output.next_line()).await {
                Ok(Ok(Some(line))) => self.seen.push(serde_json::from_str(&line)?),
                Ok(end) => bail!("{}: it ended ({end:?}) before {what}", self.user),
                Err(_) => bail!("{}: no {what}; so far {:?}", self.user, self.seen),
            }
        }
    }

    /// Waits for an event by its documented name.
    pub async fn event(&mut self, name: &str) -> Result<Value> {
        self.wait(name, |line| line["event"] == name).await
    }

    /// Kills it hard, as a crash does, and waits until it is gone.
    pub async fn kill(mut self) -> Result<()> {
        Ok(self.child.kill().await?)
    }
}
