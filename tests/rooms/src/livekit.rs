//! LiveKit's own server as a process on loopback.

use anyhow::{Result, bail};
use server::tokens::ApiKey;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tempfile::TempDir;
use tests_calls::{House, PATIENCE};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep};

/// Between two looks whether it serves.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);

/// Free ports are looked for and then let go for the server to take: somebody else may be faster.
const ATTEMPTS: usize = 5;

/// A running server; killed when dropped.
pub struct LiveKit {
    process: Child,
    address: SocketAddr,
    dir: TempDir,
}

impl LiveKit {
    /// Starts it on free ports. Its webhooks go to that address, where there is one.
    pub async fn start(webhooks: Option<&str>) -> Result<Self> {
        let program = program()?;
        let dir = tempfile::tempdir()?;
        for _ in 0..ATTEMPTS {
            let ports = free_ports().await?;
            std::fs::write(dir.path().join("livekit.yaml"), configuration(ports, webhooks))?;
            let address = SocketAddr::from(([127, 0, 0, 1], ports[0]));
            let mut process = spawn(&program, dir.path())?;
            if serves(&mut process, address).await? {
                return Ok(Self { process, address, dir });
            }
        }
        bail!("LiveKit's server does not start: {}", log(dir.path()))
    }

    /// Where it serves.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Kills it and starts it again under the same addresses: nobody is told of anything.
    pub async fn restart(&mut self) -> Result<()> {
        self.process.kill().await?;
        self.process = spawn(&program()?, self.dir.path())?;
        if !serves(&mut self.process, self.address).await? {
            bail!("LiveKit's server does not start again: {}", log(self.dir.path()));
        }
        Ok(())
    }

    /// What it wrote.
    #[must_use]
    pub fn log(&self) -> String {
        log(self.dir.path())
    }
}

impl Drop for LiveKit {
    fn drop(&mut self) {
        // It ends with this; where it has ended before, that is why the test fails.
        if let Ok(Some(status)) = self.process.try_wait() {
            eprintln!("LiveKit's server has ended ({status}):\n{}", self.log());
        }
    }
}

/// Where `./dev test` has put it, unless `AHOY_LIVEKIT_SERVER` names another.
fn program() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("AHOY_LIVEKIT_SERVER") {
        return Ok(path.into());
    }
    let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    let target = target.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target"));
    let path = target.join("dev/tools/bin/livekit-server");
    if !path.exists() {
        bail!(
            "LiveKit's server is missing: ./dev test builds it into {}, or name one in AHOY_LIVEKIT_SERVER",
            path.display()
        );
    }
    Ok(path)
}

async fn free_ports() -> Result<[u16; 3]> {
    let http = TcpListener::bind("127.0.0.1:0").await?;
    let tcp = TcpListener::bind("127.0.0.1:0").await?;
    let udp = UdpSocket::bind("127.0.0.1:0").await?;
    Ok([http.local_addr()?.port(), tcp.local_addr()?.port(), udp.local_addr()?.port()])
}

fn configuration([http, tcp, udp]: [u16; 3], webhooks: Option<&str>) -> String {
    let ApiKey { key, secret } = House::api_key();
    let webhooks =
        webhooks.map_or_else(String::new, |url| format!("webhook:\n  api_key: {key}\n  urls: [\"{url}\"]\n"));
    format!(
        "port: {http}\nbind_addresses: [\"127.0.0.1\"]\n\
         rtc:\n  tcp_port: {tcp}\n  udp_port: {udp}\n  node_ip: 127.0.0.1\n  use_external_ip: false\n  \
         enable_loopback_candidate: true\n  ips:\n    includes: [\"127.0.0.1/32\"]\n\
         keys:\n  {key}: {secret}\nlogging:\n  level: info\n{webhooks}"
    )
}

fn spawn(program: &Path, dir: &Path) -> Result<Child> {
    let log = std::fs::OpenOptions::new().create(true).append(true).open(dir.join("livekit.log"))?;
    let mut command = Command::new(program);
    command.arg("--config").arg(dir.join("livekit.yaml")).stdin(Stdio::null());
    Ok(command.stdout(log.try_clone()?).stderr(log).kill_on_drop(true).spawn()?)
}

/// Waits until it serves; false where it has ended.
async fn serves(process: &mut Child, address: SocketAddr) -> Result<bool> {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        if process.try_wait()?.is_some() {
            return Ok(false);
        }
        if TcpStream::connect(address).await.is_ok() {
            return Ok(true);
        }
        sleep(LOOK_INTERVAL).await;
    }
    bail!("LiveKit's server does not serve at {address}")
}

/// Of a long log its end.
fn log(dir: &Path) -> String {
    let text = std::fs::read_to_string(dir.join("livekit.log")).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(200)..].join("\n")
}
