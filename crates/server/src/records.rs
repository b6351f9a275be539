//! Which rooms there were and who was in them: kept for 14 days, fed by the rooms' events, read by administrators.
//!
//! ```text
//! Rooms::events ──▶ feed (task) ──Command──▶ table (thread, records.sqlite) ◀──Command── administration API
//! ```
//!
//! In a file and on a thread of their own, apart from the store of calls: a report over two weeks must not hold up a
//! ring. Rooms that [`RoomId`] cannot name are not recorded.

mod feed;
mod table;

use crate::rooms::{RoomEvent, RoomInfo, Rooms};
use anyhow::Result;
use protocol::RoomId;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use table::Table;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

/// How long records are kept after a room ended or somebody left it.
pub const RETENTION: Duration = Duration::from_secs(14 * 86_400);

/// Commands waiting for the thread. When full, feed and administrators wait; a feed that falls behind asks the rooms
/// who is there.
const COMMAND_CAPACITY: usize = 256;

/// The rows from `number * size` on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// From 0.
    pub number: u64,
    /// Rows.
    pub size: u64,
}

/// Which rooms: those that existed at some time from `from` to `to` (seconds since 1970, both included).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomsQuery {
    /// Begin.
    pub from: u64,
    /// End.
    pub to: u64,
    /// Only rooms of this number or text, as people write it.
    pub room: Option<String>,
    /// Which part of the answer.
    pub page: Page,
}

/// Who was in one room, at some time from `from` to `to` (seconds since 1970, both included).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsersQuery {
    /// Number or text, as people write it.
    pub room: String,
    /// When that room was created.
    pub created: u64,
    /// Begin.
    pub from: u64,
    /// End.
    pub to: u64,
    /// Only these; empty: everybody.
    pub users: Vec<String>,
    /// Which part of the answer.
    pub page: Page,
}

/// One part of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found<T> {
    /// Rows of all parts.
    pub total: u64,
    /// This part, oldest first.
    pub rows: Vec<T>,
}

/// A room's life. Times are seconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomRecord {
    /// Number or text, as people write it.
    pub room: String,
    /// When the first one came. No two lives of one `room` have the same.
    pub created: u64,
    /// When it ended; `None` while it lives.
    pub destroyed: Option<u64>,
    /// Who came first.
    pub creator: String,
}

/// Somebody's stay in a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StayRecord {
    /// Who.
    pub user: String,
    /// From when, seconds since 1970.
    pub joined: u64,
    /// Until when; `None` while it lasts.
    pub left: Option<u64>,
}

/// The documented name of one life of a room: `SdkAppId_RoomId_CreateTime`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommId {
    /// The application.
    pub sdk_app_id: u64,
    /// Number or text, as people write it; a text may hold underscores.
    pub room: String,
    /// Seconds since 1970.
    pub created: u64,
}

impl CommId {
    /// Reads one back.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (sdk_app_id, rest) = text.split_once('_')?;
        let (room, created) = rest.rsplit_once('_')?;
        let number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten();
        Some(Self { sdk_app_id: number(sdk_app_id)?, room: room.to_owned(), created: number(created)? })
    }
}

impl std::fmt::Display for CommId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}_{}_{}", self.sdk_app_id, self.room, self.created)
    }
}

/// How people write a room; a number and a text may look the same.
fn as_written(room: &RoomId) -> String {
    match room {
        RoomId::Number(number) => number.to_string(),
        RoomId::Text(text) => text.clone(),
    }
}

/// What reaches the thread. `now` is in seconds since 1970.
#[derive(Debug)]
enum Command {
    Event {
        event: RoomEvent,
        now: u64,
    },
    /// Who is where. The first one after a start closes what had ended meanwhile.
    Present {
        rooms: Vec<RoomInfo>,
        now: u64,
    },
    /// A minute has passed.
    Tick {
        now: u64,
    },
    Rooms {
        query: RoomsQuery,
        now: u64,
        reply: oneshot::Sender<Found<RoomRecord>>,
    },
    Users {
        query: UsersQuery,
        now: u64,
        reply: oneshot::Sender<Found<StayRecord>>,
    },
    Stop {
        now: u64,
    },
}

