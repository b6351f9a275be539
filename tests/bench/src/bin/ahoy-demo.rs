//! What ./dev run does once everything is built: a server and two windows, and without a display a call between them.

use anyhow::{Context, Result, ensure};
use clap::{Parser, Subcommand};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};
use tests_bench::client::{Client, Line};
use tests_bench::host::Host;
use tests_bench::process::{Process, program, wait_until};
use tests_bench::server::Server;
use tests_bench::table::Table;

/// A window on a loaded machine may take so long to sign in.
const START_TIMEOUT: Duration = Duration::from_secs(60);
/// Everything that a call brings about happens within this, or the call has failed.
const STEP_TIMEOUT: Duration = Duration::from_secs(20);
/// Between attempts to call while a window is not signed in yet.
const RETRY_INTERVAL: Duration = Duration::from_millis(300);
/// Nobody answers at once; the windows are photographed meanwhile.
const RING: Duration = Duration::from_millis(1500);
/// Louder than this (0–100) is a voice and no hiss.
const HEARD_LEVEL: u64 = 5;

#[derive(Parser)]
#[command(name = "ahoy-demo")]
struct Options {
    /// Folder for the server's data, logs and pictures.
    #[arg(long, default_value = "target/dev/run")]
    folder: PathBuf,
    #[command(subcommand)]
    mode: Mode,
}

#[derive(Subcommand)]
enum Mode {
    /// Opens two windows on this display, signed in as alice and bob, until both are closed.
    Windows,
    /// Lets alice call bob on a virtual display, and reports.
    Call {
        /// How long they talk, seconds.
        #[arg(long, default_value_t = 8)]
        seconds: u64,
    },
}

fn main() -> ExitCode {
    let options = Options::parse();
    let done = match options.mode {
        Mode::Windows => windows(&options.folder).map(|()| true),
        Mode::Call { seconds } => call(&options.folder, Duration::from_secs(seconds)),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("ahoy-demo: {error:#}\nLogs are in {}", options.folder.display());
            ExitCode::FAILURE
        }
    }
}

/// A window of this user; its log goes to a file of the folder.
fn window(server: &Server, user: &str, folder: &Path) -> Result<Command> {
    let log = std::fs::File::create(folder.join(format!("{user}.log")))?;
    let mut command = Command::new(program("ahoy")?);
    command.args(["--server", &server.url()?, "--user", user, "--profile", user]);
    // By the environment: a command line can be read by everyone on the machine.
    command.env("AHOY_TICKET", server.ticket(user)?).stderr(log);
    Ok(command)
}

fn windows(folder: &Path) -> Result<()> {
    let data = folder.join("server");
    std::fs::create_dir_all(&data)?;
    let mut server = Server::start(&data, &[])?;
    let mut open = Vec::new();
    for user in ["alice", "bob"] {
        open.push(Process::start(user, window(&server, user, folder)?.stdin(Stdio::null()).stdout(Stdio::null()))?);
    }
    println!("Two windows are open: alice and bob, on the server at {}.", server.url()?);
    println!("Type the other's name in one of them and call. Closing both windows ends this.");
    while open.iter_mut().any(Process::is_running) {
        ensure!(server.is_running(), "the server has ended");
        std::thread::sleep(RETRY_INTERVAL);
    }
    Ok(())
}

/// One person at a window on a machine of their own.
struct Person {
    client: Client,
    host: Host,
    folder: PathBuf,
}

impl Person {
    fn arrive(server: &Server, user: &str, pitch: f32, folder: &Path) -> Result<Self> {
        let home = folder.join(user);
        std::fs::create_dir_all(&home)?;
        let host = Host::start(&home, pitch)?;
        let mut command = window(server, user, folder)?;
        host.carry(&mut command);
        for kind in ["DATA", "CONFIG", "CACHE"] {
            command.env(format!("XDG_{kind}_HOME"), home.join(kind.to_lowercase()));
        }
        command.args(["--events", "-", "--commands"]);
        let client = Client::start(user, &mut command)?;
        Ok(Self { client, host, folder: folder.to_owned() })
    }

