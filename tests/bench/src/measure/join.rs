//! A foreign client (LiveKit's own Python SDK) joins a room in which somebody already publishes: how long until it hears
//! and sees. The same publisher and the same client also against LiveKit's server, where Go can build it.

use super::STEP_TIMEOUT;
use crate::client::Client;
use crate::process::{Process, program, wait_until};
use crate::server::Server;
use crate::table::Table;
use anyhow::{Context, Result, ensure};
use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

const KEY: &str = "bench";
const SECRET: &str = "a-secret-of-the-bench-with-32-characters";
/// The version against which is compared.
const LIVEKIT: &str = "github.com/livekit/livekit-server/cmd/server@v1.11.0";
/// The room's encoder and pacing have settled by then.
const SETTLE: Duration = Duration::from_secs(2);

/// Prints the table; `tools` is where the foreign clients and LiveKit's server are installed.
pub fn run(joins: usize, tools: &Path) -> Result<()> {
    let columns = ["", "median", "p95", "worst", "samples", "goal"];
    let mut table =
        Table::new(&format!("LiveKit's Python client joins a live publisher, {joins} times (ms)"), &columns);
    let data = tempfile::tempdir()?;
    let ours = Server::start(data.path(), &["--api-key", &format!("{KEY}:{SECRET}")])?;
    measure(&mut table, "Ahoy", &ours.url()?.replacen("http", "ws", 1), "200", joins, tools)?;
    match livekit(data.path(), tools) {
        Ok((_process, url)) => measure(&mut table, "LiveKit 1.11.0", &url, "", joins, tools)?,
        Err(error) => println!("LiveKit's server is not compared with: {error:#}"),
    }
    print!("{}", table.text());
    Ok(())
}

fn measure(table: &mut Table, name: &str, url: &str, goal: &str, joins: usize, tools: &Path) -> Result<()> {
    let mut publisher = Client::start(
        "publisher",
        Command::new(program("ahoy-headless")?).args(["--no-meters"]).stderr(Stdio::null()),
    )?;
    publisher.say(&format!("enter-token {url} {}", token("publisher")?))?;
    publisher.wait_for(0, STEP_TIMEOUT, "entering", |json| json["command"] == "enter-token" && json["ok"] == true)?;
    std::thread::sleep(SETTLE);
    let (mut connected, mut heard, mut saw) = (Vec::new(), Vec::new(), Vec::new());
    for number in 0..joins {
        let mut command = Command::new(tools.join("python/bin/python"));
        command.arg(script()).args([url, &token(&format!("guest-{number}"))?, "one", "none"]).stderr(Stdio::null());
        let mut guest = Client::start("guest", &mut command)?;
        let mut at = |name: &str| -> Result<f64> {
            let at = guest.wait_for(0, STEP_TIMEOUT, name, |json| json["event"] == name)?;
            guest.history[at].json["ms"].as_f64().context("a time in milliseconds")
        };
        let start = at("connecting")?;
        connected.push(at("connected")? - start);
        heard.push(at("first_audio")? - start);
        saw.push(at("first_picture")? - start);
        guest.say("leave")?;
        guest.wait(STEP_TIMEOUT);
    }
    table.times(&format!("{name}: connected"), &connected, "");
    table.times(&format!("{name}: first voice"), &heard, "");
    table.times(&format!("{name}: first picture"), &saw, goal);
    publisher.say("quit")?;
    publisher.wait(STEP_TIMEOUT);
    Ok(())
}

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../interop/clients/peer.py")
}

fn token(identity: &str) -> Result<String> {
    let grants = livekit_token::VideoGrants {
        room_join: true,
        room: "bench".to_owned(),
        can_publish: Some(true),
        can_subscribe: Some(true),
        ..Default::default()
    };
    Ok(livekit_token::AccessToken::with_api_key(KEY, SECRET).with_identity(identity).with_grants(grants).to_jwt()?)
}

/// Builds LiveKit's server once, and starts it on loopback.
fn livekit(data: &Path, tools: &Path) -> Result<(Process, String)> {
    let binary = tools.join("livekit/server");
    if !binary.exists() {
        println!("building LiveKit's server (once, some minutes)");
        let built = Command::new("go").env("GOBIN", tools.join("livekit")).args(["install", LIVEKIT]).output();
        let built = built.context("Go is not installed")?;
        ensure!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    }
    // It cannot choose free ports itself.
    let tcp = || -> Result<u16> { Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port()) };
    let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
    let (port, fallback) = (tcp()?, tcp()?);
    let config = data.join("livekit.yaml");
    std::fs::write(
        &config,
        format!(
            "port: {port}\nbind_addresses: [\"127.0.0.1\"]\nrtc: {{udp_port: {udp}, tcp_port: {fallback}, node_ip: 127.0.0.1, \
             use_external_ip: false, enable_loopback_candidate: true, ips: {{includes: [\"127.0.0.1/32\"]}}}}\n\
             keys: {{{KEY}: {SECRET}}}\nlogging: {{level: error}}\n"
        ),
    )?;
    let mut command = Command::new(binary);
    command.arg("--config").arg(&config).stdout(Stdio::null()).stderr(Stdio::null());
    let process = Process::start("LiveKit's server", &mut command)?;
    ensure!(wait_until(STEP_TIMEOUT, || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()), "it did not start");
    Ok((process, format!("ws://127.0.0.1:{port}")))
}
