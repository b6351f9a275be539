//! Runs the commands, prints the events.

use super::options::{Options, Words};
use super::picture::Screen;
use anyhow::{Context, Result};
use engine::api::{Intent, Reported, Secret};
use engine::script::{Command, Vocabulary, answer_line};
use engine::{Engine, EngineConfig, Pictures};
use media::{DeviceChoice, Synthetic};
use protocol::vocabulary::Older;
use protocol::{DeviceId, Event, UserId};
use serde_json::{Value, json};
use std::io::{BufRead, Write};
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::sync::{broadcast, mpsc, watch};

/// Lines that wait for the script; the reader waits, and whoever writes them.
const LINES_WAITING: usize = 256;

struct Script {
    engine: Engine,
    screen: Arc<Screen>,
    /// Names of the events so far; those of the older page with their constants, after a space.
    events: watch::Receiver<Vec<String>>,
    /// Those before were waited for.
    waited: usize,
}

/// Signs in, runs every command, says the numbers.
pub(crate) async fn run(options: Options) -> Result<()> {
    let mut config = EngineConfig::new(match &options.device {
        Some(name) => DeviceId::new(name.clone())?,
        None => device_id(),
    });
    config.client = concat!("ahoy-headless/", env!("CARGO_PKG_VERSION")).to_owned();
    config.microphone = options.mic.clone().unwrap_or(DeviceChoice::Synthetic(Synthetic::Tone(440)));
    config.speaker = match &options.dump_audio {
        Some(path) => DeviceChoice::File(path.clone()),
        None => options.speaker.clone().unwrap_or(DeviceChoice::None),
    };
    let label = options.user.clone().unwrap_or_default();
    config.camera = options.camera.clone().unwrap_or(DeviceChoice::Synthetic(Synthetic::Pattern(label)));
    config.pictures = Pictures::Decoded;
    config.media_addresses.clone_from(&options.media);
    config.times = options.times.unwrap_or_default();
    let of_the_system = |choice: &DeviceChoice| matches!(choice, DeviceChoice::System | DeviceChoice::Device(_));
    config.watch_devices = [&config.microphone, &config.speaker, &config.camera].into_iter().any(of_the_system);
    let engine = Engine::start(config);
    let screen = Arc::new(Screen::default());
    engine.set_screen(screen.clone()).await;
    tokio::spawn(note_previews(engine.snapshots(), Arc::downgrade(&screen)));
    tokio::spawn(print_cards(engine.snapshots()));
    let (names, events) = watch::channel(Vec::new());
    let vocabulary = match (options.vocabulary.unwrap_or_default(), &options.user) {
        (Words::Old, Some(user)) => Vocabulary::Older(Box::new(Older::new(UserId::new(user.clone())?))),
        (Words::Old, None) => anyhow::bail!("the older vocabulary needs to know who signs in: --user"),
        (Words::New, _) => Vocabulary::Newer,
    };
    let printing = tokio::spawn(print_events(engine.events(), names, options.no_meters, vocabulary));
    let mut script = Script { engine, screen, events, waited: 0 };
    let done = script.run(&options).await;
    if let Some(path) = &options.dump_picture
        && let Err(error) = script.screen.save(path)
    {
        eprintln!("ahoy-headless: {}: {error}", path.display());
    }
    drop(script);
    // The engine ends with its last handle, and its events with it.
    let _ = tokio::time::timeout(Duration::from_secs(5), printing).await;
    done
}

impl Script {
    async fn run(&mut self, options: &Options) -> Result<()> {
        if let Some((server, user, ticket)) = options.sign_in()? {
            let name = user.clone();
            let intent = Intent::SignIn { server, user, ticket: Secret(ticket) };
            if let Err(refusal) = self.engine.request(intent).await {
                say(&json!({ "signedIn": false, "code": refusal.code, "message": refusal.message }));
                return Err(refusal).context("signing in");
            }
            say(&json!({ "signedIn": true, "userId": name }));
        }
        match &options.commands {
            Some(commands) => {
                for line in commands {
                    if !self.obey(line).await? {
                        break;
                    }
                }
            }
            None => {
                let mut lines = read_lines();
                while let Some(line) = lines.recv().await {
                    if !self.obey(&line).await.unwrap_or(true) {
                        break;
                    }
                }
            }
        }
        self.say_stats().await;
        // Whatever is under way ends properly: others are told, devices are closed.
        let _ = self.engine.request(Intent::SignOut).await;
        Ok(())
    }

