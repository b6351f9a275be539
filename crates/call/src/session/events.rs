//! What the server's words do to the call of a device, and which events that makes.

use super::{
    CallSession, CallState, Conclusion, DONE_WITH_KEPT, ENDING_TIMEOUT, EndedCall, Ending, Entry, Incoming, Link, Live,
    Outgoing, Output, PLACING_TIMEOUT, Peer, RING_SLACK,
};
use protocol::message::Reply;
use protocol::{CallEndReason, CallId, CallRole, Code, Event, Push, Refusal, Request, RequestId, UnixMillis, UserId};
use std::time::Instant;

impl CallSession {
    pub(super) fn handle_push(&mut self, push: Push, now: Instant) {
        if let Push::RoomExit { room_id, reason, by } = push {
            self.outputs.push_back(Output::RoomExit { room: room_id, reason, by });
            return;
        }
        if matches!(push, Push::Invited { .. }) {
            self.handle_invited(push, now);
            return;
        }
        let Some(call_id) = push.call_id() else { return };
        if self.call.call_id() != Some(call_id) {
            self.handle_push_of_another(push);
            return;
        }
        match push {
            Push::Begun { .. } => self.handle_begun(push, now),
            Push::UserInviting { user_id, ring_until, profile, .. } => {
                self.learn(&user_id, profile);
                self.handle_inviting(user_id, ring_until, now);
            }
            Push::UserAccepted { user_id, .. } => self.report(Event::OnUserAccept { user_id }),
            Push::UserInfo { user_id, profile, .. } => self.learn(&user_id, Some(profile)),
            Push::RingEnded { user_id, .. } => self.forget(&user_id),
            Push::MediaTypeChanged { old_call_media_type, new_call_media_type, .. } => {
                if let CallState::Live(live) = &mut self.call {
                    live.media = new_call_media_type;
                }
                self.report(Event::OnCallMediaTypeChanged { old_call_media_type, new_call_media_type });
            }
            Push::Ringing { .. } => {
                if let CallState::Outgoing(outgoing) = &mut self.call {
                    outgoing.ringing = true;
                }
            }
            Push::UserJoined { user_id, profile, .. } => {
                self.learn(&user_id, profile);
                if let CallState::Live(live) = &mut self.call {
                    live.peers.retain(|peer| peer.user != user_id);
                    live.peers.push(Peer { user: user_id.clone(), rings_until: None });
                }
                self.report(Event::OnUserJoin { user_id });
            }
            Push::UserLeft { user_id, reason, .. } => {
                self.forget(&user_id);
                self.outputs.push_back(Output::PeerLeft { user: user_id.clone(), reason });
                self.report(Event::OnUserLeave { user_id });
            }
            Push::UserRejected { user_id, .. } => {
                self.forget(&user_id);
                self.report(Event::OnUserReject { user_id });
            }
            Push::UserNoResponse { user_id, .. } => {
                let about = self.call.conclude(&self.identity.user, CallEndReason::NoResponse);
                let inviter_id = about.map(|call| call.inviter);
                self.forget(&user_id);
                self.report(Event::OnUserNoResponse { user_id, inviter_id });
            }
            Push::UserLineBusy { user_id, .. } => {
                self.forget(&user_id);
                self.report(Event::OnUserLineBusy { user_id });
            }
            Push::Cancelled { call_id, caller_id, reason, user_id, inviter_id } => {
                let closed = self.close_call(reason, &user_id, None);
                self.report(Event::OnCallCancelled { call_id, caller_id, reason, user_id, inviter_id });
                self.say_over(closed);
            }
            Push::Ended { reason, ref user_id, total_time, .. } => {
                let closed = self.close_call(reason, user_id, Some(total_time));
                self.outputs.extend(end_of(push).map(Output::Event));
                self.say_over(closed);
            }
            // Both are handled above.
            Push::Invited { .. } | Push::RoomExit { .. } | Push::Unknown => {}
        }
    }

