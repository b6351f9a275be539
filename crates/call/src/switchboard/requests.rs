//! What a client can ask for.

use super::{ConnId, Output, Switchboard};
use crate::call::{Call, Departure};
use crate::session::check_placement;
use protocol::message::{PlaceCall, Reply};
use protocol::{
    CallId, Code, DeviceId, ExitReason, Privileges, Refusal, Request, RequestId, RoomId, ServerMessage, UnixMillis,
    UserId,
};
use std::collections::BTreeSet;

/// What the body found out about a wish to enter a room, where keys are required.
#[derive(Clone, Debug)]
pub struct Entry {
    /// What the key allows, or what is wrong with it.
    pub key: Result<Privileges, Refusal>,
    /// Whether the room exists.
    pub exists: bool,
}

/// A call that may be placed: the answer, and what happens once the answer is out.
struct Placed {
    reply: Reply,
    call: Call,
}

impl Switchboard {
    /// A request, except `renewTicket`, whose ticket the body checks ([`Self::handle_ticket`]).
    ///
    /// The answer goes out before the events that the request causes.
    pub fn handle_request(&mut self, conn: ConnId, id: RequestId, request: Request, now: UnixMillis) {
        let Some(name) = self.session_by_conn.get(&conn).cloned() else { return };
        if self.answered_before(conn, &name, id) {
            return;
        }
        let Some(session) = self.sessions.get(&name) else { return };
        let (user, device) = (session.user.clone(), session.device.clone());
        let expired = session.ticket_expires <= now;
        match request {
            Request::Call(_) | Request::EnterRoom { .. } if expired => {
                self.answer(conn, &name, id, Err(Code::SigExpired.into()));
            }
            Request::Call(wish) => match self.place(&user, &device, wish, now) {
                Ok(placed) => {
                    let room = placed.call.room().clone();
                    self.keep(&name, id, Ok(placed.reply.clone()));
                    // The caller may connect while it rings; the call itself comes into the book after the answer.
                    let (message, access) =
                        (ServerMessage::Reply { id, answer: placed.reply }, Some((room.clone(), user)));
                    self.outputs.push_back(Output::Send { conn, message, access });
                    self.outputs.push_back(Output::OpenRoom(room));
                    self.spread(placed.call, now);
                }
                Err(refusal) => self.answer(conn, &name, id, Err(refusal)),
            },
            Request::Accept { call_id } => {
                self.on_call(conn, (&name, id), &call_id, now, |call| call.handle_accept(&user, &device, now));
            }
            Request::Reject { call_id } => {
                self.on_call(conn, (&name, id), &call_id, now, |call| call.handle_reject(&user, &device, now));
            }
            Request::Ignore { call_id } => {
                self.on_call(conn, (&name, id), &call_id, now, |call| call.handle_ignore(&user, &device, now));
            }
            Request::Hangup { call_id } => {
                self.on_call(conn, (&name, id), &call_id, now, |call| call.handle_hangup(&user, &device, now));
            }
            Request::RoomAccess { call_id } => {
                let result = self.room_access(&user, &call_id);
                self.answer(conn, &name, id, result);
            }
            Request::EnterRoom { room_id, rejoin, private_map_key: _ } => {
                let result = self.enter_room(&user, room_id, rejoin, self.keyless());
                self.answer(conn, &name, id, result);
            }
            Request::LeaveRoom { room_id } => {
                self.guests.remove(&(room_id, user));
                self.answer(conn, &name, id, Ok(Reply::default()));
            }
            Request::RenewTicket { .. } => self.answer(conn, &name, id, Err(Code::UnknownCommand.into())),
            Request::SignOut {} => {
                self.answer(conn, &name, id, Ok(Reply::default()));
                self.drop_session(&name, Departure::SignedOut, now);
            }
        }
    }

    /// The request `enterRoom` where keys are required, with its key checked.
    pub fn handle_enter(
        &mut self,
        conn: ConnId,
        id: RequestId,
        (room, rejoin): (RoomId, bool),
        entry: Entry,
        now: UnixMillis,
    ) {
        let Some(name) = self.session_by_conn.get(&conn).cloned() else { return };
        if self.answered_before(conn, &name, id) {
            return;
        }
        let Some(session) = self.sessions.get(&name) else { return };
        let user = session.user.clone();
        let result = if session.ticket_expires <= now {
            Err(Code::SigExpired.into())
        } else {
            self.enter_room(&user, room, rejoin, entry)
        };
        self.answer(conn, &name, id, result);
    }

    /// An entry that no key was looked at for.
    fn keyless(&self) -> Entry {
        let key = if self.settings.map_key_required { Err(Code::NoPrivilege.into()) } else { Ok(Privileges::ALL) };
        Entry { key, exists: true }
    }

    /// A request sent again after a resume: gets its old answer, nothing happens twice.
    pub(super) fn answered_before(&mut self, conn: ConnId, name: &str, id: RequestId) -> bool {
        let Some(session) = self.sessions.get(name) else { return true };
        if id > session.last_request {
            return false;
        }
        let kept = session.replies.iter().find(|(at, _)| *at == id).map(|(_, result)| result.clone());
        self.send_answer(conn, id, kept.unwrap_or_else(|| Err(Code::Signalling.into())));
        true
    }

    pub(super) fn answer(&mut self, conn: ConnId, name: &str, id: RequestId, result: Result<Reply, Refusal>) {
        self.keep(name, id, result.clone());
        self.send_answer(conn, id, result);
    }

