//! The tables by hand-given time.

use super::*;
use crate::rooms::{FinishedWhy, LeftWhy, Member};
use livekit_protocol::ParticipantInfo;
use proptest::prelude::*;
use std::sync::Arc;

const DAY: u64 = 86_400;
const NOW: u64 = 1_795_000_000;
const ALL: Page = Page { number: 0, size: 100 };

struct Book {
    dir: tempfile::TempDir,
    table: Table,
}

impl Book {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let table = Table::open(dir.path()).unwrap();
        Self { dir, table }
    }

    /// The server was started again.
    fn reopen(self) -> Self {
        let Self { dir, table } = self;
        drop(table);
        let table = Table::open(dir.path()).unwrap();
        Self { dir, table }
    }

    fn join(&mut self, room: &str, user: &str, now: u64) {
        self.table.take(&RoomEvent::Joined { room: room.into(), who: who(user) }, now).unwrap();
    }

    fn leave(&mut self, room: &str, user: &str, now: u64) {
        let event = RoomEvent::Left { room: room.into(), who: who(user), why: LeftWhy::Own };
        self.table.take(&event, now).unwrap();
    }

    fn finish(&mut self, room: &str, now: u64) {
        let event = RoomEvent::Finished { room: room.into(), info: Arc::default(), why: FinishedWhy::Empty };
        self.table.take(&event, now).unwrap();
    }

    fn rooms(&self, from: u64, to: u64, room: Option<&str>) -> Vec<RoomRecord> {
        let query = RoomsQuery { from, to, room: room.map(str::to_owned), page: ALL };
        self.table.rooms(&query, NOW + 100).unwrap().rows
    }

    fn users(&self, room: &str, created: u64, users: &[&str]) -> Vec<(String, u64, Option<u64>)> {
        let users = users.iter().map(|&user| user.to_owned()).collect();
        let query = UsersQuery { room: room.into(), created, from: NOW, to: NOW + 100, users, page: ALL };
        let rows = self.table.users(&query, NOW + 100).unwrap().rows;
        rows.into_iter().map(|stay| (stay.user, stay.joined, stay.left)).collect()
    }
}

fn who(identity: &str) -> Arc<ParticipantInfo> {
    Arc::new(ParticipantInfo { identity: identity.into(), ..ParticipantInfo::default() })
}

fn room(name: &str, members: &[&str]) -> RoomInfo {
    let members = members.iter().map(|&identity| Member { identity: identity.into(), sid: String::new() });
    RoomInfo { room: name.into(), members: members.collect() }
}

fn record(room: &str, created: u64, destroyed: Option<u64>, creator: &str) -> RoomRecord {
    RoomRecord { room: room.into(), created, destroyed, creator: creator.into() }
}

#[test]
fn a_room_lives_from_the_first_one_to_its_end() {
    let mut book = Book::new();
    book.join("n:5", "alice", NOW);
    book.join("n:5", "bob", NOW + 3);
    assert_eq!(book.rooms(NOW, NOW + 9, None), [record("5", NOW, None, "alice")]);
    book.leave("n:5", "alice", NOW + 5);
    book.join("n:5", "alice", NOW + 7);
    book.leave("n:5", "bob", NOW + 8);
    book.leave("n:5", "alice", NOW + 9);
    book.finish("n:5", NOW + 9);
    assert_eq!(book.rooms(NOW, NOW + 9, None), [record("5", NOW, Some(NOW + 9), "alice")]);
    let stays = [
        ("alice".to_owned(), NOW, Some(NOW + 5)),
        ("bob".to_owned(), NOW + 3, Some(NOW + 8)),
        ("alice".to_owned(), NOW + 7, Some(NOW + 9)),
    ];
    assert_eq!(book.users("5", NOW, &[]), stays);
    assert_eq!(book.users("5", NOW, &["bob", "carol"]), stays[1..2]);
    assert_eq!(book.users("5", NOW, &["carol"]), []);
    assert_eq!(book.users("5", NOW + 1, &[]), [], "another life");
}

