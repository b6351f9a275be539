//! Who receives what: every row of the tables under `tests/table/` is played over several devices in virtual time, and
//! each device must report exactly the events that stand there, in that order, with those fields.
//!
//! A row is `== situation`, a plan (`sim/plan.rs` says how it is written), and for each device `-- bob` with the events
//! of the newer page and `-- bob, older page` with the same in the words of the older page. `callId` is `#1`, `#2` … in
//! the order in which calls appear, a room is `@1`, `@2` …. `UPDATE_TABLE=1` writes what happens into the files, to be
//! read with care before it is kept.
#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm, reason = "a test that is surprised fails")]

mod sim;

use protocol::vocabulary::Older;
use serde_json::Value;
use sim::{Device, Fault, Plan, Seen, World, check, check_records};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// One row: what is played, and what each device must report.
struct Row {
    situation: String,
    plan: String,
    told: Vec<(String, Vec<String>)>,
}

fn files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/table");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// What stands before the first row, and the rows.
fn read(path: &Path) -> (String, Vec<Row>) {
    let text = std::fs::read_to_string(path).unwrap();
    let mut parts = text.split("\n== ");
    let head = parts.next().unwrap().to_owned();
    let rows = parts.map(|part| {
        let (situation, rest) = part.split_once('\n').unwrap();
        let mut pieces = rest.split("\n-- ");
        let plan = pieces.next().unwrap().trim().to_owned();
        let told = pieces.map(|piece| {
            let mut lines = piece.lines().map(str::trim).filter(|line| !line.is_empty());
            (lines.next().unwrap().to_owned(), lines.map(str::to_owned).collect())
        });
        Row { situation: situation.trim().to_owned(), plan, told: told.collect() }
    });
    (head, rows.collect())
}

/// Names for what differs from run to run.
#[derive(Default)]
struct Names {
    calls: Vec<String>,
    rooms: Vec<String>,
}

impl Names {
    fn of(list: &mut Vec<String>, sign: char, name: String) -> String {
        let at = list.iter().position(|known| *known == name).unwrap_or_else(|| {
            list.push(name);
            list.len() - 1
        });
        format!("{sign}{}", at + 1)
    }

    fn text(&mut self, key: &str, value: &Value) -> String {
        match (key, value) {
            ("callId" | "inviteID", Value::String(id)) => Self::of(&mut self.calls, '#', id.clone()),
            ("roomId", room) => Self::of(&mut self.rooms, '@', room["intRoomId"].to_string()),
            ("roomID", room) => Self::of(&mut self.rooms, '@', room.to_string()),
            (_, Value::String(text)) => format!("{text:?}").trim_matches('"').to_owned(),
            (_, Value::Array(list)) => {
                let items: Vec<_> = list.iter().map(|item| self.text("", item)).collect();
                format!("[{}]", items.join(","))
            }
            (_, other) => other.to_string(),
        }
    }

    fn line(&mut self, name: &str, event: &Value) -> String {
        let mut line = name.to_owned();
        for (key, value) in event.as_object().unwrap().iter().filter(|(key, _)| *key != "event") {
            let value = self.text(key, value);
            write!(line, " {key}={value}").unwrap();
        }
        line
    }
}

/// The events of a device on both pages.
fn told(device: &Device, names: &mut Names) -> (Vec<String>, Vec<String>) {
    let (mut newer, mut older) = (Vec::new(), Vec::new());
    let mut page = Older::new(device.user.clone());
    for seen in &device.seen {
        match seen {
            Seen::Event(event) => {
                if !event.is_older_only() {
                    let json = serde_json::to_value(event).unwrap();
                    newer.push(names.line(json["event"].as_str().unwrap(), &json));
                }
                if let Some(event) = page.tell(event) {
                    older.push(names.line(event.constant(), &serde_json::to_value(&event).unwrap()));
                }
            }
            Seen::Died => {
                newer.push("(the process died)".to_owned());
                older.push("(the process died)".to_owned());
                page = Older::new(device.user.clone());
            }
            Seen::Refused(code) => newer.push(format!("(refused {code})")),
            Seen::Enter(_) | Seen::Leave(_) | Seen::Exit(_) | Seen::Evicted | Seen::Given(_) => {}
        }
    }
    (newer, older)
}

fn played(world: &World) -> Vec<(String, Vec<String>)> {
    let mut names = Names::default();
    let mut count: BTreeMap<&str, usize> = BTreeMap::new();
    for device in &world.devices {
        *count.entry(device.user.as_str()).or_default() += 1;
    }
    let mut all = Vec::new();
    for device in &world.devices {
        let user = device.user.as_str();
        let who = if count[user] > 1 { format!("{user}/{}", device.name) } else { user.to_owned() };
        let (newer, older) = told(device, &mut names);
        all.push((who.clone(), newer));
        all.push((format!("{who}, older page"), older));
    }
    all
}

fn write(path: &Path, head: &str, rows: &[Row]) {
    let mut text = head.to_owned();
    for row in rows {
        write!(text, "\n== {}\n{}\n", row.situation, row.plan).unwrap();
        for (who, lines) in played(&Plan::parse(&row.plan).play()) {
            write!(text, "\n-- {who}\n").unwrap();
            for line in lines {
                writeln!(text, "{line}").unwrap();
            }
        }
    }
    std::fs::write(path, text).unwrap();
}

#[test]
fn every_device_reports_exactly_the_documented_events() {
    let mut rows = 0;
    for path in files() {
        let (head, table) = read(&path);
        if std::env::var_os("UPDATE_TABLE").is_some() {
            write(&path, &head, &table);
            continue;
        }
        for row in table {
            let mut plan = Plan::parse(&row.plan);
            for seed in 1..12 {
                plan.seed = seed;
                let world = plan.play();
                check(&world, &(&row.situation, seed));
                check_records(&world, true, &(&row.situation, seed));
                for (expected, found) in row.told.iter().zip(played(&world)) {
                    assert_eq!(found, *expected, "{}, {}, seed {seed}", path.display(), row.situation);
                }
                assert_eq!(row.told.len(), 2 * world.devices.len(), "{}", row.situation);
            }
            rows += 1;
        }
    }
    assert!(rows > 30 || std::env::var_os("UPDATE_TABLE").is_some(), "{rows} rows");
}

/// A server that is killed between any two frames does not change a row: it goes on where it was.
#[test]
fn a_restarted_server_tells_the_same() {
    for path in files() {
        for row in read(&path).1 {
            let plan = Plan::parse(&row.plan);
            let steps = plan.play().delivered;
            for step in (0..steps).step_by(3) {
                let world = plan.play_with(Some(Fault::RestartAfter(step)));
                check(&world, &(&row.situation, step));
                check_records(&world, false, &(&row.situation, step));
            }
        }
    }
}
