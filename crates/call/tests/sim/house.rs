//! The server's body in this world: its store, its frames, and its death.

use super::{CLOSE, Seen, World, wide};
use call::Switchboard;
use call::call::{CallLog, RoomNews};
use call::switchboard::{Account, Change, ConnId, Output as Wanted, RoomsEvent, Settings, Stored, page};
use protocol::{CallRecord, RecordFilter, RoomAccess, RoomId, ServerMessage, UserId};

impl World {
    /// Kills the server and starts it again from what it stored.
    pub(super) fn restart(&mut self) {
        for at in 0..self.devices.len() {
            self.cut(at);
        }
        self.closing.clear();
        let seed = wide(self.random(u64::MAX));
        self.board = Switchboard::new(Settings::default(), seed);
        let mut stored = Stored::default();
        for ((kind, key), row) in &self.rows {
            match kind {
                0 => stored.calls.push(serde_json::from_str(row).unwrap()),
                1 => stored.sessions.push(serde_json::from_str(row).unwrap()),
                2 => {
                    let account: Account = serde_json::from_str(row).unwrap();
                    stored.users.push((UserId::new(key.clone()).unwrap(), account));
                }
                5 => {
                    let (user, room) = key.split_once(' ').unwrap();
                    let room = RoomId::from_wire_name(room).unwrap();
                    stored.put_out.push((room, UserId::new(user).unwrap(), serde_json::from_str(row).unwrap()));
                }
                _ => {}
            }
        }
        self.board.restore(stored, self.unix());
        // The rooms are gone with the server; members find their way back within a second.
        for at in 0..self.devices.len() {
            if let Some(room) = self.devices[at].room.clone() {
                let user = self.devices[at].user.clone();
                let back = RoomsEvent::Member { room, user, news: RoomNews::Joined };
                self.news.push_back((self.now + 1000, back));
            }
        }
        self.flush();
    }

    /// Stores what changed, then lets the frames out: the order that the server keeps.
    pub(super) fn flush(&mut self) {
        for change in self.board.take_changes() {
            self.store(change);
        }
        super::judge::check_nobody_is_in_two_calls(self);
        while let Some(output) = self.board.poll_output() {
            match output {
                Wanted::Send { conn, message, access } => self.send_down(conn, message, access.is_some()),
                Wanted::Close { conn } => self.close_down(conn),
                Wanted::OpenRoom(_) => {}
                Wanted::Release { room, user } => self.evictions.push((self.now + 5000, room, user)),
                Wanted::ReadRecords { conn, id, user, filter, running } => {
                    let answer = page(&filter, running, self.records(&user, &filter));
                    self.board.handle_records(conn, id, answer);
                }
            }
        }
    }

    fn store(&mut self, change: Change) {
        let text = |row: &dyn erased::Row| row.text();
        let (key, row) = match change {
            Change::Call(id, call) => ((0, id.as_str().to_owned()), call.map(|call| text(&*call))),
            Change::Session(name, session) => ((1, name), session.map(|session| text(&*session))),
            Change::User(user, account) => ((2, user.as_str().to_owned()), Some(text(&account))),
            Change::Log(log) => {
                *self.logged.entry(log.call_id.clone()).or_default() += 1;
                ((3, log.call_id.as_str().to_owned()), Some(text(&*log)))
            }
            Change::Forget(user, call) => ((4, format!("{user} {call}")), Some(String::new())),
            Change::PutOut(room, user, reason) => ((5, format!("{user} {room}")), reason.map(|reason| text(&reason))),
        };
        match row {
            Some(row) => self.rows.insert(key, row),
            None => self.rows.remove(&key),
        };
    }

    /// Every record in the store.
    pub fn logs(&self) -> Vec<CallLog> {
        let rows = self.rows.iter().filter(|((kind, _), _)| *kind == 3);
        rows.map(|(_, row)| serde_json::from_str(row).unwrap()).collect()
    }

    /// What the store has for one reader, the newest first.
    pub fn records(&self, user: &UserId, filter: &RecordFilter) -> Vec<CallRecord> {
        let forgotten = |record: &CallRecord| self.rows.contains_key(&(4, format!("{user} {}", record.call_id)));
        let mut records: Vec<_> = self.logs().iter().filter_map(|log| log.read_by(user)).collect();
        records.retain(|record| filter.wants(record) && !forgotten(record));
        records.sort_by_key(|record| std::cmp::Reverse((record.begin_time, record.call_id.clone())));
        records
    }

    pub(super) fn close_down(&mut self, conn: ConnId) {
        if let Some(at) = self.devices.iter().position(|device| device.conn == Some(conn)) {
            // What was sent before still arrives.
            let when = self.later(self.devices[at].down.back().map(|(at, _)| *at));
            self.devices[at].down.push_back((when, CLOSE.to_owned()));
        }
    }

    pub(super) fn send_down(&mut self, conn: ConnId, mut message: ServerMessage, access: bool) {
        let Some(at) = self.devices.iter().position(|device| device.conn == Some(conn)) else { return };
        if access {
            let way = Some(RoomAccess { url: "ws://room".to_owned(), token: "token".to_owned() });
            match &mut message {
                ServerMessage::Reply { answer, .. } => answer.access = way,
                ServerMessage::Event { push: protocol::Push::Begun { access, .. }, .. } => *access = way,
                _ => panic!("no place for the way into a room in {message:?}"),
            }
        }
        let when = self.later(self.devices[at].down.back().map(|(at, _)| *at));
        self.devices[at].down.push_back((when, message.to_text()));
    }

    /// Whoever has left a call and not its room is put out of it.
    pub(super) fn evict(&mut self, room: &RoomId, user: &UserId) {
        if self.board.belongs(room, user) {
            return;
        }
        for at in 0..self.devices.len() {
            let device = &mut self.devices[at];
            if device.user == *user && device.room.as_ref() == Some(room) {
                device.room = None;
                device.seen.push(Seen::Evicted);
                let now = self.instant();
                self.devices[at].session.handle_room_gave_up(now);
                self.pump(at);
            }
        }
    }
}

/// Rows of different tables as one thing that can be written.
mod erased {
    pub trait Row {
        fn text(&self) -> String;
    }

    impl<T: serde::Serialize> Row for T {
        fn text(&self) -> String {
            serde_json::to_string(self).unwrap()
        }
    }
}
