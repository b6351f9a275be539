//! The two tables: lives of rooms, and stays in them. Times are seconds since 1970 and come from outside.

use super::{Found, Page, RETENTION, RoomRecord, RoomsQuery, StayRecord, UsersQuery, as_written};
use crate::rooms::{RoomEvent, RoomInfo};
use anyhow::Result;
use protocol::RoomId;
use rusqlite::{Connection, OptionalExtension as _, ToSql, Transaction, named_params, params};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

const FILE: &str = "records.sqlite";

/// `wire` is the name on the LiveKit wire; `room` is how people write it, the same for 5 and "5".
const TABLES: &str = "
    CREATE TABLE rooms (
        id INTEGER PRIMARY KEY, wire TEXT NOT NULL, room TEXT NOT NULL, created INTEGER NOT NULL, destroyed INTEGER,
        creator TEXT NOT NULL, UNIQUE (room, created));
    CREATE INDEX rooms_open ON rooms (wire) WHERE destroyed IS NULL;
    CREATE TABLE stays (
        id INTEGER PRIMARY KEY, room_id INTEGER NOT NULL REFERENCES rooms (id) ON DELETE CASCADE,
        user TEXT NOT NULL, joined INTEGER NOT NULL, gone INTEGER);
    CREATE INDEX stays_of_room ON stays (room_id);
    CREATE TABLE alive (at INTEGER NOT NULL);";

/// The open tables. One process at a time holds them.
#[derive(Debug)]
pub(super) struct Table {
    db: Connection,
    /// When the server was last known to run before this start; taken at the first comparison.
    ended: Option<u64>,
}

impl Table {
    pub fn open(data_dir: &Path) -> Result<Self> {
        let db = crate::sqlite::open(&data_dir.join(FILE), &[TABLES])?;
        let ended: Option<i64> = db.query_row("SELECT at FROM alive", [], |row| row.get(0)).optional()?;
        Ok(Self { db, ended: ended.map(from_sql) })
    }

    /// Takes in what happened. Taking the same twice changes nothing.
    pub fn take(&mut self, event: &RoomEvent, now: u64) -> Result<()> {
        let write = self.db.transaction()?;
        match event {
            RoomEvent::Joined { room, who } => join(&write, room, &who.identity, now)?,
            RoomEvent::Left { room, who, .. } => leave(&write, room, Some(&who.identity), now)?,
            RoomEvent::Finished { room, .. } => finish(&write, room, now)?,
            // A room lives from the first one who comes, not from its opening: most that ring are never entered.
            RoomEvent::Started { .. }
            | RoomEvent::Published { .. }
            | RoomEvent::Unpublished { .. }
            | RoomEvent::Muted { .. }
            | RoomEvent::Permitted { .. } => return Ok(()),
        }
        Ok(write.commit()?)
    }

    /// Makes the records agree with who is where. What had ended before a start ended when the server was last known to
    /// run, everything else now.
    pub fn compare(&mut self, present: &[RoomInfo], now: u64) -> Result<()> {
        let ended = self.ended.take().unwrap_or(now).min(now);
        let write = self.db.transaction()?;
        let present: BTreeMap<&str, BTreeSet<&str>> = present
            .iter()
            .map(|info| (info.room.as_str(), info.members.iter().map(|member| member.identity.as_str()).collect()))
            .collect();
        for (room, user) in open_stays(&write)? {
            let is_there = present.get(room.as_str()).is_some_and(|members| members.contains(user.as_str()));
            if !is_there {
                leave(&write, &room, Some(&user), ended)?;
            }
        }
        for room in open_rooms(&write)? {
            if present.get(room.as_str()).is_none_or(BTreeSet::is_empty) {
                finish(&write, &room, ended)?;
            }
        }
        for (room, members) in present {
            for user in members {
                join(&write, room, user, now)?;
            }
        }
        Ok(write.commit()?)
    }

    /// Drops what is older than [`RETENTION`].
    pub fn sweep(&mut self, now: u64) -> Result<()> {
        let oldest = to_sql(now.saturating_sub(RETENTION.as_secs()));
        self.db.execute("DELETE FROM stays WHERE gone < ?1", [oldest])?;
        self.db.execute("DELETE FROM rooms WHERE destroyed < ?1", [oldest])?;
        self.note_alive(now)
    }

    /// The server runs.
    pub fn note_alive(&mut self, now: u64) -> Result<()> {
        let write = self.db.transaction()?;
        write.execute("DELETE FROM alive", [])?;
        write.execute("INSERT INTO alive (at) VALUES (?1)", [to_sql(now)])?;
        Ok(write.commit()?)
    }

    pub fn rooms(&self, query: &RoomsQuery, now: u64) -> Result<Found<RoomRecord>> {
        const WHERE: &str = "FROM rooms WHERE created <= :to AND coalesce(destroyed, :now) >= :from
             AND (:room IS NULL OR room = :room)";
        let (from, to, now) = (to_sql(query.from), to_sql(query.to), to_sql(now));
        let bound = named_params! {":from": from, ":to": to, ":now": now, ":room": query.room};
        let columns = "room, creator, created, destroyed";
        self.page(WHERE, columns, "created, id", bound, query.page, |row| {
            let (created, destroyed) = (from_sql(row.get(2)?), row.get::<_, Option<i64>>(3)?.map(from_sql));
            Ok(RoomRecord { room: row.get(0)?, creator: row.get(1)?, created, destroyed })
        })
    }

