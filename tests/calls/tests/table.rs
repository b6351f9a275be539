//! The rows of `crates/call/tests/table/`, played by real engines through the real server: each of them reports exactly
//! the events that stand there, on both pages, in that order, with those fields. There the same rows are played in virtual
//! time, with every fault between their steps; here what is shown is that engine and server add and lose nothing.
#![allow(clippy::wildcard_enum_match_arm, reason = "a test looks at the events it is about")]

use anyhow::{Context as _, Result, bail, ensure};
use engine::api::Intent;
use protocol::{CallId, CallMediaType, Event, Profile, RoomId};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;
use tests_calls::steps::{settle, users};
use tests_calls::{House, Names, PATIENCE, Person};

/// How long a ring lasts that nobody answers in the end: long enough for everybody else to answer.
const SHORT_RING: Duration = Duration::from_secs(4);

/// The same in the table.
const RING_MS: u64 = 30_000;

/// What is done and by whom.
struct Step {
    at: u64,
    who: String,
    verb: String,
    /// What stands behind the verb.
    word: String,
}

/// A row of the table.
struct Row {
    situation: String,
    devices: Vec<(String, String)>,
    steps: Vec<Step>,
    told: BTreeMap<String, Vec<String>>,
    /// Something in it is not for engines of this process: a death, a network, a ticket that ends to the millisecond.
    is_foreign: bool,
}

impl Row {
    fn read(part: &str) -> Result<Self> {
        let (situation, rest) = part.split_once('\n').context("a situation")?;
        let mut pieces = rest.split("\n-- ");
        let plan = pieces.next().unwrap_or_default();
        let told = pieces.map(|piece| {
            let mut lines = piece.lines().map(str::trim).filter(|line| !line.is_empty());
            let who = lines.next().unwrap_or_default().to_owned();
            (who, lines.map(without_length).collect())
        });
        let mut row = Self {
            situation: situation.trim().to_owned(),
            devices: Vec::new(),
            steps: Vec::new(),
            told: told.collect(),
            is_foreign: false,
        };
        for line in plan.lines().map(str::trim).filter(|line| !line.is_empty()) {
            match line.split_whitespace().collect::<Vec<_>>()[..] {
                ["end", _] => {}
                ["device", user, name] => row.devices.push((user.to_owned(), name.to_owned())),
                ["device", ..] => row.is_foreign = true,
                [at, who, verb, ref word @ ..] => {
                    row.is_foreign |= ["die", "media-lost"].contains(&verb);
                    let (at, word) = (at.parse()?, word.concat());
                    row.steps.push(Step { at, who: who.to_owned(), verb: verb.to_owned(), word });
                }
                _ => bail!("{line}: no line of a plan"),
            }
        }
        Ok(row)
    }

    /// Whether this person's ring ends by itself.
    fn rings_out(&self, who: &str) -> bool {
        self.told.values().flatten().any(|line| line == &format!("onUserNoResponse userId={who}"))
    }
}

/// How long a call lasted differs: here nobody waits for ten seconds.
fn without_length(line: &str) -> String {
    let plain = |word: &str| if word.starts_with("totalTime=") { "totalTime=_".to_owned() } else { word.to_owned() };
    line.split(' ').map(plain).collect::<Vec<_>>().join(" ")
}

struct Actor {
    user: String,
    device: String,
    person: Person,
    /// Refused wishes: how much had been told before, and the code.
    refused: Vec<(usize, i32)>,
}

/// A row on its way.
struct Play {
    house: House,
    cast: Vec<Actor>,
    /// Rings that end by themselves: who, and when in the table.
    rings: Vec<(String, u64)>,
    call: Option<CallId>,
}

impl Play {
    async fn begin(row: &Row) -> Result<Self> {
        let mut play = Self { house: House::open().await?, cast: Vec::new(), rings: Vec::new(), call: None };
        for (user, device) in &row.devices {
            play.enter(user, device).await?;
        }
        Ok(play)
    }

    async fn enter(&mut self, user: &str, device: &str) -> Result<()> {
        let ticket = self.house.ticket_for(user, Duration::from_secs(3600))?;
        let person = Person::on_device(&self.house, user, device, ticket).await?;
        self.cast.push(Actor { user: user.to_owned(), device: device.to_owned(), person, refused: Vec::new() });
        Ok(())
    }

    fn index(&self, who: &str) -> Result<usize> {
        let (user, device) = who.split_once('/').map_or((who, None), |(user, device)| (user, Some(device)));
        let is = |actor: &Actor| actor.user == user && device.is_none_or(|device| actor.device == device);
        self.cast.iter().position(is).with_context(|| format!("there is no {who}"))
    }

    /// Lets those rings end that have ended in the table by then.
    async fn let_rings_end(&mut self, by: u64) -> Result<()> {
        for (who, _) in self.rings.extract_if(.., |(_, ends)| *ends <= by).collect::<Vec<_>>() {
            let at = self.index(&who)?;
            self.cast[at].person.wait("onCallCancelled").await?;
        }
        Ok(())
    }

