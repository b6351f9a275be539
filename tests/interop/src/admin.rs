//! An administrator out of one of LiveKit's server SDKs: a process that takes a request a line and answers each by a line.

use crate::peer::{DEADLINE, environment, here, set_up};
use anyhow::{Context as _, Result, bail};
use serde_json::Value;
use std::process::Stdio;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

/// Which SDK.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sdk {
    /// PyPI `livekit-api`: protobuf bodies.
    Python,
    /// npm `livekit-server-sdk`: JSON bodies.
    Node,
}

/// A running administrator.
pub struct Admin {
    _child: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
}

impl Admin {
    /// Starts one that signs its tokens with this key.
    pub async fn start(sdk: Sdk, url: &str, key: &str, secret: &str) -> Result<Self> {
        set_up().await?;
        let mut command = match sdk {
            Sdk::Python => {
                let mut command = Command::new(environment().join("python/bin/python"));
                command.arg(here().join("clients/admin.py"));
                command
            }
            Sdk::Node => {
                let mut command = Command::new("node");
                command.arg(here().join("clients/admin.mjs"));
                command
            }
        };
        command.args([url, key, secret]).stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().context("an administrator cannot be started")?;
        let input = child.stdin.take().context("no standard input")?;
        let output = BufReader::new(child.stdout.take().context("no standard output")?).lines();
        Ok(Self { _child: child, input, output })
    }

    async fn ask(&mut self, method: &str, body: &Value) -> Result<Value> {
        self.input.write_all(format!("{method} {body}\n").as_bytes()).await?;
        let line = tokio::time::timeout(DEADLINE, self.output.next_line()).await;
        let line = line.context("no answer")??.context("the administrator ended")?;
        Ok(serde_json::from_str(&line)?)
    }

    /// Asks, and it is done.
    pub async fn done(&mut self, method: &str, body: Value) -> Result<Value> {
        let mut report = self.ask(method, &body).await?;
        match report.get_mut("answer") {
            Some(answer) => Ok(answer.take()),
            None => bail!("{method} {body}: {report}"),
        }
    }

    /// Asks, and it is refused: Twirp's code.
    pub async fn refused(&mut self, method: &str, body: Value) -> Result<String> {
        let report = self.ask(method, &body).await?;
        match report["error"]["code"].as_str() {
            Some(code) => Ok(code.to_owned()),
            None => bail!("{method} {body} is not refused: {report}"),
        }
    }
}
