//! What a client can ask for.

use super::{ConnId, Output, Switchboard};
use crate::call::{Call, Departure};
use crate::session::{check_invitation, check_placement};
use protocol::message::{InviteUser, PlaceCall, Reply};
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

/// Who asks, and where the answer goes.
pub(super) struct Asker {
    pub(super) conn: ConnId,
    /// Of their session.
    pub(super) name: String,
    /// Of the request.
    pub(super) id: RequestId,
    pub(super) user: UserId,
    pub(super) device: DeviceId,
}

impl Switchboard {
    /// A request, except `renewTicket`, whose ticket the body checks ([`Self::handle_ticket`]).
    ///
    /// The answer goes out before the events that the request causes.
    pub fn handle_request(&mut self, conn: ConnId, id: RequestId, request: Request, now: UnixMillis) {
        let Some((asker, expired)) = self.asker(conn, id, now) else { return };
        if let Request::QueryRecentCalls(filter) = request {
            self.read_records(&asker, filter);
            return;
        }
        if self.answered_before(conn, &asker.name, id) {
            return;
        }
        match request {
            Request::Call(_) | Request::EnterRoom { .. } | Request::InviteUser(_) | Request::Join { .. } if expired => {
                self.answer(&asker, Err(Code::SigExpired.into()));
            }
            Request::Call(wish) => self.handle_call(&asker, wish, now),
            Request::Accept { .. }
            | Request::Reject { .. }
            | Request::Ignore { .. }
            | Request::Hangup { .. }
            | Request::InviteUser(_)
            | Request::Join { .. }
            | Request::SwitchCallMediaType { .. } => self.handle_for_call(&asker, request, now),
            Request::RoomAccess { call_id } => {
                let result = self.room_access(&asker.user, &call_id);
                self.answer(&asker, result);
            }
            Request::EnterRoom { room_id, rejoin, private_map_key: _ } => {
                let result = self.enter_room(&asker, room_id, rejoin, self.keyless());
                self.answer(&asker, result);
            }
            Request::LeaveRoom { room_id } => {
                self.end_stay(room_id, &asker.user, &asker.device);
                self.answer(&asker, Ok(Reply::default()));
            }
            Request::SetSelfInfo(profile) => self.set_self_info(&asker, profile, now),
            Request::EnableMultiDeviceAbility { enable } => self.enable_multi_device(&asker, enable, now),
            Request::DeleteRecordCalls { call_id_list } => self.delete_records(&asker, call_id_list),
            // Handled before, and by the body.
            Request::QueryRecentCalls(_) | Request::RenewTicket { .. } => {
                self.answer(&asker, Err(Code::UnknownCommand.into()));
            }
            Request::SignOut {} => {
                self.answer(&asker, Ok(Reply::default()));
                self.drop_session(&asker.name, Departure::SignedOut, now);
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
        let Some((asker, expired)) = self.asker(conn, id, now) else { return };
        if self.answered_before(conn, &asker.name, id) {
            return;
        }
        let result = if expired { Err(Code::SigExpired.into()) } else { self.enter_room(&asker, room, rejoin, entry) };
        self.answer(&asker, result);
    }

    /// Who asks, and whether their ticket has expired.
    fn asker(&self, conn: ConnId, id: RequestId, now: UnixMillis) -> Option<(Asker, bool)> {
        let session = self.session_of(conn)?;
        let (name, user, device) = (session.name.clone(), session.user.clone(), session.device.clone());
        Some((Asker { conn, name, id, user, device }, session.ticket_expires <= now))
    }

    /// An entry that no key was looked at for.
    fn keyless(&self) -> Entry {
        let key = if self.settings.map_key_required { Err(Code::NoPrivilege.into()) } else { Ok(Privileges::ALL) };
        Entry { key, exists: true }
    }

    fn handle_call(&mut self, asker: &Asker, wish: PlaceCall, now: UnixMillis) {
        match self.place(&asker.user, &asker.device, wish, now) {
            Ok(Placed { reply, call }) => {
                let room = call.room().clone();
                self.keep(&asker.name, asker.id, Ok(reply.clone()));
                // The caller may connect while it rings; the call itself comes into the book after the answer.
                let access = Some((room.clone(), asker.user.clone()));
                let message = ServerMessage::Reply { id: asker.id, answer: reply };
                self.outputs.push_back(Output::Send { conn: asker.conn, message, access });
                self.outputs.push_back(Output::OpenRoom(room));
                self.spread(call, now);
            }
            Err(refusal) => self.answer(asker, Err(refusal)),
        }
    }

    /// What is asked of a call that is there; refused, it changes nothing.
    fn handle_for_call(&mut self, asker: &Asker, request: Request, now: UnixMillis) {
        let (user, device) = (&asker.user, &asker.device);
        match request {
            Request::Accept { call_id } => {
                self.on_call(asker, &call_id, now, |call| call.handle_accept(user, device, now));
            }
            Request::Reject { call_id } => {
                self.on_call(asker, &call_id, now, |call| call.handle_reject(user, device, now));
            }
            Request::Ignore { call_id } => {
                self.on_call(asker, &call_id, now, |call| call.handle_ignore(user, device, now));
            }
            Request::Hangup { call_id } => {
                self.on_call(asker, &call_id, now, |call| call.handle_hangup(user, device, now));
            }
            Request::SwitchCallMediaType { call_id, call_media_type } => {
                self.on_call(asker, &call_id, now, |call| call.handle_switch(user, call_media_type));
            }
            Request::InviteUser(wish) => match self.check_invited(user, &wish) {
                Ok(()) => {
                    let busy = self.busy_among(&wish.callee_id_list);
                    self.on_call(asker, &wish.call_id, now, |call| call.handle_invite(user, &wish, &busy, now));
                }
                Err(refusal) => self.answer(asker, Err(refusal)),
            },
            Request::Join { call_id } => {
                if self.call_by_user.get(user).is_some_and(|other| *other != call_id) {
                    let refusal = Refusal::because(Code::WrongState, "Another call is under way.");
                    self.answer(asker, Err(refusal));
                    return;
                }
                let room = self.calls.get(&call_id).map(|call| call.room().clone());
                let joined = self.on_call(asker, &call_id, now, |call| call.handle_join(user, device, now));
                if let (true, Some(room)) = (joined, room) {
                    self.forgive(&(room, user.clone()));
                }
            }
            Request::Call(_)
            | Request::RoomAccess { .. }
            | Request::EnterRoom { .. }
            | Request::LeaveRoom { .. }
            | Request::SetSelfInfo(_)
            | Request::EnableMultiDeviceAbility { .. }
            | Request::QueryRecentCalls(_)
            | Request::DeleteRecordCalls { .. }
            | Request::RenewTicket { .. }
            | Request::SignOut {} => {}
        }
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

    pub(super) fn answer(&mut self, asker: &Asker, result: Result<Reply, Refusal>) {
        self.keep(&asker.name, asker.id, result.clone());
        self.send_answer(asker.conn, asker.id, result);
    }

    pub(super) fn keep(&mut self, name: &str, id: RequestId, result: Result<Reply, Refusal>) {
        if let Some(session) = self.sessions.get_mut(name) {
            session.keep_reply(id, result);
            self.mark_session(name);
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
            None => self.guests.privileges(&room, &user).map(|_| (room, user)),
        }
    }

    fn on_call(
        &mut self,
        asker: &Asker,
        call_id: &CallId,
        now: UnixMillis,
        input: impl FnOnce(&mut Call) -> Result<(), Refusal>,
    ) -> bool {
        let Some(mut call) = self.calls.remove(call_id) else {
            self.answer(asker, Err(Refusal::because(Code::WrongState, "The call is over.")));
            return false;
        };
        let result = input(&mut call).map(|()| Reply::default());
        let done = result.is_ok();
        self.answer(asker, result);
        if done {
            self.spread(call, now);
        } else {
            self.calls.insert(call_id.clone(), call);
        }
        done
    }

    fn place(&mut self, user: &UserId, device: &DeviceId, wish: PlaceCall, now: UnixMillis) -> Result<Placed, Refusal> {
        check_placement(&wish, user)?;
        self.must_be_known(&wish.callee_id_list)?;
        if self.call_by_user.contains_key(user) {
            return Err(Refusal::because(Code::WrongState, "Another call is under way."));
        }
        if self.settings.map_key_required && wish.room_id.is_some() {
            // Else a call would be the way into any room without a key.
            let message = "Where rooms need keys, the server chooses the room of a call.";
            return Err(Refusal::because(Code::NoPrivilege, message));
        }
        if let Some(room) = &wish.room_id {
            self.must_be_open(room)?;
        }
        self.pace.take(user, now)?;
        let busy = self.busy_among(&wish.callee_id_list);
        let room = match wish.room_id.clone() {
            Some(room) => room,
            None => self.free_room(),
        };
        let mut id = self.ids.call();
        while self.calls.contains_key(&id) {
            id = self.ids.call();
        }
        let call = Call::place(id.clone(), room.clone(), (user.clone(), device.clone()), wish, &busy, now);
        self.forgive(&(room.clone(), user.clone()));
        self.mark_call(&id);
        let (call_id, ring_until) = (Some(id), call.ring_until());
        let reply = Reply { call_id, room_id: Some(room), ring_until, ..Reply::default() };
        Ok(Placed { reply, call })
    }

    fn check_invited(&self, user: &UserId, wish: &InviteUser) -> Result<(), Refusal> {
        check_invitation(wish, user)?;
        self.must_be_known(&wish.callee_id_list)
    }

    /// Whoever is unknown is named; nobody rings.
    fn must_be_known(&self, callees: &[UserId]) -> Result<(), Refusal> {
        let unknown: Vec<_> = callees.iter().filter(|user| !self.is_known(user)).map(UserId::as_str).collect();
        if unknown.is_empty() {
            return Ok(());
        }
        let message = format!("Nobody is known here by the name of {}.", unknown.join(", "));
        Err(Refusal::because(Code::BadParameter, message))
    }

    fn busy_among(&self, callees: &[UserId]) -> BTreeSet<UserId> {
        callees.iter().filter(|callee| self.call_by_user.contains_key(*callee)).cloned().collect()
    }

    fn free_room(&mut self) -> RoomId {
        loop {
            let room = self.ids.room();
            if !self.calls_by_room.contains_key(&room) && !self.guests.hold(&room) {
                return room;
            }
        }
    }

    /// The room that the server has chosen for a running call is entered by that call alone: its number may be guessed.
    fn must_be_open(&self, room: &RoomId) -> Result<(), Refusal> {
        let calls = self.calls_by_room.get(room).into_iter().flatten();
        if calls.filter_map(|call| self.calls.get(call)).any(Call::owns_room) {
            return Err(Refusal::because(Code::NoEnterPrivilege, "This room belongs to a call."));
        }
        Ok(())
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

    fn enter_room(&mut self, asker: &Asker, room: RoomId, rejoin: bool, entry: Entry) -> Result<Reply, Refusal> {
        let user = &asker.user;
        if self.call_by_user.contains_key(user) {
            return Err(Refusal::because(Code::WrongState, "A call is under way."));
        }
        let membership = (room.clone(), user.clone());
        match self.put_out.get(&membership) {
            Some(ExitReason::Dismissed) if rejoin => return Err(Code::RoomNotExist.into()),
            Some(_) if rejoin => return Err(Code::UserRemoved.into()),
            Some(_) | None => {}
        }
        self.must_be_open(&room)?;
        // A membership that goes on keeps what it was allowed: its key may have expired since.
        let kept = self.guests.privileges(&room, user).filter(|_| rejoin);
        let privileges = kept.map_or(entry.key, Ok)?;
        if !entry.exists && !privileges.allow(Privileges::CREATE) {
            return Err(Code::NoCreatePrivilege.into());
        }
        if !privileges.allow(Privileges::ENTER) {
            return Err(Code::NoEnterPrivilege.into());
        }
        self.forgive(&membership);
        self.begin_stay(&room, user, &asker.device, privileges);
        if privileges.allow(Privileges::CREATE) {
            self.outputs.push_back(Output::OpenRoom(room.clone()));
        }
        Ok(Reply { room_id: Some(room), ..Reply::default() })
    }
}