    async fn act(&mut self, row: &Row, step: &Step) -> Result<()> {
        let at = self.index(&step.who)?;
        let named: Vec<&str> = step.word.split(',').collect();
        let rung_out = ["call", "invite", "add-person"].contains(&step.verb.as_str())
            && named.iter().any(|who| row.rings_out(who));
        if rung_out {
            let silent = named.iter().filter(|who| row.rings_out(who));
            self.rings.extend(silent.map(|who| ((*who).to_owned(), step.at + RING_MS)));
        }
        let timeout = rung_out.then_some(SHORT_RING);
        let invite =
            |add_person| Intent::InviteUser { users: users(&named), user_data: String::new(), timeout, add_person };
        let call = || {
            let (callees, media, user_data) = (users(&named), CallMediaType::Video, "hello".to_owned());
            Intent::Call { callees, media, user_data, timeout, room: None }
        };
        let intent = match step.verb.as_str() {
            "call" => call(),
            "accept" => Intent::Accept { camera: false },
            "reject" => Intent::Reject,
            "ignore" => Intent::Ignore,
            "hangup" => Intent::Hangup,
            "invite" => invite(false),
            "add-person" => invite(true),
            "join" => Intent::JoinCall { call: None, camera: false },
            "to-voice" => Intent::SwitchCallMediaType(CallMediaType::Voice),
            "nickname" => Intent::SetSelfInfo(Profile { nickname: step.word.clone(), avatar: String::new() }),
            "multi-device" => Intent::EnableMultiDevice(step.word == "on"),
            "sign-out" => Intent::SignOut,
            _ => return self.befall(at, step).await,
        };
        let actor = &mut self.cast[at];
        actor.person.listen();
        match actor.person.ask(intent).await {
            Ok(engine::api::Answer::Call(call)) => self.call = Some(call),
            Ok(_) => {}
            Err(refusal) => actor.refused.push((actor.person.history.len(), refusal.code)),
        }
        Ok(())
    }

    /// What happens to somebody.
    async fn befall(&mut self, at: usize, step: &Step) -> Result<()> {
        match step.verb.as_str() {
            "elsewhere" => {
                let user = self.cast[at].user.clone();
                self.enter(&user, &step.word).await
            }
            "end-call" => {
                let call = self.call.clone().context("a call to end")?;
                ensure!(self.house.end_call(call).await, "there is no such call");
                Ok(())
            }
            "removed" | "dismissed" => {
                for actor in &mut self.cast {
                    let entered = |event: &Event| matches!(event, Event::OnEnterRoom { result } if *result > 0);
                    actor.person.has("being in the room", entered).await?;
                }
                let actor = &self.cast[at];
                let room = room_of(&actor.person).context("a room")?;
                match step.verb.as_str() {
                    "removed" => self.house.remove(&room, &actor.user).await,
                    _ => self.house.dismiss(&room).await,
                }
            }
            other => bail!("nobody here can {other}"),
        }
    }

    /// What everybody was told, under the names that the table has for them.
    fn told(&self) -> Vec<(String, Vec<String>)> {
        let mut names = Names::default();
        let mut all = Vec::new();
        for actor in &self.cast {
            let several = self.cast.iter().filter(|other| other.user == actor.user).count() > 1;
            let who = if several { format!("{}/{}", actor.user, actor.device) } else { actor.user.clone() };
            let mut newer = Vec::new();
            for at in 0..=actor.person.history.len() {
                let refused = actor.refused.iter().filter(|(before, _)| *before == at);
                newer.extend(refused.map(|(_, code)| format!("(refused {code})")));
                newer.extend(actor.person.history.get(at).and_then(|event| names.newer(event)));
            }
            all.push((who.clone(), newer));
            all.push((format!("{who}, older page"), names.older_lines(&actor.person)));
        }
        all
    }
}

fn room_of(person: &Person) -> Option<RoomId> {
    person.history.iter().rev().find_map(|event| match event {
        Event::OnCallBegin { room_id, .. } => Some(room_id.clone()),
        _ => None,
    })
}

async fn play(row: &Row) -> Result<()> {
    let mut play = Play::begin(row).await?;
    for step in &row.steps {
        play.let_rings_end(step.at).await?;
        play.act(row, step).await.with_context(|| format!("{} {} {}", step.at, step.who, step.verb))?;
        settle(play.cast.iter_mut().map(|actor| &mut actor.person)).await;
    }
    play.let_rings_end(u64::MAX).await?;
    // What follows from the last step without anybody's doing is told a moment later.
    let deadline = tokio::time::Instant::now() + PATIENCE;
    let expected: Vec<_> = row.told.values().map(Vec::len).collect();
    loop {
        for actor in &mut play.cast {
            actor.person.listen();
        }
        let told = play.told();
        let enough = told.iter().all(|(who, lines)| row.told.get(who).is_some_and(|all| lines.len() >= all.len()));
        if enough || tokio::time::Instant::now() > deadline {
            ensure!(told.len() == expected.len(), "{} lists of events, {} expected", told.len(), expected.len());
            for (who, lines) in told {
                let all = row.told.get(&who).with_context(|| format!("{who} is not in the table"))?;
                ensure!(lines == *all, "{who} was told\n  {}\nand not\n  {}", lines.join("\n  "), all.join("\n  "));
            }
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Plays a file of the table, `ROW` only those rows of it whose situation says so.
async fn play_file(name: &str, at_least: usize) -> Result<()> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../crates/call/tests/table").join(name);
    let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let only = std::env::var("ROW").ok();
    let (mut played, mut wrong) = (0, Vec::new());
    for part in text.split("\n== ").skip(1) {
        let row = Row::read(part)?;
        if row.is_foreign || only.as_ref().is_some_and(|only| !row.situation.contains(only)) {
            continue;
        }
        played += 1;
        if let Err(error) = play(&row).await {
            wrong.push(format!("{}: {error:#}", row.situation));
        }
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    ensure!(played >= at_least || only.is_some(), "{played} rows of {name}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_for_two() -> Result<()> {
    play_file("1-one-to-one.txt", 18).await
}

#[tokio::test(flavor = "multi_thread")]
async fn group_calls() -> Result<()> {
    play_file("2-group.txt", 19).await
}

#[tokio::test(flavor = "multi_thread")]
async fn several_devices() -> Result<()> {
    play_file("3-devices.txt", 8).await
}
