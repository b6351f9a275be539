//! The embedded store: calls under way, sessions with their outboxes, who is known, and the records of calls that are over,
//! in one SQLite file.
//!
//! All changes of one input go into one transaction. Each row carries a version and is only replaced where it still has
//! the version that this process wrote: a second writer is noticed, never overwritten.

mod records;

use anyhow::{Result, bail};
use call::switchboard::{Account, Change, Stored};
use protocol::{ExitReason, RoomId, UserId};
use rusqlite::{Connection, OptionalExtension as _, Transaction, TransactionBehavior, params};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::SystemTime;

const FILE: &str = "ahoy.sqlite";

/// Each step of the tables' history, in order.
const SCHEMA: [&str; 3] = [
    "CREATE TABLE users (id TEXT PRIMARY KEY) WITHOUT ROWID;
     CREATE TABLE calls (id TEXT PRIMARY KEY, version INTEGER NOT NULL, body TEXT NOT NULL);
     CREATE TABLE sessions (id TEXT PRIMARY KEY, version INTEGER NOT NULL, body TEXT NOT NULL);",
    records::TABLES,
    "CREATE TABLE put_out (room TEXT NOT NULL, user TEXT NOT NULL, reason INTEGER NOT NULL, PRIMARY KEY (room, user))
     WITHOUT ROWID;",
];

/// The open store. One process at a time holds it.
#[derive(Debug)]
pub struct Store {
    db: Connection,
    /// Version of each row as this process knows it, by table and key.
    versions: BTreeMap<(Table, String), i64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Table {
    Calls,
    Sessions,
}

impl Table {
    fn name(self) -> &'static str {
        match self {
            Self::Calls => "calls",
            Self::Sessions => "sessions",
        }
    }
}

impl Store {
    /// Opens the store of a data directory, making it where it is missing.
    pub fn open(data_dir: &Path) -> Result<Self> {
        let db = crate::sqlite::open(&data_dir.join(FILE), &SCHEMA)?;
        Ok(Self { db, versions: BTreeMap::new() })
    }

    /// Everything that was under way. Rows that this version cannot read are dropped with a warning: a server that
    /// starts is worth more than a call of another version.
    pub fn load(&mut self) -> Result<Stored> {
        let (calls, sessions) = (self.rows(Table::Calls)?, self.rows(Table::Sessions)?);
        records::forget_old(&self.db, SystemTime::now().into())?;
        let put_out = self.put_out()?;
        let mut query = self.db.prepare("SELECT id, body FROM users")?;
        let rows = query.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))?;
        let user = |(id, body): (String, String)| {
            // What cannot be read is only what the user can say again.
            let account: Account = serde_json::from_str(&body).unwrap_or_default();
            Some((UserId::new(id).ok()?, account))
        };
        let users = rows.filter_map(|row| user(row.ok()?)).collect();
        Ok(Stored { calls, sessions, users, put_out })
    }

    fn put_out(&self) -> Result<Vec<(RoomId, UserId, ExitReason)>> {
        let mut query = self.db.prepare("SELECT room, user, reason FROM put_out")?;
        let rows = query
            .query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?, row.get::<_, u8>(2)?)))?;
        let known = |(room, user, reason): (String, String, u8)| {
            Some((RoomId::from_wire_name(&room).ok()?, UserId::new(user).ok()?, reason.try_into().ok()?))
        };
        Ok(rows.filter_map(|row| known(row.ok()?)).collect())
    }

    fn rows<T: DeserializeOwned>(&mut self, table: Table) -> Result<Vec<T>> {
        let mut query = self.db.prepare(&format!("SELECT id, version, body FROM {}", table.name()))?;
        let rows: Vec<(String, i64, String)> =
            query.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?.collect::<Result<_, _>>()?;
        let mut found = Vec::new();
        for (id, version, body) in rows {
            match serde_json::from_str(&body) {
                Ok(item) => {
                    found.push(item);
                    self.versions.insert((table, id), version);
                }
                Err(_) => {
                    tracing::warn!(table = table.name(), "dropped a row that this version cannot read");
                    self.db.execute(&format!("DELETE FROM {} WHERE id = ?1", table.name()), [&id])?;
                }
            }
        }
        Ok(found)
    }

    /// Writes all of it or nothing.
    pub fn commit(&mut self, changes: &[Change]) -> Result<()> {
        if changes.is_empty() {
            return Ok(());
        }
        let write = self.db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut written = Vec::new();
        for change in changes {
            match change {
                Change::Call(id, call) => {
                    let row = (Table::Calls, id.as_str().to_owned());
                    written.push((row.clone(), put(&write, &row, self.versions.get(&row), call.as_deref())?));
                }
                Change::Session(name, session) => {
                    let row = (Table::Sessions, name.clone());
                    written.push((row.clone(), put(&write, &row, self.versions.get(&row), session.as_deref())?));
                }
                Change::User(user, account) => {
                    write
                        .prepare_cached("INSERT OR REPLACE INTO users (id, body) VALUES (?1, ?2)")?
                        .execute([user.as_str(), &serde_json::to_string(account)?])?;
                }
                Change::Log(log) => records::insert(&write, log)?,
                Change::Forget(user, call) => records::delete(&write, user, call)?,
                Change::PutOut(room, user, Some(reason)) => {
                    write
                        .prepare_cached("INSERT OR REPLACE INTO put_out (room, user, reason) VALUES (?1, ?2, ?3)")?
                        .execute(params![room, user.as_str(), u8::from(*reason)])?;
                }
                Change::PutOut(room, user, None) => {
                    write
                        .prepare_cached("DELETE FROM put_out WHERE room = ?1 AND user = ?2")?
                        .execute([room, user.as_str()])?;
                }
            }
        }
        write.commit()?;
        for (row, version) in written {
            match version {
                Some(version) => self.versions.insert(row, version),
                None => self.versions.remove(&row),
            };
        }
        Ok(())
    }
}