    /// Where the picture of this moment is kept.
    fn picture(&self, moment: &str) -> PathBuf {
        self.folder.join(format!("{}-{moment}.png", self.client.user()))
    }

    fn stats(&mut self) -> Result<Value> {
        let since = self.client.history.len();
        self.client.say("stats")?;
        let at = self.client.wait_for(since, STEP_TIMEOUT, "statistics", |json| json["stats"].is_object())?;
        Ok(self.client.history[at].json["stats"].clone())
    }

    /// Whether the other's voice and picture came.
    fn heard_and_saw(&self, other: &str) -> (bool, bool) {
        let lines = &self.client.history;
        let first = |name: &str| lines.iter().any(|line| line.event() == name && line.json["userId"] == other);
        let level = |line: &Line| line.json["volumeMap"][other].as_u64().unwrap_or_default();
        let loud = lines.iter().any(|line| line.event() == "onUserVoiceVolumeChanged" && level(line) > HEARD_LEVEL);
        (first("onFirstAudioFrame") && loud, first("onFirstVideoFrame"))
    }
}

fn call(folder: &Path, talk: Duration) -> Result<bool> {
    // A demonstration begins with nothing, so that it shows the same each time.
    if folder.exists() {
        std::fs::remove_dir_all(folder).with_context(|| format!("clearing {}", folder.display()))?;
    }
    let data = folder.join("server");
    std::fs::create_dir_all(&data)?;
    let folder = folder.canonicalize()?;
    let server = Server::start(&data, &[])?;
    let mut alice = Person::arrive(&server, "alice", 210.0, &folder)?;
    let mut bob = Person::arrive(&server, "bob", 120.0, &folder)?;
    for person in [&alice, &bob] {
        ensure!(
            wait_until(START_TIMEOUT, || person.host.is_painted()),
            "the window of {} stays empty",
            person.client.user()
        );
    }
    let began = Instant::now();

    ring(&mut alice.client)?;
    bob.client.wait_for_event(0, STEP_TIMEOUT, "onCallReceived")?;
    std::thread::sleep(RING);
    for person in [&alice, &bob] {
        person.host.photograph(&person.picture("ringing"))?;
    }
    let accepted = bob.client.say("accept")?;
    for person in [&mut alice, &mut bob] {
        person.client.wait_for_event(0, STEP_TIMEOUT, "onCallBegin")?;
        for first in ["onFirstAudioFrame", "onFirstVideoFrame"] {
            if let Err(error) = person.client.wait_for_event(0, STEP_TIMEOUT, first) {
                println!("{error:#}");
            }
        }
    }
    std::thread::sleep(talk);
    for person in [&alice, &bob] {
        person.host.photograph(&person.picture("call"))?;
    }
    let stats = [alice.stats()?, bob.stats()?];
    alice.client.say("hangup")?;
    for person in [&mut alice, &mut bob] {
        person.client.wait_for_event(0, STEP_TIMEOUT, "onCallEnd")?;
        person.client.say("quit")?;
    }
    for person in [&mut alice, &mut bob] {
        ensure!(person.client.wait(STEP_TIMEOUT), "the window of {} did not close", person.client.user());
        person.client.listen();
    }

    print_events(&[&alice.client, &bob.client], began, accepted);
    print_numbers(&[&alice, &bob], &stats);
    println!("\nScreenshots");
    for person in [&alice, &bob] {
        for moment in ["ringing", "call"] {
            println!("  {}", person.picture(moment).display());
        }
    }
    let (a, b) = (alice.heard_and_saw("bob"), bob.heard_and_saw("alice"));
    let all = a == (true, true) && b == (true, true);
    let word = |yes| if yes { "yes" } else { "NO" };
    println!(
        "\nalice heard bob: {}, saw bob: {}; bob heard alice: {}, saw alice: {}",
        word(a.0),
        word(a.1),
        word(b.0),
        word(b.1)
    );
    Ok(all)
}