    /// Of a call that this device has done with; or the end of one that an earlier run of this program was in.
    fn handle_push_of_another(&mut self, push: Push) {
        if let Push::Begun { call_id, .. } = &push
            && self.done_with.contains(call_id)
        {
            // An answer that got through although it was given up here.
            self.hang_up_unasked(call_id.clone());
            return;
        }
        let Push::Ended { call_id, call_media_type, total_time, reason, user_id, inviter_id, .. } = &push else {
            return;
        };
        if self.done_with.contains(call_id) {
            return;
        }
        let me = &self.identity.user;
        let with = [user_id, inviter_id].into_iter().find(|user| *user != me).cloned();
        let ended = EndedCall {
            call: call_id.clone(),
            media: *call_media_type,
            reason: *reason,
            by: user_id.clone(),
            with: with.into_iter().collect(),
            seconds: Some(*total_time),
        };
        self.outputs.extend(end_of(push).map(Output::Event));
        if self.call == CallState::Idle {
            self.outputs.push_back(Output::Over(ended));
        }
    }

    fn handle_inviting(&mut self, user_id: UserId, until: UnixMillis, now: Instant) {
        let until = self.local(until, now);
        match &mut self.call {
            CallState::Outgoing(outgoing) => {
                outgoing.group = true;
                outgoing.callees.retain(|user| *user != user_id);
                outgoing.callees.push(user_id.clone());
                outgoing.until = outgoing.until.max(until + RING_SLACK);
            }
            CallState::Live(live) => {
                live.group = true;
                live.peers.retain(|peer| peer.user != user_id);
                live.peers.push(Peer { user: user_id.clone(), rings_until: Some(until) });
            }
            CallState::Idle
            | CallState::Placing(_)
            | CallState::Joining(_)
            | CallState::Incoming(_)
            | CallState::Ending(_) => {}
        }
        let everyone = match &self.call {
            CallState::Outgoing(outgoing) => outgoing.callees.clone(),
            CallState::Live(live) => live.peers.iter().map(|peer| peer.user.clone()).collect(),
            CallState::Idle
            | CallState::Placing(_)
            | CallState::Joining(_)
            | CallState::Incoming(_)
            | CallState::Ending(_) => return,
        };
        self.report(Event::OnUserInviting { user_id });
        self.report(Event::OnGroupCallInviteeListUpdate { user_id_list: everyone });
    }

    fn handle_invited(&mut self, push: Push, now: Instant) {
        let Push::Invited {
            call_id,
            caller_id,
            callee_id_list,
            group_id,
            call_media_type,
            user_data,
            room_id,
            ring_until,
            is_group,
            profiles,
        } = push
        else {
            return;
        };
        // While asking, an invitation says that the other one was faster: the server refuses ours.
        let free = matches!(self.call, CallState::Idle | CallState::Placing(_) | CallState::Joining(_));
        if self.call.call_id() == Some(&call_id) && !free {
            return;
        }
        if self.occupied && self.multi_device {
            // It may ring on another device of this user.
            self.done_with(&call_id);
            return;
        }
        if !free || self.occupied {
            // Refused only with too many requests in flight; then it rings out by itself.
            if let Ok(id) = self.request(Request::Ignore { call_id }) {
                self.abandon(id);
            }
            return;
        }
        self.learn_all(profiles);
        self.call = CallState::Incoming(Incoming {
            call: call_id.clone(),
            room: room_id.clone(),
            caller: caller_id.clone(),
            callees: callee_id_list.clone(),
            group_id: group_id.clone(),
            media: call_media_type,
            user_data: user_data.clone(),
            group: is_group,
            answering: false,
            until: self.local(ring_until, now) + RING_SLACK,
        });
        self.report(Event::OnCallReceived {
            call_id,
            caller_id,
            callee_id_list,
            group_id,
            call_media_type,
            user_data,
            room_id,
        });
    }