/// Writes or removes one row by compare-and-set; gives back its new version.
fn put<T: Serialize>(
    write: &Transaction<'_>,
    (table, id): &(Table, String),
    known: Option<&i64>,
    body: Option<&T>,
) -> Result<Option<i64>> {
    let table = table.name();
    let now: Option<i64> = write
        .prepare_cached(&format!("SELECT version FROM {table} WHERE id = ?1"))?
        .query_row([id], |row| row.get(0))
        .optional()?;
    if now.as_ref() != known {
        bail!("a row of {table} was changed by another server");
    }
    let Some(body) = body else {
        write.prepare_cached(&format!("DELETE FROM {table} WHERE id = ?1"))?.execute([id])?;
        return Ok(None);
    };
    let version = now.unwrap_or(0) + 1;
    write
        .prepare_cached(&format!("INSERT OR REPLACE INTO {table} (id, version, body) VALUES (?1, ?2, ?3)"))?
        .execute(params![id, version, serde_json::to_string(body)?])?;
    Ok(Some(version))
}

#[cfg(test)]
mod tests {
    use super::*;
    use call::Call;
    use protocol::message::PlaceCall;
    use protocol::{CallId, CallMediaType, DeviceId, RoomId, UnixMillis};
    use std::collections::BTreeSet;

    fn user(name: &str) -> UserId {
        UserId::new(name).unwrap()
    }

    fn ringing(id: &str) -> Call {
        let wish = PlaceCall {
            callee_id_list: vec![user("bob")],
            call_media_type: CallMediaType::Video,
            user_data: String::new(),
            timeout: None,
            room_id: None,
            group_id: String::new(),
        };
        let caller = (user("alice"), DeviceId::new("d").unwrap());
        let id = CallId::new(id).unwrap();
        Call::place(id, RoomId::number(5).unwrap(), caller, wish, &BTreeSet::new(), UnixMillis(1))
    }

    fn stored(mut call: Call) -> Call {
        while call.poll_output().is_some() {}
        call
    }

    #[test]
    fn what_is_stored_comes_back_and_what_is_over_does_not() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Store::open(dir.path()).unwrap();
        let (a, b) = (stored(ringing("a")), stored(ringing("b")));
        let put = |call: &Call| Change::Call(call.id().clone(), Some(Box::new(call.clone())));
        store.commit(&[put(&a), put(&b), Change::User(user("alice"), Account::default())]).unwrap();
        let put_out = |name: &str, reason| Change::PutOut("s:tea".to_owned(), user(name), reason);
        let (removed, dismissed) = (Some(ExitReason::Removed), Some(ExitReason::Dismissed));
        store.commit(&[put_out("alice", removed), put_out("bob", removed)]).unwrap();
        store.commit(&[Change::Call(a.id().clone(), None), put(&b)]).unwrap();
        store.commit(&[put_out("alice", None), put_out("bob", dismissed)]).unwrap();
        drop(store);
        let back = Store::open(dir.path()).unwrap().load().unwrap();
        assert_eq!(back.calls, [b]);
        assert_eq!(back.put_out, [(RoomId::text("tea").unwrap(), user("bob"), ExitReason::Dismissed)]);
        assert_eq!(back.users, [(user("alice"), Account::default())]);
    }

    #[test]
    fn a_store_of_the_first_version_is_taken_over_and_one_of_a_later_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let old = Connection::open(dir.path().join(FILE)).unwrap();
        old.execute_batch(SCHEMA[0]).unwrap();
        old.execute_batch("INSERT INTO users VALUES ('alice'); PRAGMA user_version = 1").unwrap();
        drop(old);
        let mut store = Store::open(dir.path()).unwrap();
        assert_eq!(store.load().unwrap().users, [(user("alice"), Account::default())]);
        store.db.pragma_update(None, "user_version", 4).unwrap();
        drop(store);
        let error = Store::open(dir.path()).unwrap_err();
        assert!(format!("{error:#}").contains("newer version"), "{error:#}");
    }

    #[test]
    fn a_second_server_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let first = Store::open(dir.path()).unwrap();
        let error = Store::open(dir.path()).unwrap_err();
        assert!(format!("{error:#}").contains("in use by another server"), "{error:#}");
        drop(first);
        Store::open(dir.path()).unwrap();
    }

    #[test]
    fn a_row_changed_behind_our_back_fails_the_whole_transaction() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Store::open(dir.path()).unwrap();
        let call = stored(ringing("a"));
        let change = Change::Call(call.id().clone(), Some(Box::new(call)));
        store.commit(std::slice::from_ref(&change)).unwrap();
        store.db.execute("UPDATE calls SET version = version + 1", []).unwrap();
        assert!(store.commit(&[Change::User(user("carol"), Account::default()), change]).is_err());
        assert_eq!(store.load().unwrap().users, []);
    }
}
