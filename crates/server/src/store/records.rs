//! Records of calls that are over: one row for the call, one for each participant who has not deleted theirs.

use super::Store;
use anyhow::Result;
use call::call::CallLog;
use protocol::record::RECORDS_LIMIT;
use protocol::{CallId, CallRecord, RecordFilter, UnixMillis, UserId};
use rusqlite::{Connection, Transaction, params};
use std::time::Duration;

/// How long records are kept. Tencent's server keeps them for 7 days, its clients for ever; here the client keeps
/// nothing, and somebody who was away for a season still finds who called.
const KEPT: Duration = Duration::from_secs(90 * 86_400);

/// The second step of the schema: what is known of users, and the records.
pub(super) const TABLES: &str = "
    ALTER TABLE users ADD COLUMN body TEXT NOT NULL DEFAULT '{}';
    CREATE TABLE records (call_id TEXT PRIMARY KEY, ended_at INTEGER NOT NULL, body TEXT NOT NULL);
    CREATE INDEX records_by_age ON records (ended_at);
    CREATE TABLE record_readers (
        user TEXT NOT NULL, begin_time INTEGER NOT NULL, call_id TEXT NOT NULL, result INTEGER NOT NULL,
        PRIMARY KEY (user, begin_time, call_id)
    ) WITHOUT ROWID;
    CREATE INDEX record_readers_by_call ON record_readers (call_id);";

/// SQLite's integers are signed.
fn signed(time: UnixMillis) -> i64 {
    i64::try_from(time.0).unwrap_or(i64::MAX)
}

pub(super) fn insert(write: &Transaction<'_>, log: &CallLog) -> Result<()> {
    let id = log.call_id.as_str();
    let ended_at = log.ended_at.unwrap_or(log.placed_at);
    write
        .prepare_cached("INSERT OR REPLACE INTO records (call_id, ended_at, body) VALUES (?1, ?2, ?3)")?
        .execute(params![id, signed(ended_at), serde_json::to_string(log)?])?;
    for record in log.people.iter().filter_map(|person| Some((&person.user, log.read_by(&person.user)?))) {
        let (user, record) = record;
        write
            .prepare_cached(
                "INSERT OR REPLACE INTO record_readers (user, begin_time, call_id, result) VALUES (?1, ?2, ?3, ?4)",
            )?
            .execute(params![user.as_str(), signed(record.begin_time), id, u8::from(record.result)])?;
    }
    forget_old(write, ended_at)
}

/// Removes what has been kept for long enough.
pub(super) fn forget_old(write: &Connection, now: UnixMillis) -> Result<()> {
    let before = signed(now).saturating_sub(i64::try_from(KEPT.as_millis()).unwrap_or(i64::MAX));
    write
        .prepare_cached(
            "DELETE FROM record_readers WHERE call_id IN (SELECT call_id FROM records WHERE ended_at < ?1)",
        )?
        .execute([before])?;
    write.prepare_cached("DELETE FROM records WHERE ended_at < ?1")?.execute([before])?;
    Ok(())
}

/// Deletes a record for one reader; the call's own row goes with its last reader.
pub(super) fn delete(write: &Transaction<'_>, user: &UserId, call: &CallId) -> Result<()> {
    let deleted = write
        .prepare_cached("DELETE FROM record_readers WHERE user = ?1 AND call_id = ?2")?
        .execute([user.as_str(), call.as_str()])?;
    if deleted > 0 {
        write
            .prepare_cached(
                "DELETE FROM records WHERE call_id = ?1
                 AND NOT EXISTS (SELECT 1 FROM record_readers WHERE call_id = ?1)",
            )?
            .execute([call.as_str()])?;
    }
    Ok(())
}