#[test]
fn number_and_text_are_two_rooms_and_never_share_a_comm_id() {
    let mut book = Book::new();
    book.join("n:5", "alice", NOW);
    book.join("s:5", "bob", NOW);
    book.finish("n:5", NOW);
    book.join("n:5", "carol", NOW);
    let expected =
        [record("5", NOW, Some(NOW), "alice"), record("5", NOW + 1, None, "bob"), record("5", NOW + 2, None, "carol")];
    assert_eq!(book.rooms(NOW, NOW + 9, Some("5")), expected);
    assert_eq!(book.rooms(NOW, NOW + 9, Some("6")), []);
    assert_eq!(book.users("5", NOW + 1, &[]), [("bob".to_owned(), NOW, None)]);
}

#[test]
fn only_rooms_that_existed_at_that_time_are_found() {
    let mut book = Book::new();
    book.join("n:1", "a", NOW);
    book.finish("n:1", NOW + 10);
    book.join("s:two", "a", NOW + 20);
    let found = |from, to| book.rooms(from, to, None).into_iter().map(|room| room.room).collect::<Vec<_>>();
    assert_eq!(found(NOW - 9, NOW - 1), [""; 0]);
    assert_eq!(found(NOW - 9, NOW), ["1"]);
    assert_eq!(found(NOW + 10, NOW + 19), ["1"]);
    assert_eq!(found(NOW + 11, NOW + 19), [""; 0]);
    assert_eq!(found(NOW + 10, NOW + 20), ["1", "two"]);
    assert_eq!(found(NOW + 50, NOW + 60), ["two"], "it still lives");
    assert_eq!(found(u64::MAX, u64::MAX), [""; 0]);
}

#[test]
fn rooms_without_an_id_are_not_recorded() {
    let mut book = Book::new();
    for name in ["lobby", "n:0", "n:x", "s:", "s:a/b"] {
        book.join(name, "alice", NOW);
        book.leave(name, "alice", NOW);
        book.finish(name, NOW);
    }
    book.table.compare(&[room("lobby", &["alice"])], NOW).unwrap();
    assert_eq!(book.rooms(NOW, NOW + 9, None), []);
}

#[test]
fn pages_are_cut_and_the_total_counts_all() {
    let mut book = Book::new();
    for number in 1..=25 {
        book.join(&format!("n:{number}"), "a", NOW + number);
    }
    let page = |number, size| {
        let query = RoomsQuery { from: NOW, to: NOW + 99, room: None, page: Page { number, size } };
        let found = book.table.rooms(&query, NOW).unwrap();
        (found.total, found.rows.into_iter().map(|room| room.room).collect::<Vec<_>>())
    };
    assert_eq!(page(0, 3), (25, vec!["1".into(), "2".into(), "3".into()]));
    assert_eq!(page(2, 12), (25, vec!["25".into()]));
    assert_eq!(page(3, 12), (25, vec![]));
    assert_eq!(page(u64::MAX, 100), (25, vec![]));
}

#[test]
fn after_a_crash_rooms_ended_when_the_server_was_last_known_to_run() {
    let mut book = Book::new();
    book.join("n:1", "gone", NOW);
    book.join("n:2", "stays", NOW);
    book.join("n:2", "left", NOW);
    book.table.sweep(NOW + 20).unwrap();
    let mut book = book.reopen();
    book.table.compare(&[room("n:2", &["stays", "new"]), room("n:3", &[])], NOW + 90).unwrap();
    let expected = [record("1", NOW, Some(NOW + 20), "gone"), record("2", NOW, None, "gone")];
    assert_eq!(book.rooms(NOW, NOW + 99, None)[0], expected[0]);
    assert_eq!(book.rooms(NOW, NOW + 99, None).len(), 2, "an empty room is none yet");
    let stays =
        [("stays".to_owned(), NOW, None), ("left".to_owned(), NOW, Some(NOW + 20)), ("new".to_owned(), NOW + 90, None)];
    assert_eq!(book.users("2", NOW, &[]), stays);
    // Later differences are of now: the server was there.
    book.table.compare(&[], NOW + 95).unwrap();
    assert_eq!(book.users("2", NOW, &["stays"]), [("stays".to_owned(), NOW, Some(NOW + 95))]);
}