/// Calls until both windows are signed in and it rings.
fn ring(alice: &mut Client) -> Result<()> {
    let deadline = Instant::now() + START_TIMEOUT;
    loop {
        let since = alice.history.len();
        alice.say("call bob video")?;
        let left = deadline.saturating_duration_since(Instant::now());
        let at = alice.wait_for(since, left, "answer to the call", |json| json["command"] == "call")?;
        let answer = &alice.history[at].json;
        if answer["ok"] == true {
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "alice cannot call bob: {answer}");
        std::thread::sleep(RETRY_INTERVAL);
    }
}

/// Events that come again and again: the first of each is shown, the others are counted.
const REPEATED: [&str; 3] = ["onUserVoiceVolumeChanged", "onUserNetworkQualityChanged", "onDeviceUpdated"];

fn print_events(clients: &[&Client], began: Instant, accepted: Instant) {
    let mut lines: Vec<(&str, &Line)> = Vec::new();
    for client in clients {
        for name in REPEATED {
            let count = client.history.iter().filter(|line| line.event() == name).count();
            if count > 1 {
                println!("{:>8}  {name} came {count} times; the first is shown", client.user());
            }
        }
        let mut shown = Vec::new();
        for line in client.history.iter().filter(|line| !line.event().is_empty()) {
            let again = REPEATED.contains(&line.event()) && shown.contains(&line.event());
            if !again {
                shown.push(line.event());
                lines.push((client.user(), line));
            }
        }
    }
    lines.sort_by_key(|(_, line)| line.at);
    println!("\nEvents (seconds since bob accepted)");
    for (user, line) in lines {
        let since = line.at.duration_since(began).as_secs_f64() - accepted.duration_since(began).as_secs_f64();
        let mut fields = line.json.clone();
        if let Some(object) = fields.as_object_mut() {
            object.remove("event");
            object.remove("at");
        }
        let fields = fields.to_string();
        println!("  {since:>8.3}  {user:<6} {:<28} {}", line.event(), shorten(&fields, 100));
    }
}

fn shorten(text: &str, longest: usize) -> String {
    if text.chars().count() <= longest {
        return text.to_owned();
    }
    text.chars().take(longest - 1).chain(['…']).collect()
}

fn print_numbers(people: &[&Person], stats: &[Value]) {
    let mut table = Table::new("Numbers", &["", "alice", "bob"]);
    let first = |person: &Person, name: &str| {
        let found = person.client.history.iter().find(|line| line.event() == name);
        found.map_or("never".to_owned(), |line| format!("{} ms", line.json["ms"]))
    };
    for (what, name) in
        [("accept to first remote audio", "onFirstAudioFrame"), ("accept to first remote picture", "onFirstVideoFrame")]
    {
        let cells: Vec<String> = people.iter().map(|person| first(person, name)).collect();
        table.row(&[what, &cells[0], &cells[1]]);
    }
    let count = |stats: &Value, key: &str| stats[key].as_i64().map_or("–".to_owned(), |n| n.to_string());
    for (what, key) in
        [("packets sent", "packetsSent"), ("packets received", "packetsReceived"), ("packets lost", "packetsLost")]
    {
        table.row(&[what, &count(&stats[0], key), &count(&stats[1], key)]);
    }
    let loss = |stats: &Value| {
        let (lost, came) = (stats["packetsLost"].as_f64(), stats["packetsReceived"].as_f64());
        lost.zip(came)
            .map_or("–".to_owned(), |(lost, came)| format!("{:.2} %", 100.0 * lost / (lost + came).max(1.0)))
    };
    table.row(&["loss", &loss(&stats[0]), &loss(&stats[1])]);
    let trip = |stats: &Value| stats["roundTripMs"].as_f64().map_or("–".to_owned(), |ms| format!("{ms:.1} ms"));
    table.row(&["round trip", &trip(&stats[0]), &trip(&stats[1])]);
    print!("{}", table.text());
}
