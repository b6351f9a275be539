//! The call plane without media: how soon it rings and begins, what an idle client costs, and what setting up a call does.
//! The server is a process of its own; people are plain clients of `/call/v1` in this one.

use super::milliseconds;
use crate::server::Server;
use crate::table::{Table, percentile};
use crate::talker::{Heartbeats, Moments, Talker, call};
use crate::usage::{Usage, of_family};
use anyhow::{Context as _, Result, ensure};
use futures_util::StreamExt as _;
use protocol::UserId;
use protocol::usersig::TicketKey;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime};
use tokio::task::JoinSet;

/// Calls one after the other, for the times of a single one.
const CALLS: usize = 100;

/// Sign-ins under way at once.
const SIGN_INS: usize = 64;

/// The server pings each client so often.
const HEARTBEAT: Duration = Duration::from_secs(10);

/// Heartbeats are counted for so long: three of each client.
const WATCH: Duration = Duration::from_secs(30);

/// Set-ups a second that are offered: the goal, and what these pairs can do within their allowance of frames.
const RATES: [(usize, Duration); 2] = [(100, Duration::from_millis(500)), (300, Duration::from_millis(350))];

/// Files that are open beside the sockets.
const OTHER_FILES: u64 = 200;

/// Prints the tables.
pub fn run(idle: usize, seconds: u64) -> Result<()> {
    let data = tempfile::tempdir()?;
    let server = Server::start(data.path(), &[])?;
    let house = Arc::new(House {
        host: server.url()?.trim_start_matches("http://").to_owned(),
        key: server::ticket_key(&server::Config::default(), &server::Secrets::load(data.path())?),
    });
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        one_at_a_time(&house).await?;
        many(&house, &server, idle.min(room_for(&server)), Duration::from_secs(seconds)).await
    })
}

/// Where the server is, and what opens it.
struct House {
    host: String,
    key: TicketKey,
}

impl House {
    async fn arrive(&self, name: String) -> Result<Talker> {
        let user = UserId::new(name)?;
        let ticket = self.key.mint(&user, Duration::from_secs(3600), SystemTime::now().into());
        Talker::sign_in(&self.host, &user, ticket).await
    }

    async fn arrive_all(&self, names: impl Iterator<Item = String>) -> Result<Vec<Talker>> {
        let arriving = futures_util::stream::iter(names.map(|name| self.arrive(name))).buffer_unordered(SIGN_INS);
        arriving.collect::<Vec<_>>().await.into_iter().collect()
    }
}

/// As many clients as both processes may open sockets; anything goes where that is not known.
fn room_for(server: &Server) -> usize {
    let limit = |id: u32| {
        let text = std::fs::read_to_string(Path::new("/proc").join(id.to_string()).join("limits")).ok()?;
        text.lines()
            .find_map(|line| line.strip_prefix("Max open files")?.split_whitespace().next()?.parse::<u64>().ok())
    };
    let lowest = [server.id(), std::process::id()].into_iter().filter_map(limit).min();
    lowest.map_or(usize::MAX, |files| usize::try_from(files.saturating_sub(OTHER_FILES)).unwrap_or(usize::MAX))
}

async fn one_at_a_time(house: &House) -> Result<()> {
    let mut caller = house.arrive("alice".to_owned()).await?;
    let mut callee = house.arrive("bob".to_owned()).await?;
    let mut all = Vec::new();
    // Each client has its allowance of frames a second.
    let mut pace = tokio::time::interval(Duration::from_millis(350));
    for _ in 0..CALLS {
        pace.tick().await;
        all.push(call(&mut caller, &mut callee).await?);
    }
    let mut table = Table::new(
        &format!("{} calls one after the other, loopback, without media (ms)", all.len()),
        &["", "median", "p95", "worst", "samples"],
    );
    let mut row = |name: &str, part: fn(&Moments) -> (Instant, Instant)| {
        let times: Vec<_> = all.iter().map(part).map(|(from, to)| milliseconds(from, to)).collect();
        let cell = |share| percentile(&times, share).map_or("–".to_owned(), |ms| format!("{ms:.2}"));
        table.row(&[name, &cell(0.5), &cell(0.95), &cell(1.0), &times.len().to_string()]);
    };
    row("call placed to the invitation at the callee's device", |m| (m.placed, m.rung));
    row("accept to begun, callee", |m| (m.accepted, m.begun));
    row("accept to begun, caller", |m| (m.accepted, m.begun_at_caller));
    row("call placed to over at both", |m| (m.placed, m.over));
    print!("{}", table.text());
    Ok(())
}

