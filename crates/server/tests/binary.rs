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
    for key in server::config::keys::KEYS {
        command.env_remove(key.variable());
    }
    command.env_remove("AHOY_CONFIG");
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
        Self::start_with(data, &[])
    }

    fn start_with(data: &Path, more: &[&str]) -> Self {
        Self::run(program(), data, more)
    }

    fn run(mut program: Command, data: &Path, more: &[&str]) -> Self {
        let mut child = program
            .args(["serve", "--listen", "127.0.0.1:0", "--media", "127.0.0.1:0", "--data-dir"])
            .arg(data)
            .args(more)
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

    fn http(&self) -> String {
        self.ready["http"].as_str().unwrap().to_owned()
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

/// The answer to a hello, and to a request after it.
async fn answers(http: &str, user: &str, ticket: &str, request: Option<Value>) -> Vec<Value> {
    let (mut socket, _) = tokio_tungstenite::connect_async(format!("ws://{http}/call/v1")).await.unwrap();
    let hello = json!({"type": "hello", "versions": [1], "userId": user, "userSig": ticket, "deviceId": "d"});
    let mut answers = Vec::new();
    for message in std::iter::once(hello).chain(request) {
        socket.send(Message::text(message.to_string())).await.unwrap();
        answers.push(loop {
            if let Message::Text(text) = socket.next().await.unwrap().unwrap() {
                let answer: Value = serde_json::from_str(&text).unwrap();
                // The heartbeat may come first.
                if answer["type"] != "ping" {
                    break answer;
                }
            }
        });
    }
    answers
}

async fn first_answer(http: &str, user: &str, ticket: &str) -> Value {
    answers(http, user, ticket, None).await.remove(0)
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
    let own = format!("ahoy:{}", "x".repeat(32));
    let data = tempfile::tempdir().unwrap();
    let told = refused(program().args(["serve", "--api-key", &own, "--data-dir"]).arg(data.path()));
    assert!(told.contains("api-key: ahoy"), "{told}");
    assert!(refused(program().args(["serve", "--colour", "red"])).contains("--colour"));
    assert!(refused(program().args(["ticket", "not a user"])).contains("user id"));
}

/// What is said to a token at the rooms' door.
async fn at_the_door(http: &str, token: &str) -> (u16, String) {
    let answer = reqwest::get(format!("http://{http}/rtc/validate?access_token={token}")).await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

#[cfg(unix)]
#[tokio::test]
async fn the_token_of_somebody_removed_stays_void_when_the_server_is_killed_and_starts_again() {
    use livekit_token::{AccessToken, VideoGrants};
    const SECRET: &str = "a-secret-of-this-test-long-enough";
    let dir = tempfile::tempdir().unwrap();
    let options = ["--api-key", &format!("boss:{SECRET}")];
    let signed = |grants| AccessToken::with_api_key("boss", SECRET).with_identity("alice").with_grants(grants).to_jwt();
    let room = || VideoGrants { room: "n:7".to_owned(), ..VideoGrants::default() };
    let shown = signed(VideoGrants { room_join: true, ..room() }).unwrap();
    let admin = signed(VideoGrants { room_admin: true, ..room() }).unwrap();

    let serving = Serving::start_with(dir.path(), &options);
    let http = serving.http();
    assert_eq!(at_the_door(&http, &shown).await.0, 200);
    let (mut socket, _) =
        tokio_tungstenite::connect_async(format!("ws://{http}/rtc?access_token={shown}")).await.unwrap();
    assert!(matches!(socket.next().await.unwrap().unwrap(), Message::Binary(_)), "she is in");
    let remove = reqwest::Client::new()
        .post(format!("http://{http}/twirp/livekit.RoomService/RemoveParticipant"))
        .bearer_auth(&admin)
        .json(&json!({"room": "n:7", "identity": "alice"}));
    assert!(remove.send().await.unwrap().status().is_success());
    let (status, why) = at_the_door(&http, &shown).await;
    assert!(status == 401 && why.contains("void"), "{status} {why}");
    serving.interrupt("-KILL");

    let serving = Serving::start_with(dir.path(), &options);
    let (status, why) = at_the_door(&serving.http(), &shown).await;
    assert!(status == 401 && why.contains("void"), "{status} {why}");
    // Removal is no ban: a token that was signed later opens the same room.
    let later = signed(VideoGrants { room_join: true, can_publish: Some(true), ..room() }).unwrap();
    assert_eq!(at_the_door(&serving.http(), &later).await.0, 200);
}

#[test]
fn a_key_for_a_room_is_minted_and_wrong_wishes_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let mint =
        |args: &[&str]| program().args(["map-key", "alice"]).args(args).arg("--data-dir").arg(dir.path()).output();
    let secret = String::from_utf8(ticket(dir.path(), "alice").stdout).unwrap();
    for args in [&["--room", "7"][..], &["--str-room", "lobby", "--privileges", "42", "--expire", "60"]] {
        let minted = mint(args).unwrap();
        assert!(minted.status.success(), "{}", String::from_utf8_lossy(&minted.stderr));
        let minted = String::from_utf8(minted.stdout).unwrap();
        assert!(minted.trim().len() > 100 && minted != secret);
    }
    let wrong: [&[&str]; 5] = [
        &[],
        &["--room", "0"],
        &["--str-room", "caf\u{e9}"],
        &["--room", "7", "--str-room", "7"],
        &["--room", "7", "--privileges", "256"],
    ];
    for args in wrong {
        let refused = mint(args).unwrap();
        assert!(!refused.status.success() && refused.stdout.is_empty(), "{args:?}");
    }
}

#[tokio::test]
async fn where_keys_are_required_a_minted_one_opens_its_room() {
    let dir = tempfile::tempdir().unwrap();
    let serving = Serving::start_with(dir.path(), &["--require-map-key"]);
    let minted = program().args(["map-key", "alice", "--str-room", "lobby", "--data-dir"]).arg(dir.path()).output();
    let key = String::from_utf8(minted.unwrap().stdout).unwrap();
    let ticket = String::from_utf8(ticket(dir.path(), "alice").stdout).unwrap();
    for (key, answer) in [(Some(key.trim()), json!("reply")), (None, json!("error"))] {
        let params = json!({"roomId": {"strRoomId": "lobby"}, "privateMapKey": key});
        let request = json!({"type": "request", "id": 1, "method": "enterRoom", "params": params});
        let answered = answers(&serving.http(), "alice", ticket.trim(), Some(request)).await;
        assert_eq!(answered[1]["type"], answer, "{answered:?}");
    }
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

fn told(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[test]
fn keys_of_administrators_are_made_listed_and_revoked_and_it_is_written_down() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let key = |words: &[&str]| program().arg("admin-key").args(words).arg("--data-dir").arg(&data).output().unwrap();
    let audit =
        |words: &[&str]| told(&program().arg("audit").args(words).arg("--data-dir").arg(&data).output().unwrap());
    assert_eq!(audit(&[]), "");
    let made = told(&key(&["create", "support"]));
    let (id, secret) = made.trim().split_once(':').unwrap();
    assert_eq!((id, secret.len()), ("support", 64));
    assert!(!key(&["create", "support"]).status.success());
    assert!(!key(&["create", "two words"]).status.success());
    told(&key(&["create", "night-shift"]));
    told(&key(&["revoke", "night-shift"]));
    assert!(!key(&["revoke", "night-shift"]).status.success());
    let listed = told(&key(&["list"]));
    assert!(listed.starts_with("support  made 2") && listed.lines().count() == 1, "{listed}");
    let lines = audit(&[]);
    let acts: Vec<_> = lines
        .lines()
        .map(|line| line.split(' ').nth(3).unwrap().to_owned() + line.split(' ').nth(4).unwrap())
        .collect();
    assert_eq!(acts, ["CreateAdminKeysupport:", "CreateAdminKeynight-shift:", "RevokeAdminKeynight-shift:"]);
    let last: Value = serde_json::from_str(&audit(&["--last", "1", "--json"])).unwrap();
    assert_eq!(
        (&last["act"], &last["api"], &last["result"]),
        (&json!("RevokeAdminKey"), &json!("local"), &json!("ok"))
    );
    for text in [listed, lines, audit(&["--json"])] {
        assert!(!text.contains(secret), "{text}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn as_many_files_are_open_as_the_machine_allows() {
    let data = tempfile::tempdir().unwrap();
    let mut shell = Command::new("sh");
    shell.args(["-c", r#"ulimit -Sn 64 && exec "$0" "$@""#, env!("CARGO_BIN_EXE_ahoy-server")]);
    let serving = Serving::run(shell, data.path(), &[]);
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", serving.child.id())).unwrap();
    let files = limits.lines().find_map(|line| line.strip_prefix("Max open files")).unwrap();
    let [soft, hard] = files.split_whitespace().take(2).collect::<Vec<_>>()[..] else { panic!("{files}") };
    assert_eq!(soft, hard);
    assert_ne!(soft, "64");
}
