//! What the person wants of their calls.

use super::{
    CallSession, CallState, Joining, Link, Output, PLACING_TIMEOUT, Placing, check_invitation, check_placement,
};
use protocol::message::{InviteUser, PlaceCall, Ticket};
use protocol::{
    CallEndReason, CallId, CallMediaType, Code, Profile, RecordFilter, Refusal, Request, RequestId, RoomId,
};
use std::time::Instant;

impl CallSession {
    /// Place a call. The id comes back in [`Output::Done`].
    pub fn place(&mut self, call: PlaceCall, now: Instant) -> Result<RequestId, Refusal> {
        self.is_free()?;
        check_placement(&call, &self.identity.user)?;
        self.is_online()?;
        let (callees, media) = (call.callee_id_list.clone(), call.call_media_type);
        let group = callees.len() > 1 || !call.group_id.is_empty();
        let request = self.request(Request::Call(call))?;
        self.call = CallState::Placing(Placing { request, callees, media, group, until: now + PLACING_TIMEOUT });
        Ok(request)
    }

    /// Enter a running call that this user was once invited to. It has begun when [`Output::EnterRoom`] says so.
    pub fn join(&mut self, call: CallId, now: Instant) -> Result<RequestId, Refusal> {
        self.is_free()?;
        self.is_online()?;
        let request = self.request(Request::Join { call_id: call.clone() })?;
        self.call = CallState::Joining(Joining { request, call, until: now + PLACING_TIMEOUT });
        Ok(request)
    }

    /// Ring more people for the call that this user is in. `wish.call_id` is filled in here. Only `add_person` makes a
    /// call for two a group call.
    pub fn invite(&mut self, mut wish: InviteUser) -> Result<RequestId, Refusal> {
        self.signed_in()?;
        let (call, group) = match &self.call {
            CallState::Outgoing(outgoing) => (&outgoing.call, outgoing.group),
            CallState::Live(live) => (&live.call, live.group),
            CallState::Idle
            | CallState::Placing(_)
            | CallState::Joining(_)
            | CallState::Incoming(_)
            | CallState::Ending(_) => {
                return Err(Refusal::because(Code::WrongState, "There is no call to invite into."));
            }
        };
        if !group && !wish.add_person {
            return Err(Refusal::because(Code::WrongScene, "This is a call for two."));
        }
        wish.call_id = call.clone();
        check_invitation(&wish, &self.identity.user)?;
        self.request(Request::InviteUser(wish))
    }

    /// Make the video call for two a voice call.
    pub fn switch_media(&mut self, call_media_type: CallMediaType) -> Result<RequestId, Refusal> {
        self.signed_in()?;
        let CallState::Live(live) = &self.call else {
            return Err(Refusal::because(Code::WrongState, "There is no running call."));
        };
        if live.group {
            return Err(Refusal::because(Code::WrongScene, "A group call keeps its kind."));
        }
        if live.media == CallMediaType::Voice && call_media_type == CallMediaType::Video {
            return Err(Refusal::because(Code::WrongScene, "A voice call cannot become a video call."));
        }
        let call_id = live.call.clone();
        self.request(Request::SwitchCallMediaType { call_id, call_media_type })
    }

    /// Say how this user calls themselves; others learn it with the calls that they share.
    pub fn set_self_info(&mut self, profile: Profile) -> Result<RequestId, Refusal> {
        self.signed_in()?;
        profile.check()?;
        self.request(Request::SetSelfInfo(profile))
    }

    /// Let several devices of this user be signed in and ring, or only the one that signed in last.
    pub fn enable_multi_device(&mut self, enable: bool) -> Result<RequestId, Refusal> {
        self.signed_in()?;
        self.request(Request::EnableMultiDeviceAbility { enable })
    }

    /// Read the records of calls.
    pub fn recent_calls(&mut self, filter: RecordFilter) -> Result<RequestId, Refusal> {
        self.signed_in()?;
        self.request(Request::QueryRecentCalls(filter))
    }