    /// False: the script is over. An error ends a scenario; on standard input the next line follows.
    async fn obey(&mut self, line: &str) -> Result<bool> {
        let verb = line.split_whitespace().next().unwrap_or_default().to_owned();
        let command = match Command::parse(line) {
            Ok(Some(command)) => command,
            Ok(None) => return Ok(true),
            Err(message) => {
                say(&json!({ "command": verb, "ok": false, "code": -1202, "message": message }));
                anyhow::bail!("{message}");
            }
        };
        match command {
            Command::Intent(intent) => {
                let answer = self.engine.request(*intent).await;
                say(&answer_line(&verb, &answer));
                answer.context(verb)?;
            }
            Command::Wait { event, timeout } => {
                let found = tokio::time::timeout(timeout, self.wait(&event)).await.is_ok();
                say(&json!({ "command": verb, "ok": found, "waitedFor": event }));
                anyhow::ensure!(found, "no {event} within {timeout:?}");
            }
            Command::Sleep(time) => tokio::time::sleep(time).await,
            Command::Stats => self.say_stats().await,
            Command::Picture(path) => {
                let saved = self.screen.save(&path);
                say(&json!({ "command": verb, "ok": saved.is_ok() }));
                saved.with_context(|| format!("saving {}", path.display()))?;
            }
            Command::Quit => return Ok(false),
        }
        Ok(true)
    }

    /// Waits for an event that was not waited for before.
    async fn wait(&mut self, event: &str) {
        loop {
            let found = {
                let names = self.events.borrow_and_update();
                names.iter().skip(self.waited).position(|names| names.split(' ').any(|name| name == event))
            };
            if let Some(at) = found {
                self.waited += at + 1;
                return;
            }
            if self.events.changed().await.is_err() {
                return std::future::pending().await;
            }
        }
    }

    async fn say_stats(&self) {
        let report = self.engine.report().await;
        let mut stats = serde_json::to_value(&report).unwrap_or_default();
        let (mut frames, mut timecode, mut delay, mut size) = (0, None, None, None);
        for seen in self.screen.seen().values().filter(|seen| !seen.is_own) {
            frames += seen.frames;
            timecode = seen.timecode.or(timecode);
            delay = seen.delay().or(delay);
            size = seen.last.as_ref().map(|picture| [picture.width, picture.height]).or(size);
        }
        if let Value::Object(stats) = &mut stats {
            stats.insert("decodedFrames".to_owned(), json!(frames));
            stats.insert("lastTimecode".to_owned(), json!(timecode));
            stats.insert("pictureDelayMs".to_owned(), json!(delay));
            stats.insert("pictureSize".to_owned(), json!(size));
        }
        say(&json!({ "stats": stats }));
    }
}

/// Prints each event with its time, and remembers its name.
async fn print_events(
    mut events: broadcast::Receiver<Reported>,
    names: watch::Sender<Vec<String>>,
    no_meters: bool,
    mut vocabulary: Vocabulary,
) {
    loop {
        let reported = match events.recv().await {
            Ok(reported) => reported,
            Err(broadcast::error::RecvError::Lagged(missed)) => {
                eprintln!("ahoy-headless: {missed} events were not printed");
                continue;
            }
            Err(broadcast::error::RecvError::Closed) => return,
        };
        let meter = matches!(
            reported.event,
            Event::OnUserVoiceVolumeChanged { .. } | Event::OnUserNetworkQualityChanged { .. }
        );
        let Some(line) = vocabulary.line(&reported) else { continue };
        let known = ["event", "constant"].into_iter().filter_map(|key| line[key].as_str());
        let name = known.collect::<Vec<_>>().join(" ");
        if !(meter && no_meters) {
            say(&line);
        }
        names.send_modify(|names| names.push(name));
    }
}

/// Prints the running calls that may be joined, whenever they change.
async fn print_cards(mut snapshots: watch::Receiver<engine::api::Snapshot>) {
    let mut shown = Vec::new();
    loop {
        let cards = snapshots.borrow_and_update().book.cards.clone();
        if cards != shown {
            say(&json!({ "cards": cards }));
            shown = cards;
        }
        if snapshots.changed().await.is_err() {
            return;
        }
    }
}

/// Tells the screen which pictures are our own.
async fn note_previews(mut snapshots: watch::Receiver<engine::api::Snapshot>, screen: Weak<Screen>) {
    loop {
        let preview = snapshots.borrow_and_update().devices.preview;
        if let (Some(id), Some(screen)) = (preview, screen.upgrade()) {
            screen.seen().entry(id).or_default().is_own = true;
        }
        if snapshots.changed().await.is_err() {
            return;
        }
    }
}

/// One line of output, at once.
fn say(line: &Value) {
    let mut out = std::io::stdout().lock();
    // A reader that went away ends nothing: the script may still have something to do.
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

/// Lines of standard input, from a thread of its own: reading cannot be interrupted.
fn read_lines() -> mpsc::Receiver<String> {
    let (send, lines) = mpsc::channel(LINES_WAITING);
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            if send.blocking_send(line).is_err() {
                return;
            }
        }
    });
    lines
}

fn device_id() -> DeviceId {
    DeviceId::new(format!("headless-{:016x}", rand::random::<u64>())).expect("25 characters of the allowed ones")
}