    fn handle_begun(&mut self, push: Push, now: Instant) {
        let Push::Begun {
            call_id,
            room_id,
            call_media_type,
            call_role,
            began_at,
            members,
            ringing,
            ringing_until,
            is_group,
            inviter_id,
            profiles,
            access,
        } = push
        else {
            return;
        };
        let inviter = match &self.call {
            CallState::Outgoing(_) => self.identity.user.clone(),
            CallState::Incoming(incoming) => incoming.caller.clone(),
            CallState::Ending(ending) => ending.silent.inviter.clone(),
            CallState::Joining(_) => inviter_id.unwrap_or_else(|| self.identity.user.clone()),
            CallState::Idle | CallState::Placing(_) | CallState::Live(_) => return,
        };
        self.learn_all(profiles);
        let inside = members.iter().map(|user| Peer { user: user.clone(), rings_until: None });
        let rung = ringing.iter().map(|user| {
            let until = ringing_until.get(user).map_or(now, |until| self.local(*until, now));
            Peer { user: user.clone(), rings_until: Some(until) }
        });
        let live = Live {
            call: call_id.clone(),
            room: room_id.clone(),
            media: call_media_type,
            role: call_role,
            began: self.local(began_at, now).min(now),
            inviter,
            group: is_group,
            peers: inside.chain(rung).collect(),
        };
        if let CallState::Ending(ending) = &mut self.call {
            // The other side answered before our hang-up got through: it began, and ends with the server's next word.
            ending.silent.began = Some(live.began);
            ending.silent.reason = CallEndReason::Hangup;
        } else {
            if let Some(access) = access {
                let (call, room) = (call_id.clone(), room_id.clone());
                let entry = Entry { call, room, media: call_media_type, role: call_role, access };
                self.outputs.push_back(Output::EnterRoom(entry));
            }
            self.call = CallState::Live(live);
        }
        self.report(Event::OnCallBegin { call_id, room_id, call_media_type, call_role });
        for user_id in members {
            self.report(Event::OnUserJoin { user_id });
        }
    }

    pub(super) fn handle_placed(
        &mut self,
        id: RequestId,
        abandoned: bool,
        result: &Result<Reply, Refusal>,
        now: Instant,
    ) {
        let placing = match &self.call {
            CallState::Placing(placing) if placing.request == id => placing.clone(),
            CallState::Idle
            | CallState::Placing(_)
            | CallState::Joining(_)
            | CallState::Outgoing(_)
            | CallState::Incoming(_)
            | CallState::Live(_)
            | CallState::Ending(_) => {
                if let Ok(Reply { call_id: Some(call_id), .. }) = result {
                    // Taken back before it had an id, or overtaken by an invitation.
                    tracing::debug!(abandoned, "hanging up a call that nobody waits for");
                    self.done_with(call_id);
                    self.hang_up_unasked(call_id.clone());
                }
                return;
            }
        };
        let Ok(Reply { call_id: Some(call), room_id: Some(room), access, ring_until, .. }) = result else {
            self.call = CallState::Idle;
            return;
        };
        if let Some(access) = access.clone() {
            let (call, room, media) = (call.clone(), room.clone(), placing.media);
            self.outputs.push_back(Output::PrepareRoom(Entry { call, room, media, role: CallRole::Caller, access }));
        }
        self.call = CallState::Outgoing(Outgoing {
            call: call.clone(),
            room: room.clone(),
            callees: placing.callees,
            media: placing.media,
            group: placing.group,
            ringing: false,
            until: ring_until.map_or(now + PLACING_TIMEOUT * 3, |until| self.local(until, now)) + RING_SLACK,
        });
    }

    pub(super) fn handle_accept_answer(&mut self, call_id: &CallId, result: &Result<Reply, Refusal>, now: Instant) {
        let waiting = matches!(&self.call, CallState::Incoming(incoming) if incoming.call == *call_id);
        if waiting && result.is_err() {
            // Its end was said before; where that got lost, the ring ends here.
            self.conclude_here(CallEndReason::Canceled, now);
        }
    }

