//! `ahoy-server serve` as a process.

use crate::process::{Process, program};
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// How long a server may take to say `ready`.
const READY_TIMEOUT: Duration = Duration::from_secs(20);

/// A running server on loopback, with ports of its own choice.
pub struct Server {
    process: Process,
    data: PathBuf,
    ready: Value,
}

impl Server {
    /// Starts it over this data folder, with its log there too. `more` are further flags of `serve`.
    pub fn start(data: &Path, more: &[&str]) -> Result<Self> {
        let mut command = Command::new(program("ahoy-server")?);
        command.args(["serve", "--listen", "127.0.0.1:0", "--media", "127.0.0.1:0", "--data-dir"]).arg(data).args(more);
        let log = std::fs::File::create(data.join("server.log"))?;
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log);
        let mut process = Process::start("ahoy-server", &mut command)?;
        let output = process.child().stdout.take().context("the server's output is a pipe")?;
        let (tell, told) = std::sync::mpsc::sync_channel(1);
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if let Some(json) = line.strip_prefix("ready ") {
                    // Only the first is waited for.
                    let _ = tell.try_send(json.to_owned());
                }
            }
        });
        let Ok(line) = told.recv_timeout(READY_TIMEOUT) else { bail!("the server did not say that it is ready") };
        let ready = serde_json::from_str(&line).context("the server's ready line is JSON")?;
        Ok(Self { process, data: data.to_owned(), ready })
    }

    /// `http://host:port`.
    pub fn url(&self) -> Result<String> {
        let address = self.ready["http"].as_str().context("the ready line names http")?;
        Ok(if address.contains("://") { address.to_owned() } else { format!("http://{address}") })
    }

    /// A ticket for this user.
    pub fn ticket(&self, user: &str) -> Result<String> {
        let output = Command::new(program("ahoy-server")?)
            .args(["ticket", user, "--data-dir"])
            .arg(&self.data)
            .stderr(Stdio::inherit())
            .output()
            .context("minting a ticket")?;
        anyhow::ensure!(output.status.success(), "ahoy-server ticket {user} failed");
        Ok(String::from_utf8(output.stdout)?.trim().to_owned())
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
}
