//! The program as scripts see it: what it prints, what it refuses, how it stops.
#![allow(clippy::unwrap_used, reason = "a test that is surprised fails")]

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use tokio_tungstenite::tungstenite::Message;

fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ahoy-server"));
    for key in [
        "LISTEN",
        "MEDIA",
        "DATA_DIR",
        "API_KEY",
        "SDK_APP_ID",
        "TICKET_KEY",
        "PUBLIC_URL",
        "CONFIG",
        "ROOMS",
        "LIVEKIT_URL",
    ] {
        command.env_remove(format!("AHOY_{key}"));
    }
    command
}

/// A serving process, ended with the test.
struct Serving {
    child: Child,
    ready: Value,
    out: BufReader<ChildStdout>,
}

impl Serving {
    fn start(data: &Path) -> Self {
        let mut child = program()
            .args(["serve", "--listen", "127.0.0.1:0", "--media", "127.0.0.1:0", "--data-dir"])
            .arg(data)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let mut serving = Self { child, ready: Value::Null, out };
        while serving.ready.is_null() {
            let mut line = String::new();
            assert!(serving.out.read_line(&mut line).unwrap() > 0, "it ended before it was ready");
            if let Some(json) = line.strip_prefix("ready ") {
                serving.ready = serde_json::from_str(json).unwrap();
            }
        }
        serving
    }

    fn interrupt(mut self, signal: &str) -> (std::process::ExitStatus, String) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
        let mut rest = String::new();
        std::io::Read::read_to_string(&mut self.out, &mut rest).unwrap();
        (self.child.wait().unwrap(), rest)
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // Already over where the test went well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn ticket(data: &Path, user: &str) -> Output {
    program().args(["ticket", user, "--expire", "60", "--data-dir"]).arg(data).output().unwrap()
}

async fn first_answer(http: &str, user: &str, ticket: &str) -> Value {
    let (mut socket, _) = tokio_tungstenite::connect_async(format!("ws://{http}/call/v1")).await.unwrap();
    let hello =
        json!({"type": "hello", "versions": [1], "userId": user, "userSig": ticket, "deviceId": "d"}).to_string();
    socket.send(Message::text(hello)).await.unwrap();
    loop {
        let Message::Text(text) = socket.next().await.unwrap().unwrap() else { continue };
        let message: Value = serde_json::from_str(&text).unwrap();
        // The heartbeat may come first.
        if message["type"] != "ping" {
            return message;
        }
    }
}

#[cfg(unix)]
#[tokio::test]
async fn it_serves_signs_in_by_its_own_ticket_and_stops_when_asked() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let minted = ticket(&data, "alice");
    assert!(minted.status.success());
    let minted = String::from_utf8(minted.stdout).unwrap();
    for signal in ["-TERM", "-INT"] {
        let serving = Serving::start(&data);
        let http = serving.ready["http"].as_str().unwrap().to_owned();
        assert!(!http.ends_with(":0"), "{http}");
        assert_eq!(serving.ready["url"], format!("http://{http}"));
        // The ticket was minted before the first start: the secrets are kept.
        assert_eq!(first_answer(&http, "alice", minted.trim()).await["type"], "welcome");
        assert_eq!(first_answer(&http, "bob", minted.trim()).await["code"], -70013);
        let (status, rest) = serving.interrupt(signal);
        assert!(status.success(), "{signal}: {status}");
        assert!(!rest.contains("ready"), "{rest}");
    }
}

#[test]
fn wrong_settings_are_refused_with_their_name_and_place() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("server.toml");
    let refused = |command: &mut Command| {
        let output = command.output().unwrap();
        assert!(!output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    std::fs::write(&file, "listen = \"127.0.0.1:0\"\nlisten-adress = \"x\"\n").unwrap();
    let told = refused(program().args(["serve", "--config"]).arg(&file));
    assert!(told.contains("line 2") && told.contains("listen-adress"), "{told}");
    std::fs::write(&file, "sdk-app-id = \"many\"\n").unwrap();
    let told = refused(program().arg("serve").env("AHOY_CONFIG", &file));
    assert!(told.contains("line 1") && told.contains("sdk-app-id"), "{told}");
    let told = refused(program().args(["serve", "--media", "here"]));
    assert!(told.contains("--media"), "{told}");
    let told = refused(program().arg("serve").env("AHOY_API_KEY", "devkey"));
    assert!(told.contains("AHOY_API_KEY") && !told.contains("devkey"), "{told}");
    assert!(refused(program().args(["serve", "--colour", "red"])).contains("--colour"));
    assert!(refused(program().args(["ticket", "not a user"])).contains("user id"));
}

#[test]
fn a_port_that_is_taken_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap().to_string();
    let output = program().args(["serve", "--listen", &addr, "--data-dir"]).arg(dir.path()).output().unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && told.contains(&addr), "{told}");
}