    fn keep(&mut self, name: &str, id: RequestId, result: Result<Reply, Refusal>) {
        if let Some(session) = self.sessions.get_mut(name) {
            session.keep_reply(id, result);
            self.dirty.sessions.insert(name.to_owned());
        }
    }

    pub(super) fn send_answer(&mut self, conn: ConnId, id: RequestId, result: Result<Reply, Refusal>) {
        match result {
            Ok(answer) => {
                let access = self.access_of(conn, &answer);
                self.outputs.push_back(Output::Send { conn, message: ServerMessage::Reply { id, answer }, access });
            }
            Err(refusal) => self.refuse(conn, Some(id), refusal),
        }
    }

    /// The way in that goes with an answer, as long as it still is the user's.
    fn access_of(&self, conn: ConnId, answer: &Reply) -> Option<(RoomId, UserId)> {
        let user = self.user_of(conn)?.clone();
        let room = answer.room_id.clone()?;
        match &answer.call_id {
            Some(call) => self.entitled(&user, call, &room),
            None => self.guests.contains_key(&(room.clone(), user.clone())).then_some((room, user)),
        }
    }

    fn on_call(
        &mut self,
        conn: ConnId,
        (name, id): (&str, RequestId),
        call_id: &CallId,
        now: UnixMillis,
        input: impl FnOnce(&mut Call) -> Result<(), Refusal>,
    ) {
        let over = || Refusal::because(Code::WrongState, "The call is over.");
        let Some(mut call) = self.calls.remove(call_id) else {
            self.answer(conn, name, id, Err(over()));
            return;
        };
        let result = input(&mut call);
        self.answer(conn, name, id, result.map(|()| Reply::default()));
        self.spread(call, now);
    }

    fn place(&mut self, user: &UserId, device: &DeviceId, wish: PlaceCall, now: UnixMillis) -> Result<Placed, Refusal> {
        check_placement(&wish, user)?;
        let unknown: Vec<_> = wish.callee_id_list.iter().filter(|callee| !self.known.contains(callee)).collect();
        if !unknown.is_empty() {
            let names: Vec<_> = unknown.iter().map(|user| user.as_str()).collect();
            let message = format!("Nobody is known here by the name of {}.", names.join(", "));
            return Err(Refusal::because(Code::BadParameter, message));
        }
        if self.call_by_user.contains_key(user) {
            return Err(Refusal::because(Code::WrongState, "Another call is under way."));
        }
        if self.settings.map_key_required && wish.room_id.is_some() {
            // Else a call would be the way into any room without a key.
            let message = "Where rooms need keys, the server chooses the room of a call.";
            return Err(Refusal::because(Code::NoPrivilege, message));
        }
        let busy = |callee: &&UserId| self.call_by_user.contains_key(*callee);
        let busy: BTreeSet<_> = wish.callee_id_list.iter().filter(busy).cloned().collect();
        let room = match wish.room_id.clone() {
            Some(room) => room,
            None => self.free_room(),
        };
        let mut id = self.ids.call();
        while self.calls.contains_key(&id) {
            id = self.ids.call();
        }
        let call = Call::place(id.clone(), room.clone(), (user.clone(), device.clone()), wish, &busy, now);
        self.put_out.remove(&(room.clone(), user.clone()));
        self.dirty.calls.insert(id.clone());
        let reply = Reply { call_id: Some(id), room_id: Some(room), access: None, ring_until: call.ring_until() };
        Ok(Placed { reply, call })
    }

    fn free_room(&mut self) -> RoomId {
        loop {
            let room = self.ids.room();
            if !self.calls_by_room.contains_key(&room) {
                return room;
            }
        }
    }

    fn room_access(&self, user: &UserId, call_id: &CallId) -> Result<Reply, Refusal> {
        let room = self.calls.get(call_id).map(Call::room).cloned();
        match room {
            Some(room) if self.entitled(user, call_id, &room).is_some() => {
                Ok(Reply { call_id: Some(call_id.clone()), room_id: Some(room), ..Reply::default() })
            }
            Some(_) | None => Err(Refusal::because(Code::WrongState, "You are not in this call.")),
        }
    }

    fn enter_room(&mut self, user: &UserId, room: RoomId, rejoin: bool, entry: Entry) -> Result<Reply, Refusal> {
        if self.call_by_user.contains_key(user) {
            return Err(Refusal::because(Code::WrongState, "A call is under way."));
        }
        let membership = (room.clone(), user.clone());
        match self.put_out.get(&membership) {
            Some(ExitReason::Dismissed) if rejoin => return Err(Code::RoomNotExist.into()),
            Some(_) if rejoin => return Err(Code::UserRemoved.into()),
            Some(_) | None => {}
        }
        // A membership that goes on keeps what it was allowed: its key may have expired since.
        let kept = self.guests.get(&membership).copied().filter(|_| rejoin);
        let privileges = kept.map_or(entry.key, Ok)?;
        if !entry.exists && !privileges.allow(Privileges::CREATE) {
            return Err(Code::NoCreatePrivilege.into());
        }
        if !privileges.allow(Privileges::ENTER) {
            return Err(Code::NoEnterPrivilege.into());
        }
        self.put_out.remove(&membership);
        self.guests.insert(membership, privileges);
        if privileges.allow(Privileges::CREATE) {
            self.outputs.push_back(Output::OpenRoom(room.clone()));
        }
        Ok(Reply { room_id: Some(room), ..Reply::default() })
    }
}
