//! The tokens that are out, by the membership that they open, and those of them that are void. It outlives the process:
//! a token that was void before a restart is void after it.
//!
//! A token is known here by a hash of its signature: nobody can make one up out of the file.

use crate::sqlite;
use anyhow::Result;
use rusqlite::{Connection, params};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

const FILE: &str = "tokens.sqlite";

/// Between two sweeps of expired entries.
const SWEEP_INTERVAL: Duration = Duration::from_secs(60);

/// The clock difference that the verifier forgives: entries live as long as it could still accept their token.
const LEEWAY_SECONDS: u64 = 120;

/// Hashes of tokens, with their expiry in seconds since 1970.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    known: BTreeMap<(String, String), BTreeMap<String, u64>>,
    void: BTreeMap<String, u64>,
    swept: u64,
    /// `None`: nothing is kept beyond the process.
    file: Option<Connection>,
}

impl Ledger {
    /// Goes on with what a data directory holds.
    pub fn open(data_dir: &Path) -> Result<Self> {
        let file = sqlite::open(&data_dir.join(FILE), &[TABLE])?;
        let mut ledger = Self::default();
        let mut query = file.prepare("SELECT print, room, identity, expires, void FROM tokens")?;
        let rows = query.query_map([], |row| {
            let membership: (String, String) = (row.get(1)?, row.get(2)?);
            Ok((row.get::<_, String>(0)?, membership, row.get::<_, i64>(3)?, row.get::<_, bool>(4)?))
        })?;
        for row in rows {
            let (print, membership, expires, is_void) = row?;
            let expires = u64::try_from(expires).unwrap_or(0);
            if is_void {
                ledger.void.insert(print, expires);
            } else {
                ledger.known.entry(membership).or_default().insert(print, expires);
            }
        }
        drop(query);
        ledger.file = Some(file);
        Ok(ledger)
    }

    /// A token of a membership was minted or shown.
    pub fn remember(&mut self, room: &str, identity: &str, token: &str, expires: u64, now: u64) {
        self.sweep(now);
        let tokens = self.known.entry((room.to_owned(), identity.to_owned())).or_default();
        let print = print(token);
        if tokens.insert(print.clone(), expires).is_none() {
            let sql = "INSERT OR REPLACE INTO tokens (print, room, identity, expires, void) VALUES (?1, ?2, ?3, ?4, 0)";
            self.write(sql, params![print, room, identity, seconds(expires)]);
        }
    }

    /// Makes all tokens of a membership void that were remembered so far.
    pub fn void(&mut self, room: &str, identity: &str) {
        if let Some(tokens) = self.known.remove(&(room.to_owned(), identity.to_owned())) {
            self.void.extend(tokens);
            self.write("UPDATE tokens SET void = 1 WHERE room = ?1 AND identity = ?2", params![room, identity]);
        }
    }

    /// Whether a token was made void.
    pub fn is_void(&self, token: &str) -> bool {
        self.void.contains_key(&print(token))
    }

    /// Writes no more.
    pub fn close(&mut self) {
        self.file = None;
    }

    fn sweep(&mut self, now: u64) {
        if now < self.swept + SWEEP_INTERVAL.as_secs() {
            return;
        }
        self.swept = now;
        let oldest = now.saturating_sub(LEEWAY_SECONDS);
        let alive = |expires: &u64| *expires > oldest;
        self.void.retain(|_, expires| alive(expires));
        self.known.retain(|_, tokens| {
            tokens.retain(|_, expires| alive(expires));
            !tokens.is_empty()
        });
        self.write("DELETE FROM tokens WHERE expires <= ?1", params![seconds(oldest)]);
    }

    /// A file that fails does not keep anybody out or in: this process remembers, the next one does not.
    fn write(&self, sql: &str, values: impl rusqlite::Params) {
        let Some(file) = &self.file else { return };
        let written = file.prepare_cached(sql).and_then(|mut statement| statement.execute(values));
        if let Err(error) = written {
            tracing::error!(%error, "the file of room tokens does not take changes");
        }
    }
}

const TABLE: &str = "CREATE TABLE tokens (
    print TEXT PRIMARY KEY, room TEXT NOT NULL, identity TEXT NOT NULL, expires INTEGER NOT NULL, void INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX tokens_by_membership ON tokens (room, identity);";

fn seconds(time: u64) -> i64 {
    i64::try_from(time).unwrap_or(i64::MAX)
}

/// Of the signature alone: the part of a token that nobody without the secret can make up.
fn print(token: &str) -> String {
    let signature = token.rsplit('.').next().unwrap_or_default();
    Sha256::digest(signature.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_700_000_000;

    #[test]
    fn what_was_void_stays_void_and_what_was_good_can_still_become_void() {
        let dir = tempfile::tempdir().unwrap();
        let mut ledger = Ledger::open(dir.path()).unwrap();
        ledger.remember("r", "bob", "a.b.removed", NOW + 300, NOW);
        ledger.void("r", "bob");
        ledger.remember("r", "bob", "a.b.again", NOW + 300, NOW);
        ledger.remember("r", "carol", "a.b.other", NOW + 300, NOW);
        drop(ledger);
        let mut ledger = Ledger::open(dir.path()).unwrap();
        assert!(ledger.is_void("a.b.removed") && !ledger.is_void("a.b.again"));
        ledger.void("r", "bob");
        drop(ledger);
        let ledger = Ledger::open(dir.path()).unwrap();
        assert!(ledger.is_void("a.b.removed") && ledger.is_void("a.b.again") && !ledger.is_void("a.b.other"));
    }

    #[test]
    fn expired_tokens_are_forgotten_in_memory_and_in_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let mut ledger = Ledger::open(dir.path()).unwrap();
        ledger.remember("r", "bob", "a.b.old", NOW + 300, NOW);
        ledger.void("r", "bob");
        ledger.remember("r", "carol", "a.b.known", NOW + 300, NOW);
        ledger.remember("r", "dora", "a.b.first", NOW + 900, NOW + 300 + LEEWAY_SECONDS - 1);
        assert!(ledger.is_void("a.b.old"), "a verifier could still accept it");
        ledger.remember("r", "dora", "a.b.second", NOW + 900, NOW + 300 + LEEWAY_SECONDS + SWEEP_INTERVAL.as_secs());
        assert!(!ledger.is_void("a.b.old"));
        let rows = ledger.file.as_ref().unwrap().query_row("SELECT count(*) FROM tokens", [], |row| row.get(0));
        assert_eq!(rows, Ok(2i64));
        assert_eq!(ledger.known.len(), 1);
    }

    #[test]
    fn the_file_holds_no_signature() {
        let dir = tempfile::tempdir().unwrap();
        let mut ledger = Ledger::open(dir.path()).unwrap();
        ledger.remember("r", "bob", "header.payload.a-signature-in-full", NOW + 300, NOW);
        drop(ledger);
        for entry in std::fs::read_dir(dir.path()).unwrap() {
            let bytes = std::fs::read(entry.unwrap().path()).unwrap();
            assert!(!String::from_utf8_lossy(&bytes).contains("a-signature-in-full"));
        }
    }
}