    pub(super) fn handle_join_answer(
        &mut self,
        id: RequestId,
        call_id: &CallId,
        abandoned: bool,
        result: &Result<Reply, Refusal>,
    ) {
        let waiting = matches!(&self.call, CallState::Joining(joining) if joining.request == id);
        if waiting && result.is_err() {
            self.call = CallState::Idle;
        } else if abandoned && result.is_ok() {
            self.done_with(call_id);
            self.hang_up_unasked(call_id.clone());
        }
    }

    /// Ends one's own part: the devices are released at once, the server's word is awaited for a moment.
    pub(super) fn end(&mut self, request: Request, reason: CallEndReason, now: Instant) -> Result<RequestId, Refusal> {
        let Some(silent) = self.call.conclude(&self.identity.user, reason) else {
            return Err(Code::WrongState.into());
        };
        let id = self.request(request)?;
        if !matches!(self.call, CallState::Incoming(_)) {
            self.outputs.push_back(Output::LeaveRoom { call: silent.call.clone() });
        }
        // Whoever asked waits for the end, not for the answer.
        self.abandon(id);
        self.call = CallState::Ending(Ending { silent, request: id, until: now + ENDING_TIMEOUT });
        if matches!(self.link, Link::Refused(_)) {
            // The server hears of it when a new ticket has brought the session back.
            self.conclude_ending(now);
        }
        Ok(id)
    }

    pub(super) fn expire_call(&mut self, now: Instant) {
        match &self.call {
            CallState::Placing(_) | CallState::Joining(_) => {
                self.abandon_asking(&Refusal::because(Code::Signalling, "The server did not answer."));
            }
            CallState::Outgoing(outgoing) => {
                let (call_id, callees) = (outgoing.call.clone(), outgoing.callees.clone());
                self.hang_up_unasked(call_id);
                let by = callees.first().cloned().unwrap_or_else(|| self.identity.user.clone());
                for user_id in callees {
                    let inviter_id = Some(self.identity.user.clone());
                    self.report(Event::OnUserNoResponse { user_id, inviter_id });
                }
                self.conclude_by(CallEndReason::NoResponse, by, now);
            }
            CallState::Incoming(incoming) => {
                // The answer may have got through, and nobody is here for whoever called.
                let answered = incoming.answering.then(|| incoming.call.clone());
                if let Some(call_id) = answered {
                    self.hang_up_unasked(call_id);
                }
                self.conclude_here(CallEndReason::NoResponse, now);
            }
            CallState::Ending(_) => self.conclude_ending(now),
            CallState::Idle | CallState::Live(_) => {}
        }
    }

    /// Nobody waits any more for the call that is being placed or joined.
    pub(super) fn abandon_asking(&mut self, refusal: &Refusal) {
        let id = match &self.call {
            CallState::Placing(placing) => placing.request,
            CallState::Joining(joining) => joining.request,
            CallState::Idle
            | CallState::Outgoing(_)
            | CallState::Incoming(_)
            | CallState::Live(_)
            | CallState::Ending(_) => return,
        };
        self.call = CallState::Idle;
        self.abandon(id);
        self.outputs.push_back(Output::Done { id, result: Err(refusal.clone()) });
    }

    /// Leaves a call for which nobody waits here, once.
    fn hang_up_unasked(&mut self, call_id: CallId) {
        let asked = |request: &Request| matches!(request, Request::Hangup { call_id: other } if *other == call_id);
        if self.pending.values().any(|pending| asked(&pending.request)) {
            return;
        }
        // Refused only with too many requests in flight; then the server misses this user in the room.
        if let Ok(id) = self.request(Request::Hangup { call_id }) {
            self.abandon(id);
        }
    }

    fn done_with(&mut self, call: &CallId) {
        self.done_with.retain(|done| done != call);
        self.done_with.push_back(call.clone());
        while self.done_with.len() > DONE_WITH_KEPT {
            self.done_with.pop_front();
        }
    }

    pub(super) fn abandon(&mut self, id: RequestId) {
        if let Some(pending) = self.pending.get_mut(&id) {
            pending.abandoned = true;
        }
    }