#[test]
fn what_is_older_than_two_weeks_is_dropped() {
    let mut book = Book::new();
    book.join("n:1", "a", NOW - 15 * DAY);
    book.finish("n:1", NOW - 14 * DAY - 1);
    book.join("n:2", "a", NOW - 15 * DAY);
    book.finish("n:2", NOW - 14 * DAY);
    book.join("n:3", "early", NOW - 20 * DAY);
    book.leave("n:3", "early", NOW - 19 * DAY);
    book.join("n:3", "late", NOW - DAY);
    book.table.sweep(NOW).unwrap();
    let rooms: Vec<_> = book.rooms(0, NOW, None).into_iter().map(|room| room.room).collect();
    assert_eq!(rooms, ["3", "2"]);
    let query = UsersQuery { room: "3".into(), created: NOW - 20 * DAY, from: 0, to: NOW, users: vec![], page: ALL };
    let users: Vec<_> = book.table.users(&query, NOW).unwrap().rows.into_iter().map(|stay| stay.user).collect();
    assert_eq!(users, ["late"]);
    let orphans: i64 = book.table.db.query_row("SELECT count(*) FROM stays", [], |row| row.get(0)).unwrap();
    assert_eq!(orphans, 2);
}

#[derive(Clone, Debug)]
enum Step {
    Join(u8, u8),
    Leave(u8, u8),
    Finish(u8),
    Again,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..3_u8, 0..4_u8).prop_map(|(room, user)| Step::Join(room, user)),
        3 => (0..3_u8, 0..4_u8).prop_map(|(room, user)| Step::Leave(room, user)),
        1 => (0..3_u8).prop_map(Step::Finish),
        1 => Just(Step::Again),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// Whatever happens, in whatever order, lost or repeated: after a comparison exactly those are in who are there, in
    /// rooms that live, and no stay ends before it began.
    #[test]
    fn records_agree_with_the_rooms(steps in proptest::collection::vec(step(), 1..40), present in any::<[[bool; 4]; 3]>()) {
        let mut book = Book::new();
        let mut now = NOW;
        for step in steps {
            now += 1;
            match step {
                Step::Join(room, user) => book.join(&format!("n:{}", room + 1), &user.to_string(), now),
                Step::Leave(room, user) => book.leave(&format!("n:{}", room + 1), &user.to_string(), now),
                Step::Finish(room) => book.finish(&format!("n:{}", room + 1), now),
                Step::Again => book = book.reopen(),
            }
        }
        let rooms: Vec<RoomInfo> = present.iter().enumerate().map(|(number, users)| {
            let users: Vec<String> = (0..4).filter(|user| users[*user]).map(|user| user.to_string()).collect();
            room(&format!("n:{}", number + 1), &users.iter().map(String::as_str).collect::<Vec<_>>())
        }).collect();
        book.table.compare(&rooms, now + 1).unwrap();
        let write = book.table.db.transaction().unwrap();
        let mut stays = open_stays(&write).unwrap();
        stays.sort();
        let expected: Vec<(String, String)> = rooms.iter()
            .flat_map(|info| info.members.iter().map(|member| (info.room.clone(), member.identity.clone())))
            .collect();
        prop_assert_eq!(stays, expected);
        let mut open = open_rooms(&write).unwrap();
        open.sort();
        let living: Vec<String> = rooms.iter().filter(|info| !info.members.is_empty()).map(|info| info.room.clone()).collect();
        prop_assert_eq!(open, living);
        let wrong = "SELECT count(*) FROM stays JOIN rooms ON rooms.id = room_id
             WHERE gone < joined OR destroyed < created OR (destroyed IS NOT NULL AND gone IS NULL)";
        prop_assert_eq!(write.query_row(wrong, [], |row| row.get::<_, i64>(0)).unwrap(), 0);
    }
}