    /// Delete records, for this user alone.
    pub fn delete_records(&mut self, call_id_list: Vec<CallId>) -> Result<RequestId, Refusal> {
        self.signed_in()?;
        self.request(Request::DeleteRecordCalls { call_id_list })
    }

    /// Answer the call that rings here.
    pub fn accept(&mut self) -> Result<RequestId, Refusal> {
        self.signed_in()?;
        let CallState::Incoming(incoming) = &self.call else {
            return Err(Refusal::because(Code::WrongState, "No call rings here."));
        };
        if incoming.answering {
            return Err(Code::AlreadyUnderWay.into());
        }
        let call_id = incoming.call.clone();
        let id = self.request(Request::Accept { call_id })?;
        if let CallState::Incoming(incoming) = &mut self.call {
            incoming.answering = true;
        }
        Ok(id)
    }

    /// Decline the call that rings here.
    pub fn reject(&mut self, now: Instant) -> Result<RequestId, Refusal> {
        let (call_id, answering) = self.ringing_here()?;
        // An answer may be on its way: whichever the server has carried out, this ends it.
        let request = if answering { Request::Hangup { call_id } } else { Request::Reject { call_id } };
        self.end(request, CallEndReason::Reject, now)
    }

    /// Leave the call that rings here without an answer: the caller gets "busy".
    pub fn ignore(&mut self, now: Instant) -> Result<RequestId, Refusal> {
        let (call_id, answering) = self.ringing_here()?;
        if answering {
            return Err(Refusal::because(Code::WrongState, "The call is answered."));
        }
        let id = self.end(Request::Ignore { call_id }, CallEndReason::LineBusy, now)?;
        if let CallState::Ending(ending) = &mut self.call {
            ending.silent.unreported = true;
        }
        Ok(id)
    }

    /// Take back, decline or leave the call, whichever it is. `None` where there was nothing to tell the server: the
    /// call had no id yet and is hung up as soon as it has one.
    pub fn hangup(&mut self, now: Instant) -> Result<Option<RequestId>, Refusal> {
        self.may_end()?;
        match &self.call {
            CallState::Idle => Err(Refusal::because(Code::WrongState, "There is no call to hang up.")),
            CallState::Ending(_) => Err(Code::AlreadyUnderWay.into()),
            CallState::Placing(_) | CallState::Joining(_) => {
                self.abandon_asking(&Refusal::because(Code::WrongState, "The call was taken back."));
                Ok(None)
            }
            CallState::Outgoing(outgoing) => {
                let call_id = outgoing.call.clone();
                self.end(Request::Hangup { call_id }, CallEndReason::Canceled, now).map(Some)
            }
            CallState::Incoming(_) => self.reject(now).map(Some),
            CallState::Live(live) => {
                let call_id = live.call.clone();
                self.end(Request::Hangup { call_id }, CallEndReason::Hangup, now).map(Some)
            }
        }
    }

    /// A fresh token for the room of the running call, needed before every rejoin.
    pub fn room_access(&mut self) -> Result<RequestId, Refusal> {
        self.signed_in()?;
        let CallState::Live(live) = &self.call else {
            return Err(Refusal::because(Code::WrongState, "There is no running call."));
        };
        let call_id = live.call.clone();
        self.request(Request::RoomAccess { call_id })
    }

    /// A token for a room by its id. `rejoin`: the same membership goes on, refused to one who was removed. `key`: a
    /// PrivateMapKey, where the server asks for one.
    pub fn enter_room(&mut self, room: RoomId, rejoin: bool, key: Option<Ticket>) -> Result<RequestId, Refusal> {
        self.signed_in()?;
        if self.call != CallState::Idle {
            return Err(Refusal::because(Code::WrongState, "A call is under way."));
        }
        if !rejoin {
            self.is_online()?;
        }
        self.request(Request::EnterRoom { room_id: room, rejoin, private_map_key: key })
    }

