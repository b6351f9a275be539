//! How soon everyone hears of a RemoveUser, and of somebody who leaves; and whether a server grows with the number of
//! administrators' calls. People are plain WebSocket clients of `/rtc/v1`: signalling alone.

use super::{STEP_TIMEOUT, milliseconds};
use crate::server::Server;
use crate::table::{Table, percentile};
use crate::usage::of_family;
use anyhow::{Context, Result, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::{SinkExt as _, StreamExt as _};
use livekit_protocol as proto;
use prost::Message as _;
use proto::signal_request::Message as Asked;
use proto::signal_response::Message as Told;
use serde_json::{Value, json};
use server::tc3::signature::authorize;
use std::time::{Instant, SystemTime, UNIX_EPOCH};
use tokio::sync::{mpsc, oneshot};
use tokio_tungstenite::tungstenite::Message;

const ROOM_KEY: (&str, &str) = ("bench", "a-secret-of-the-bench-with-32-characters");
const ADMIN_KEY: (&str, &str) = ("bench", "secretexample");
const APP: u64 = 1_400_000_000;

/// People in each room.
const PEOPLE: usize = 4;

/// Calls whose memory is compared with that of the calls before them.
const CALLS: usize = 1000;

/// What a client saw; when full, clients read no further until the measurement has caught up.
const SIGHTS_WAITING: usize = 4096;

/// Somebody heard that `gone` is out of `room`; `gone` hears it of itself.
struct Sight {
    at: Instant,
    room: usize,
    gone: String,
    by: String,
}

/// Prints both tables.
pub fn run(rooms: usize) -> Result<()> {
    let data = tempfile::tempdir()?;
    let pair = |(key, secret): (&str, &str)| format!("{key}:{secret}");
    let flags = ["--api-key", &pair(ROOM_KEY), "--admin-key", &pair(ADMIN_KEY), "--admin-rate", "1000000"];
    let server = Server::start(data.path(), &flags)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(measure(&server, rooms))
}

async fn measure(server: &Server, rooms: usize) -> Result<()> {
    let host = server.url()?.trim_start_matches("http://").to_owned();
    let (see, mut sights) = mpsc::channel(SIGHTS_WAITING);
    let mut doors = Vec::new();
    for room in 0..rooms {
        for person in 0..PEOPLE {
            doors.push(enter(&host, room, person, see.clone()).await?);
        }
    }
    let mut left = Times::default();
    for room in 0..rooms {
        let door = enter(&host, room, PEOPLE, see.clone()).await?;
        let began = Instant::now();
        ensure!(door.send(()).is_ok(), "somebody was thrown out");
        left.collect(&mut sights, &[(room, began)], PEOPLE, PEOPLE).await?;
    }
    let title = format!("A client leaves a room of {}, signalling only (ms)", PEOPLE + 1);
    let mut table = Table::new(&title, &["", "median", "p95", "worst", "samples", "goal"]);
    table.times("the others hear", &left.others, "100");
    print!("{}", table.text());
    let desk = Desk { client: reqwest::Client::builder().no_proxy().build()?, host };

    let columns = ["", "median", "p95", "p99", "worst", "samples", "goal (p99)"];
    let title = format!("RemoveUser in {rooms} rooms of {PEOPLE}, signalling only (ms)");
    let mut table = Table::new(&title, &columns);
    let mut alone = Times::default();
    for room in 0..rooms {
        let began = desk.remove(room, 0, &mut alone.answered).await?;
        alone.collect(&mut sights, &[(room, began)], 0, PEOPLE).await?;
    }
    alone.rows(&mut table, "one at a time");
    let mut together = Times::default();
    let removals = (0..rooms).map(|room| {
        let desk = &desk;
        async move {
            let mut answered = Vec::new();
            let began = desk.remove(room, 1, &mut answered).await?;
            anyhow::Ok((room, began, answered))
        }
    });
    let mut begun = Vec::new();
    for done in futures_util::future::join_all(removals).await {
        let (room, began, answered) = done?;
        begun.push((room, began));
        together.answered.extend(answered);
    }
    together.collect(&mut sights, &begun, 1, PEOPLE - 1).await?;
    together.rows(&mut table, "all at once");
    print!("{}", table.text());

    let mut table = Table::new(
        &format!("RemoveUser of nobody, {CALLS} calls in a row"),
        &["", "median, ms", "p99, ms", "calls/s", "server, MiB"],
    );
    for number in 1..=5 {
        let (mut times, began) = (Vec::new(), Instant::now());
        for _ in 0..CALLS {
            desk.remove(0, PEOPLE, &mut times).await?;
        }
        let rate = CALLS as f64 / began.elapsed().as_secs_f64();
        let memory = of_family(server.id()).memory as f64 / f64::from(1 << 20);
        let [median, late] = [0.5, 0.99].map(|share| figure(&times, share));
        table.row(&[&format!("thousand {number}"), &median, &late, &format!("{rate:.0}"), &format!("{memory:.1}")]);
    }
    print!("{}", table.text());
    Ok(())
}

fn figure(samples: &[f64], share: f64) -> String {
    percentile(samples, share).map_or("–".to_owned(), |ms| format!("{ms:.1}"))
}

/// Milliseconds since it was asked for.
#[derive(Default)]
struct Times {
    answered: Vec<f64>,
    own: Vec<f64>,
    others: Vec<f64>,
}

impl Times {
    /// Waits until `hearers` in each of those rooms have heard that this person is out.
    async fn collect(
        &mut self,
        sights: &mut mpsc::Receiver<Sight>,
        begun: &[(usize, Instant)],
        person: usize,
        hearers: usize,
    ) -> Result<()> {
        let mut missing = begun.len() * hearers;
        while missing > 0 {
            let sight = tokio::time::timeout(STEP_TIMEOUT, sights.recv()).await;
            let sight = sight.context("somebody never heard who is out")?.context("nobody is left")?;
            let began = begun.iter().find(|(room, _)| *room == sight.room).map(|(_, began)| *began);
            let Some(began) = began.filter(|_| sight.gone == name(person)) else { continue };
            let heard = if sight.by == sight.gone { &mut self.own } else { &mut self.others };
            heard.push(milliseconds(began, sight.at));
            missing -= 1;
        }
        Ok(())
    }

    fn rows(&self, table: &mut Table, how: &str) {
        let parts = [
            ("answered", &self.answered, ""),
            ("the removed hears", &self.own, "300"),
            ("the others hear", &self.others, "300"),
        ];
        for (part, samples, goal) in parts {
            let [median, p95, p99, worst] = [0.5, 0.95, 0.99, 1.0].map(|share| figure(samples, share));
            let (name, count) = (format!("{how}: {part}"), samples.len().to_string());
            table.row(&[&name, &median, &p95, &p99, &worst, &count, goal]);
        }
    }
}

fn name(person: usize) -> String {
    format!("person-{person}")
}

/// Somebody joins, and from then on tells who is out. By what is given back they are asked to leave.
async fn enter(host: &str, room: usize, person: usize, see: mpsc::Sender<Sight>) -> Result<oneshot::Sender<()>> {
    let grants = livekit_token::VideoGrants { room_join: true, room: format!("n:{}", room + 1), ..Default::default() };
    let token = livekit_token::AccessToken::with_api_key(ROOM_KEY.0, ROOM_KEY.1);
    let token = token.with_identity(&name(person)).with_grants(grants).to_jwt()?;
    let join = proto::JoinRequest {
        client_info: Some(proto::ClientInfo { protocol: 16, ..Default::default() }),
        ..Default::default()
    };
    let wrapped = proto::WrappedJoinRequest { join_request: join.encode_to_vec(), ..Default::default() };
    let join = URL_SAFE_NO_PAD.encode(wrapped.encode_to_vec());
    let url = format!("ws://{host}/rtc/v1?access_token={token}&join_request={join}");
    let (socket, _) = tokio_tungstenite::connect_async(url).await?;
    let (mut write, mut read) = socket.split();
    let (joined, is_in) = oneshot::channel();
    let (door, asked) = oneshot::channel();
    tokio::spawn(async move {
        if asked.await.is_ok() {
            let leave = Asked::Leave(proto::LeaveRequest::default());
            let leave = proto::SignalRequest { message: Some(leave) }.encode_to_vec();
            // Where the socket is gone, the others hear nothing, and the measurement says so.
            let _ = write.send(Message::Binary(leave.into())).await;
        }
    });
    tokio::spawn(async move {
        let mut joined = Some(joined);
        while let Some(Ok(frame)) = read.next().await {
            let at = Instant::now();
            let Message::Binary(bytes) = frame else { continue };
            let gone = match proto::SignalResponse::decode(bytes).ok().and_then(|response| response.message) {
                Some(Told::Join(_)) => {
                    // Nobody waits after the first.
                    let _ = joined.take().map(|joined| joined.send(()));
                    continue;
                }
                Some(Told::Leave(_)) => vec![name(person)],
                Some(Told::Update(update)) => update.participants.into_iter().filter_map(out).collect(),
                Some(_) | None => continue,
            };
            for gone in gone {
                if see.send(Sight { at, room, gone, by: name(person) }).await.is_err() {
                    return;
                }
            }
        }
    });
    let is_in = tokio::time::timeout(STEP_TIMEOUT, is_in).await.context("somebody never got in")?;
    is_in.context("somebody was refused")?;
    Ok(door)
}

fn out(who: proto::ParticipantInfo) -> Option<String> {
    (who.state() == proto::participant_info::State::Disconnected).then_some(who.identity)
}

/// An administrator.
struct Desk {
    client: reqwest::Client,
    host: String,
}

impl Desk {
    /// Removes one person and notes how long the answer took; gives back when it was asked.
    async fn remove(&self, room: usize, person: usize, answered: &mut Vec<f64>) -> Result<Instant> {
        let body = json!({"SdkAppId": APP, "RoomId": room + 1, "UserIds": [name(person)]}).to_string();
        let kind = "application/json";
        let headers = [("content-type", kind), ("host", self.host.as_str())];
        let seconds = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        let signed = authorize(ADMIN_KEY, ("POST", ""), &headers, body.as_bytes(), ("trtc", seconds));
        let request = self.client.post(format!("http://{}/", self.host)).header("content-type", kind);
        let request = request.header("x-tc-action", "RemoveUser").header("x-tc-version", "2019-07-22");
        let request = request.header("x-tc-timestamp", seconds.to_string()).header("authorization", signed);
        let began = Instant::now();
        let answer = request.body(body).send().await?;
        ensure!(answer.status().is_success(), "the server answers {}", answer.status());
        let answer: Value = answer.json().await?;
        answered.push(milliseconds(began, Instant::now()));
        if answer["Response"].get("Error").is_some() {
            bail!("{answer}");
        }
        Ok(began)
    }
}