async fn many(house: &Arc<House>, server: &Server, idle: usize, seconds: Duration) -> Result<()> {
    let callers = 2 * RATES.iter().map(|(pairs, _)| *pairs).max().unwrap_or_default();
    ensure!(idle > callers, "only {idle} clients have room here: raise `ulimit -n`");
    let before = of_family(server.id());
    let began = Instant::now();
    let heartbeats: &'static Heartbeats = Box::leak(Box::default());
    for talker in house.arrive_all((0..idle - callers).map(|n| format!("idle-{n}"))).await? {
        tokio::spawn(talker.idle(heartbeats));
    }
    let mut pairs = Vec::new();
    let mut talkers = house.arrive_all((0..callers).map(|n| format!("caller-{n}"))).await?.into_iter();
    while let (Some(caller), Some(callee)) = (talkers.next(), talkers.next()) {
        pairs.push((caller, callee));
    }
    let signed_in = began.elapsed();
    idle_table(server, before, idle, signed_in, heartbeats, &mut pairs).await?;

    let title = format!("Setting up calls while {idle} are signed in: call, ring, accept, begun at both, hangup");
    let columns = [
        "offered, 1/s",
        "done, 1/s",
        "begun after, ms",
        "p95",
        "CPU, % of a core",
        "CPU ms each",
        "1/s on a core",
        "goal",
    ];
    let mut table = Table::new(&title, &columns);
    for (count, period) in RATES {
        let load = Load { pairs: pairs.drain(..count).collect(), period, seconds };
        let offered = count as f64 / period.as_secs_f64();
        let first = of_family(server.id());
        let began = Instant::now();
        let (done, all) = load.run().await?;
        let wall = began.elapsed().as_secs_f64();
        let used = (of_family(server.id()).processor - first.processor).as_secs_f64();
        pairs.extend(done);
        let times: Vec<_> = all.iter().map(|moments| milliseconds(moments.placed, moments.begun_at_caller)).collect();
        let time = |share| percentile(&times, share).map_or("–".to_owned(), |ms| format!("{ms:.1}"));
        let each = used / all.len().max(1) as f64;
        table.row(&[
            &format!("{offered:.0}"),
            &format!("{:.0}", all.len() as f64 / wall),
            &time(0.5),
            &time(0.95),
            &format!("{:.0}", used / wall * 100.0),
            &format!("{:.2}", each * 1000.0),
            &format!("{:.0}", 1.0 / each),
            "200",
        ]);
    }
    print!("{}", table.text());
    let lost = heartbeats.lost.load(Ordering::Relaxed);
    println!("  {lost} of the idle clients were lost meanwhile");
    Ok(())
}

/// Waits for a few heartbeats of everybody and prints what they cost.
async fn idle_table(
    server: &Server,
    before: Usage,
    idle: usize,
    signed_in: Duration,
    heartbeats: &'static Heartbeats,
    pairs: &mut Vec<(Talker, Talker)>,
) -> Result<()> {
    // The callers are idle too, and come back.
    let (give, mut back) = tokio::sync::mpsc::channel(pairs.len().max(1));
    let waiting = pairs.len();
    let until = tokio::time::Instant::now() + WATCH;
    for (mut caller, mut callee) in pairs.drain(..) {
        let give = give.clone();
        tokio::spawn(async move {
            let both = tokio::join!(caller.idle_until(until, heartbeats), callee.idle_until(until, heartbeats));
            if both.0.is_ok() && both.1.is_ok() {
                // Refused only where nobody measures any more.
                let _ = give.send((caller, callee)).await;
            }
        });
    }
    let first = (of_family(server.id()), heartbeats.answered.load(Ordering::Relaxed));
    let began = Instant::now();
    tokio::time::sleep_until(until).await;
    let after = of_family(server.id());
    let wall = began.elapsed().as_secs_f64();
    let answered = heartbeats.answered.load(Ordering::Relaxed) - first.1;
    drop(give);
    while let Some(pair) = back.recv().await {
        pairs.push(pair);
    }
    ensure!(pairs.len() == waiting, "{} of {waiting} pairs were lost while idle", waiting - pairs.len());

    let mebibytes = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    let each = after.memory.saturating_sub(before.memory) as f64 / 1024.0 / idle as f64;
    let expected = idle as f64 * wall / HEARTBEAT.as_secs_f64();
    let cpu = (after.processor - first.0.processor).as_secs_f64() / wall * 100.0;
    let mut table = Table::new(&format!("{idle} idle clients, signed in"), &["", "", "goal"]);
    table.row(&["sign-ins a second", &format!("{:.0}", idle as f64 / signed_in.as_secs_f64()), ""]);
    table.row(&["server before, MiB", &format!("{:.1}", mebibytes(before.memory)), ""]);
    table.row(&["server after, MiB", &format!("{:.1}", mebibytes(after.memory)), ""]);
    table.row(&["memory of each client, KiB", &format!("{each:.1}"), ""]);
    table.row(&["heartbeats answered, %", &format!("{:.1}", answered as f64 / expected * 100.0), "100"]);
    table.row(&["connections lost", &heartbeats.lost.load(Ordering::Relaxed).to_string(), "0"]);
    table.row(&["CPU of heartbeats, % of a core", &format!("{cpu:.1}"), ""]);
    print!("{}", table.text());
    Ok(())
}

/// Pairs that call each other, each so often.
struct Load {
    pairs: Vec<(Talker, Talker)>,
    period: Duration,
    seconds: Duration,
}

impl Load {
    /// Gives back the pairs, and what happened when.
    async fn run(self) -> Result<(Vec<(Talker, Talker)>, Vec<Moments>)> {
        let (period, count) = (self.period, self.pairs.len().max(1));
        let end = tokio::time::Instant::now() + self.seconds;
        let mut tasks = JoinSet::new();
        for (at, (mut caller, mut callee)) in self.pairs.into_iter().enumerate() {
            // Spread evenly, not all at the same moment.
            let start = tokio::time::Instant::now() + period.mul_f64(at as f64 / count as f64);
            tasks.spawn(async move {
                let mut pace = tokio::time::interval_at(start, period);
                let mut all = Vec::new();
                while tokio::time::Instant::now() < end {
                    pace.tick().await;
                    all.push(call(&mut caller, &mut callee).await?);
                }
                anyhow::Ok(((caller, callee), all))
            });
        }
        let (mut pairs, mut moments) = (Vec::new(), Vec::new());
        while let Some(done) = tasks.join_next().await {
            let (pair, all) = done.context("a pair has failed")??;
            pairs.push(pair);
            moments.extend(all);
        }
        Ok((pairs, moments))
    }
}