    pub(super) fn conclude_ending(&mut self, now: Instant) {
        if let CallState::Ending(ending) = &self.call {
            let reason = ending.silent.reason;
            self.conclude_here(reason, now);
        }
    }

    /// Ends the call without the server's word, with the events that it would have sent.
    pub(super) fn conclude_here(&mut self, reason: CallEndReason, now: Instant) {
        self.conclude_by(reason, self.identity.user.clone(), now);
    }

    /// The same; `by` caused it.
    fn conclude_by(&mut self, reason: CallEndReason, by: UserId, now: Instant) {
        let Some(silent) = self.call.conclude(&self.identity.user, reason) else { return };
        let me = self.identity.user.clone();
        let seconds = silent.began.map(|began| now.saturating_duration_since(began).as_secs());
        let Conclusion { call, room, media, role, inviter, reason, unreported, .. } = silent;
        let closed = self.close_call(reason, &by, seconds);
        if unreported {
            self.outputs.extend(closed.and_then(|closed| closed.asked).map(done));
            return;
        }
        self.report(match seconds {
            Some(total_time) => Event::OnCallEnd {
                call_id: call,
                room_id: room,
                call_media_type: media,
                call_role: role,
                total_time,
                reason,
                user_id: by,
                inviter_id: inviter,
            },
            None => Event::OnCallCancelled { call_id: call, caller_id: me, reason, user_id: by, inviter_id: inviter },
        });
        self.say_over(closed);
    }

    /// Back to idle; says first that the room is to be left, where one was (or may have been) entered.
    fn close_call(&mut self, reason: CallEndReason, by: &UserId, seconds: Option<u64>) -> Option<Closed> {
        let entered = matches!(self.call, CallState::Outgoing(_) | CallState::Live(_));
        let was = self.call.conclude(&self.identity.user, reason)?;
        let asked = match std::mem::replace(&mut self.call, CallState::Idle) {
            CallState::Ending(ending) => Some(ending.request),
            CallState::Idle
            | CallState::Placing(_)
            | CallState::Joining(_)
            | CallState::Outgoing(_)
            | CallState::Incoming(_)
            | CallState::Live(_) => None,
        };
        self.done_with(&was.call);
        if entered {
            self.outputs.push_back(Output::LeaveRoom { call: was.call.clone() });
        }
        let call = EndedCall { call: was.call, media: was.media, reason, by: by.clone(), with: was.with, seconds };
        Some(Closed { call, asked })
    }

    /// The end is reported: tells the screen, and whoever asked for it.
    fn say_over(&mut self, closed: Option<Closed>) {
        let Some(Closed { call, asked }) = closed else { return };
        self.outputs.push_back(Output::Over(call));
        self.outputs.extend(asked.map(done));
    }

    /// Somebody no longer takes part. Kept where they were the last: the screen still says with whom it was.
    fn forget(&mut self, user: &UserId) {
        match &mut self.call {
            CallState::Outgoing(outgoing) if outgoing.callees.len() > 1 => outgoing.callees.retain(|u| u != user),
            CallState::Live(live) if live.peers.len() > 1 => live.peers.retain(|peer| peer.user != *user),
            CallState::Idle
            | CallState::Placing(_)
            | CallState::Joining(_)
            | CallState::Outgoing(_)
            | CallState::Incoming(_)
            | CallState::Live(_)
            | CallState::Ending(_) => {}
        }
    }
}

/// A call that no longer occupies this device.
struct Closed {
    call: EndedCall,
    /// The request that ended it.
    asked: Option<RequestId>,
}

fn done(id: RequestId) -> Output {
    Output::Done { id, result: Ok(Reply::default()) }
}

/// What `onCallEnd` tells of [`Push::Ended`].
fn end_of(push: Push) -> Option<Event> {
    let Push::Ended { call_id, room_id, call_media_type, call_role, total_time, reason, user_id, inviter_id } = push
    else {
        return None;
    };
    Some(Event::OnCallEnd { call_id, room_id, call_media_type, call_role, total_time, reason, user_id, inviter_id })
}
