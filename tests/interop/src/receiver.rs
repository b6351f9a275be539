//! A receiver of webhooks out of one of LiveKit's server SDKs: a process that reports each request by a line.

use crate::admin::Sdk;
use crate::peer::{DEADLINE, environment, here, set_up};
use anyhow::{Context as _, Result};
use serde_json::Value;
use std::process::Stdio;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

/// A running receiver.
pub struct Receiver {
    _child: Child,
    output: Lines<BufReader<ChildStdout>>,
    port: u64,
}

impl Receiver {
    /// Starts one that knows this key.
    pub async fn start(sdk: Sdk, key: &str, secret: &str) -> Result<Self> {
        set_up().await?;
        let mut command = match sdk {
            Sdk::Python => {
                let mut command = Command::new(environment().join("python/bin/python"));
                command.arg(here().join("clients/receiver.py"));
                command
            }
            Sdk::Node => {
                let mut command = Command::new("node");
                command.arg(here().join("clients/receiver.mjs"));
                command
            }
        };
        command.args([key, secret]).stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().context("a receiver cannot be started")?;
        let output = BufReader::new(child.stdout.take().context("no standard output")?).lines();
        let mut receiver = Self { _child: child, output, port: 0 };
        receiver.port = receiver.next().await?["port"].as_u64().context("no port")?;
        Ok(receiver)
    }

    /// Where it is told.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/webhooks", self.port)
    }

    /// What it was told next, as the SDK reads it.
    pub async fn next(&mut self) -> Result<Value> {
        let line = tokio::time::timeout(DEADLINE, self.output.next_line()).await;
        let line = line.context("nothing came")??.context("the receiver ended")?;
        Ok(serde_json::from_str(&line)?)
    }
}