impl Store {
    /// One reader's records that the filter wants, the newest first; one more than fit on a page, where there are more.
    pub fn records(&self, user: &UserId, filter: &RecordFilter) -> Result<Vec<CallRecord>> {
        let (cursor_time, cursor_call) = match &filter.cursor {
            Some(cursor) => (signed(cursor.begin_time), cursor.call_id.as_str()),
            None => (i64::MAX, ""),
        };
        let mut query = self.db.prepare_cached(
            "SELECT body FROM record_readers JOIN records USING (call_id)
             WHERE user = ?1 AND begin_time >= ?2 AND begin_time <= ?3 AND (?4 = 0 OR result = ?4)
               AND (begin_time < ?5 OR (begin_time = ?5 AND record_readers.call_id < ?6))
             ORDER BY begin_time DESC, record_readers.call_id DESC LIMIT ?7",
        )?;
        let rows = query.query_map(
            params![
                user.as_str(),
                filter.begin.map_or(0, signed),
                filter.end.map_or(i64::MAX, signed),
                filter.result_type.map_or(0, u8::from),
                cursor_time,
                cursor_call,
                filter.limit.unwrap_or(RECORDS_LIMIT) + 1,
            ],
            |row| row.get::<_, String>(0),
        )?;
        let mut records = Vec::new();
        for body in rows {
            let log: CallLog = serde_json::from_str(&body?)?;
            records.extend(log.read_by(user));
        }
        Ok(records)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use call::call::LoggedPerson;
    use call::switchboard::Change;
    use protocol::{CallEndReason, CallMediaType, CallRole, CallScene, RecordCursor, RecordResult, RoomId};

    fn user(name: &str) -> UserId {
        UserId::new(name).unwrap()
    }

    fn log(id: &str, at: u64, reason: CallEndReason) -> Change {
        let person = |name: &str, role| LoggedPerson {
            user: user(name),
            role,
            inviter: user("alice"),
            invited_at: UnixMillis(at),
            answered: reason == CallEndReason::Hangup,
            total_time: 0,
            reason: Some(reason),
            forgotten: false,
        };
        Change::Log(Box::new(CallLog {
            call_id: CallId::new(id).unwrap(),
            room_id: RoomId::number(5).unwrap(),
            scene: CallScene::SingleCall,
            media: CallMediaType::Voice,
            group_id: String::new(),
            placed_at: UnixMillis(at),
            began_at: None,
            ended_at: Some(UnixMillis(at + 1000)),
            people: vec![person("alice", CallRole::Caller), person("bob", CallRole::Called)],
        }))
    }

    fn open() -> (tempfile::TempDir, Store) {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        (dir, store)
    }

    fn ids(records: &[CallRecord]) -> Vec<&str> {
        records.iter().map(|record| record.call_id.as_str()).collect()
    }

    #[test]
    fn each_participant_reads_their_own_side_newest_first_and_by_pages() {
        let (_dir, mut store) = open();
        let changes = [
            log("a", 1_000, CallEndReason::Hangup),
            log("b", 2_000, CallEndReason::NoResponse),
            log("c", 2_000, CallEndReason::Reject),
        ];
        store.commit(&changes).unwrap();
        let all = store.records(&user("bob"), &RecordFilter::default()).unwrap();
        assert_eq!(ids(&all), ["c", "b", "a"]);
        let results: Vec<_> = all.iter().map(|record| record.result).collect();
        assert_eq!(results, [RecordResult::Incoming, RecordResult::Missed, RecordResult::Incoming]);
        let by_alice = store.records(&user("alice"), &RecordFilter::default()).unwrap();
        assert!(by_alice.iter().all(|record| record.result == RecordResult::Outgoing));
        assert!(store.records(&user("carol"), &RecordFilter::default()).unwrap().is_empty());

        let missed = RecordFilter { result_type: Some(RecordResult::Missed), ..RecordFilter::default() };
        assert_eq!(ids(&store.records(&user("bob"), &missed).unwrap()), ["b"]);
        let between =
            RecordFilter { begin: Some(UnixMillis(500)), end: Some(UnixMillis(1_500)), ..RecordFilter::default() };
        assert_eq!(ids(&store.records(&user("bob"), &between).unwrap()), ["a"]);
        let behind = RecordFilter { cursor: Some(RecordCursor::from(&all[0])), ..RecordFilter::default() };
        assert_eq!(ids(&store.records(&user("bob"), &behind).unwrap()), ["b", "a"]);
        let first = RecordFilter { limit: Some(1), ..RecordFilter::default() };
        assert_eq!(ids(&store.records(&user("bob"), &first).unwrap()), ["c", "b"], "one more says that there are more");
    }

    #[test]
    fn a_record_is_deleted_for_oneself_and_gone_with_its_last_reader() {
        let (_dir, mut store) = open();
        store.commit(&[log("a", 1_000, CallEndReason::Hangup)]).unwrap();
        let forget = |name: &str| Change::Forget(user(name), CallId::new("a").unwrap());
        store.commit(&[forget("bob"), forget("bob"), forget("carol")]).unwrap();
        assert!(store.records(&user("bob"), &RecordFilter::default()).unwrap().is_empty());
        assert_eq!(store.records(&user("alice"), &RecordFilter::default()).unwrap().len(), 1);
        store.commit(&[forget("alice")]).unwrap();
        let rows: i64 = store.db.query_row("SELECT count(*) FROM records", [], |row| row.get(0)).unwrap();
        assert_eq!(rows, 0);
    }

    #[test]
    fn old_records_go() {
        let (_dir, mut store) = open();
        store.commit(&[log("a", 1_000, CallEndReason::Hangup)]).unwrap();
        let later = 1_000 + u64::try_from(KEPT.as_millis()).unwrap();
        store.commit(&[log("b", later - 10, CallEndReason::Hangup)]).unwrap();
        assert_eq!(ids(&store.records(&user("bob"), &RecordFilter::default()).unwrap()), ["b", "a"]);
        store.commit(&[log("c", later + 10, CallEndReason::Hangup)]).unwrap();
        assert_eq!(ids(&store.records(&user("bob"), &RecordFilter::default()).unwrap()), ["c", "b"]);
    }

    #[test]
    fn records_survive_the_process() {
        let (dir, mut store) = open();
        store.commit(&[log("a", 1_000, CallEndReason::Hangup)]).unwrap();
        drop(store);
        let store = Store::open(dir.path()).unwrap();
        assert_eq!(store.records(&user("alice"), &RecordFilter::default()).unwrap().len(), 1);
    }
}
