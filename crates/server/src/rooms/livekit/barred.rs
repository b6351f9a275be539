//! Whose tokens are void, kept in the data directory: a restart lets nobody back in.

use super::reconciler::Bar;
use crate::sqlite;
use anyhow::Result;
use rusqlite::{Connection, params};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const FILE: &str = "barred.sqlite";

const TABLE: &str = "CREATE TABLE barred (
    room TEXT NOT NULL, identity TEXT NOT NULL, until INTEGER NOT NULL, spared TEXT, PRIMARY KEY (room, identity)
) WITHOUT ROWID;";

/// The file. The brain counts time from an origin of its own; here it is in seconds since 1970.
#[derive(Debug)]
pub struct Barred {
    /// `None` after the server has stopped.
    file: Option<Connection>,
    /// The brain's zero.
    origin: Duration,
}

fn seconds(time: Duration) -> i64 {
    i64::try_from(time.as_secs()).unwrap_or(i64::MAX)
}

impl Barred {
    /// Opens the file of a data directory; the brain's time begins now.
    pub fn open(data_dir: &Path) -> Result<Self> {
        Self::open_at(data_dir, SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
    }

    fn open_at(data_dir: &Path, origin: Duration) -> Result<Self> {
        let file = sqlite::open(&data_dir.join(FILE), &[TABLE])?;
        file.execute("DELETE FROM barred WHERE until <= ?1", params![seconds(origin)])?;
        Ok(Self { file: Some(file), origin })
    }

    /// Everyone who is barred, by room and identity.
    pub fn all(&self) -> Result<Vec<(String, String, Bar)>> {
        let Some(file) = &self.file else { return Ok(Vec::new()) };
        let mut query = file.prepare("SELECT room, identity, until, spared FROM barred")?;
        let rows = query.query_map([], |row| {
            let until = Duration::from_secs(u64::try_from(row.get::<_, i64>(2)?).unwrap_or(0));
            let bar = Bar { until: until.saturating_sub(self.origin), spared: row.get(3)? };
            Ok((row.get(0)?, row.get(1)?, bar))
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Somebody is barred until then, or not any more.
    pub fn keep(&self, room: &str, identity: &str, bar: Option<&Bar>) {
        let Some(file) = &self.file else { return };
        let written = match bar {
            Some(bar) => file.execute(
                "INSERT OR REPLACE INTO barred (room, identity, until, spared) VALUES (?1, ?2, ?3, ?4)",
                params![room, identity, seconds(self.origin + bar.until), bar.spared],
            ),
            None => file.execute("DELETE FROM barred WHERE room = ?1 AND identity = ?2", params![room, identity]),
        };
        // This process remembers; the next one does not.
        if let Err(error) = written {
            tracing::error!(%error, "the file of void memberships does not take changes");
        }
    }

    /// Writes no more: the next server of the same directory may start.
    pub fn close(&mut self) {
        self.file = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_outlive_the_process_and_end_by_the_clock() {
        let dir = tempfile::tempdir().unwrap();
        let origin = Duration::from_secs(1_700_000_000);
        let at = |seconds, spared: Option<&str>| {
            let spared = spared.map(str::to_owned);
            Bar { until: Duration::from_secs(seconds), spared }
        };
        let barred = Barred::open_at(dir.path(), origin).unwrap();
        barred.keep("n:1", "alice", Some(&at(50, None)));
        barred.keep("n:1", "bob", Some(&at(500, None)));
        barred.keep("n:1", "carol", Some(&at(500, Some("PA_1"))));
        barred.keep("n:1", "dave", Some(&at(500, None)));
        barred.keep("n:1", "dave", None);
        drop(barred);
        let barred = Barred::open_at(dir.path(), origin + Duration::from_secs(100)).unwrap();
        let row = |who: &str, bar| ("n:1".to_owned(), who.to_owned(), bar);
        assert_eq!(barred.all().unwrap(), [row("bob", at(400, None)), row("carol", at(400, Some("PA_1")))]);
    }
}