/// The records cannot be read: their file is damaged, or the server is stopping.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the records cannot be read")]
pub struct RecordsGone;

/// The way to the records.
#[derive(Clone, Debug)]
pub struct RecordsReader(mpsc::Sender<Command>);

impl RecordsReader {
    async fn ask<T>(&self, command: impl FnOnce(oneshot::Sender<T>) -> Command) -> Result<T, RecordsGone> {
        let (reply, answer) = oneshot::channel();
        self.0.send(command(reply)).await.map_err(|_| RecordsGone)?;
        answer.await.map_err(|_| RecordsGone)
    }

    /// Which rooms there were.
    pub async fn rooms(&self, query: RoomsQuery, now: u64) -> Result<Found<RoomRecord>, RecordsGone> {
        self.ask(|reply| Command::Rooms { query, now, reply }).await
    }

    /// Who was in a room.
    pub async fn users(&self, query: UsersQuery, now: u64) -> Result<Found<StayRecord>, RecordsGone> {
        self.ask(|reply| Command::Users { query, now, reply }).await
    }
}

/// The running records.
#[derive(Debug)]
pub struct Records {
    reader: RecordsReader,
    stop: watch::Sender<bool>,
    /// `None` after the shutdown.
    running: Option<(JoinHandle<()>, std::thread::JoinHandle<()>)>,
}

impl Records {
    /// Opens the file in `data_dir` and follows `rooms` from now on. Has to be called inside a runtime.
    pub fn start(data_dir: &Path, rooms: Arc<dyn Rooms>) -> Result<Self> {
        let mut table = Table::open(data_dir)?;
        let (commands, mut inbox) = mpsc::channel(COMMAND_CAPACITY);
        let thread = std::thread::Builder::new().name("records".to_owned()).spawn(move || {
            while let Some(command) = inbox.blocking_recv() {
                let is_last = matches!(command, Command::Stop { .. });
                if let Err(error) = carry_out(&mut table, command) {
                    tracing::error!(%error, "the records do not take or give something");
                }
                if is_last {
                    return;
                }
            }
        })?;
        let (stop, stopped) = watch::channel(false);
        let feed = tokio::spawn(feed::run(rooms, commands.clone(), stopped));
        Ok(Self { reader: RecordsReader(commands), stop, running: Some((feed, thread)) })
    }

    /// The way to them.
    #[must_use]
    pub fn reader(&self) -> RecordsReader {
        self.reader.clone()
    }

    /// Takes in what the rooms have said so far, and closes the file.
    pub async fn shutdown(&mut self) {
        self.stop.send_replace(true);
        let Some((feed, thread)) = self.running.take() else { return };
        let ended = feed.await.is_ok()
            && tokio::task::spawn_blocking(move || thread.join()).await.is_ok_and(|thread| thread.is_ok());
        if !ended {
            tracing::error!("the records have panicked");
        }
    }
}

fn carry_out(table: &mut Table, command: Command) -> Result<()> {
    match command {
        Command::Event { event, now } => table.take(&event, now),
        Command::Present { rooms, now } => table.compare(&rooms, now),
        Command::Tick { now } => table.sweep(now),
        Command::Stop { now } => table.note_alive(now),
        // Whoever asked may be gone.
        Command::Rooms { query, now, reply } => table.rooms(&query, now).map(|found| drop(reply.send(found))),
        Command::Users { query, now, reply } => table.users(&query, now).map(|found| drop(reply.send(found))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_comm_id_names_application_room_and_time() {
        let comm = CommId::parse("1400000000_218695_1590065777").unwrap();
        assert_eq!(comm, CommId { sdk_app_id: 1_400_000_000, room: "218695".to_owned(), created: 1_590_065_777 });
        for text in ["", "1_2", "1_2_", "_2_3", "x_2_3", "1_2_x", "1_2_-3", "+1_2_3"] {
            assert_eq!(CommId::parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_comm_id_comes_back(sdk_app_id: u64, room in "[a-z0-9_ -]{1,20}", created: u64) {
            let comm = CommId { sdk_app_id, room, created };
            prop_assert_eq!(CommId::parse(&comm.to_string()), Some(comm));
        }
    }
}