    /// The room entered by [`Self::enter_room`] was left.
    pub fn leave_room(&mut self, room: RoomId) -> Result<RequestId, Refusal> {
        self.signed_in()?;
        self.request(Request::LeaveRoom { room_id: room })
    }

    /// Whether the user is in a room without a call: then whoever rings gets "busy".
    pub fn set_occupied(&mut self, occupied: bool) {
        self.occupied = occupied;
    }

    /// The room of the running call is lost for good: the call ends here for reason "offline", and the server is told.
    pub fn handle_room_gave_up(&mut self, now: Instant) {
        let CallState::Live(live) = &self.call else { return };
        let call_id = live.call.clone();
        // The request outlives the state: it is sent again after a resume.
        let _ = self.request(Request::Hangup { call_id });
        self.conclude_here(CallEndReason::Offline, now);
    }

    /// A new ticket, for the next hello and, where online, handed in at once.
    pub fn renew_ticket(&mut self, ticket: impl Into<String>) -> Result<Option<RequestId>, Refusal> {
        self.ticket = Ticket(ticket.into());
        match self.link {
            Link::Refused(_) => self.link = Link::Down,
            Link::Online => return self.request(Request::RenewTicket { user_sig: self.ticket.clone() }).map(Some),
            Link::Down | Link::Greeting | Link::Kicked | Link::SignedOut => {}
        }
        Ok(None)
    }

    /// Leave whatever is under way and end the session.
    pub fn sign_out(&mut self, now: Instant) {
        if self.link == Link::Online {
            // Refused only with too many requests in flight; closing the socket does the rest.
            if let Ok(id) = self.request(Request::SignOut {}) {
                self.abandon(id);
            }
        }
        self.conclude_here(CallEndReason::Hangup, now);
        self.link = Link::SignedOut;
        self.heard = None;
        self.session = None;
        self.fail_pending(&Code::NotSignedIn.into());
        self.outputs.push_back(Output::Close);
    }

    /// A call may begin here: none is under way, and no room is entered.
    fn is_free(&self) -> Result<(), Refusal> {
        self.signed_in()?;
        match self.call {
            CallState::Idle => {}
            CallState::Placing(_) | CallState::Joining(_) => return Err(Code::AlreadyUnderWay.into()),
            CallState::Outgoing(_) | CallState::Incoming(_) | CallState::Live(_) | CallState::Ending(_) => {
                return Err(Refusal::because(Code::WrongState, "Another call is under way."));
            }
        }
        if self.occupied {
            return Err(Refusal::because(Code::WrongState, "Leave the room first."));
        }
        Ok(())
    }

    /// What is asked of the server now, or not at all, can be asked.
    fn is_online(&self) -> Result<(), Refusal> {
        if self.link != Link::Online {
            return Err(Refusal::because(Code::Signalling, "The server cannot be reached right now."));
        }
        Ok(())
    }

    fn signed_in(&self) -> Result<(), Refusal> {
        match &self.link {
            Link::Refused(refusal) => Err(refusal.clone()),
            Link::Kicked | Link::SignedOut => Err(Code::NotSignedIn.into()),
            Link::Down | Link::Greeting if self.session.is_none() => Err(Code::NotSignedIn.into()),
            Link::Down | Link::Greeting | Link::Online => Ok(()),
        }
    }

    /// Whoever is in a call may leave it, also when the ticket has expired meanwhile.
    fn may_end(&self) -> Result<(), Refusal> {
        if self.wants_ticket() { Ok(()) } else { self.signed_in() }
    }

    /// The call that rings here, and whether it is being answered.
    fn ringing_here(&self) -> Result<(CallId, bool), Refusal> {
        self.signed_in()?;
        match &self.call {
            CallState::Incoming(incoming) => Ok((incoming.call.clone(), incoming.answering)),
            CallState::Idle
            | CallState::Placing(_)
            | CallState::Joining(_)
            | CallState::Outgoing(_)
            | CallState::Live(_)
            | CallState::Ending(_) => Err(Refusal::because(Code::WrongState, "No call rings here.")),
        }
    }
}