    pub fn users(&self, query: &UsersQuery, now: u64) -> Result<Found<StayRecord>> {
        const WHERE: &str = "FROM stays JOIN rooms ON rooms.id = room_id WHERE room = :room AND created = :created
             AND joined <= :to AND coalesce(gone, :now) >= :from
             AND (:users = '[]' OR user IN (SELECT value FROM json_each(:users)))";
        let (from, to, now) = (to_sql(query.from), to_sql(query.to), to_sql(now));
        let (users, created) = (serde_json::to_string(&query.users)?, to_sql(query.created));
        let bound = named_params! {
            ":room": query.room, ":created": created, ":from": from, ":to": to, ":now": now, ":users": users,
        };
        self.page(WHERE, "user, joined, gone", "joined, stays.id", bound, query.page, |row| {
            let (joined, left) = (from_sql(row.get(1)?), row.get::<_, Option<i64>>(2)?.map(from_sql));
            Ok(StayRecord { user: row.get(0)?, joined, left })
        })
    }

    fn page<T>(
        &self,
        matching: &str,
        columns: &str,
        order: &str,
        bound: &[(&str, &dyn ToSql)],
        page: Page,
        read: impl FnMut(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Found<T>> {
        let mut count = self.db.prepare_cached(&format!("SELECT count(*) {matching}"))?;
        let total = from_sql(count.query_row(bound, |row| row.get(0))?);
        let text = format!("SELECT {columns} {matching} ORDER BY {order} LIMIT :size OFFSET :skip");
        let (size, skip) = (to_sql(page.size), to_sql(page.number.saturating_mul(page.size)));
        let limits: [(&str, &dyn ToSql); 2] = [(":size", &size), (":skip", &skip)];
        let bound: Vec<_> = bound.iter().copied().chain(limits).collect();
        let mut rows = self.db.prepare_cached(&text)?;
        let rows = rows.query_map(bound.as_slice(), read)?.collect::<Result<_, _>>()?;
        Ok(Found { total, rows })
    }
}

/// The database counts with a sign.
fn to_sql(number: u64) -> i64 {
    number.try_into().unwrap_or(i64::MAX)
}

fn from_sql(number: i64) -> u64 {
    number.try_into().unwrap_or(0)
}

fn open_stays(write: &Transaction<'_>) -> Result<Vec<(String, String)>> {
    let mut query =
        write.prepare("SELECT wire, user FROM stays JOIN rooms ON rooms.id = room_id WHERE gone IS NULL")?;
    Ok(query.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_, _>>()?)
}

fn open_rooms(write: &Transaction<'_>) -> Result<Vec<String>> {
    let mut query = write.prepare("SELECT wire FROM rooms WHERE destroyed IS NULL")?;
    Ok(query.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?)
}

fn open_room(write: &Transaction<'_>, wire: &str) -> Result<Option<i64>> {
    let mut query = write.prepare_cached("SELECT id FROM rooms WHERE wire = ?1 AND destroyed IS NULL")?;
    Ok(query.query_row([wire], |row| row.get(0)).optional()?)
}

fn join(write: &Transaction<'_>, wire: &str, user: &str, now: u64) -> Result<()> {
    // Others are none of the call plane's business, and cannot be asked for.
    let Ok(room) = RoomId::from_wire_name(wire) else { return Ok(()) };
    let id = match open_room(write, wire)? {
        Some(id) => id,
        None => {
            let room = as_written(&room);
            let last: Option<i64> =
                write.query_row("SELECT max(created) FROM rooms WHERE room = ?1", [&room], |row| row.get(0))?;
            // No two lives share a CommId: not the same room within a second, not 5 and "5".
            let created = last.map_or(to_sql(now), |last| to_sql(now).max(last.saturating_add(1)));
            let columns = "INSERT INTO rooms (wire, room, created, creator) VALUES (?1, ?2, ?3, ?4)";
            write.execute(columns, params![wire, room, created, user])?;
            write.last_insert_rowid()
        }
    };
    write.execute(
        "INSERT INTO stays (room_id, user, joined) SELECT ?1, ?2, ?3
         WHERE NOT EXISTS (SELECT 1 FROM stays WHERE room_id = ?1 AND user = ?2 AND gone IS NULL)",
        params![id, user, to_sql(now)],
    )?;
    Ok(())
}

/// Ends one stay, or all in the room.
fn leave(write: &Transaction<'_>, wire: &str, user: Option<&str>, now: u64) -> Result<()> {
    if let Some(id) = open_room(write, wire)? {
        write.execute(
            "UPDATE stays SET gone = max(joined, ?3) WHERE room_id = ?1 AND gone IS NULL AND (?2 IS NULL OR user = ?2)",
            params![id, user, to_sql(now)],
        )?;
    }
    Ok(())
}

fn finish(write: &Transaction<'_>, wire: &str, now: u64) -> Result<()> {
    leave(write, wire, None, now)?;
    let end = "UPDATE rooms SET destroyed = max(created, ?2) WHERE wire = ?1 AND destroyed IS NULL";
    write.execute(end, params![wire, to_sql(now)])?;
    Ok(())
}

#[cfg(test)]
mod tests;
