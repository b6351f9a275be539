//! What the server's words do to the call of a device, and which events that makes.

use super::{
    CallSession, CallState, Conclusion, ENDING_TIMEOUT, EndedCall, Ending, Entry, Incoming, Live, Outgoing, Output,
    PLACING_TIMEOUT, Peer, RING_SLACK,
};
use protocol::message::Reply;
use protocol::{CallEndReason, CallId, CallRole, Code, Event, Push, Refusal, Request, RequestId, UserId};
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
        let Some(call_id) = call_of(&push) else { return };
        if self.call.call_id() != Some(call_id) {
            // Of a call that this device has given up.
            return;
        }
        match push {
            Push::Begun { .. } => self.handle_begun(push, now),
            Push::Ringing { .. } => {
                if let CallState::Outgoing(outgoing) = &mut self.call {
                    outgoing.ringing = true;
                }
            }
            Push::UserJoined { user_id, .. } => {
                if let CallState::Live(live) = &mut self.call {
                    live.peers.retain(|peer| peer.user != user_id);
                    live.peers.push(Peer { user: user_id.clone(), ringing: false });
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
                self.forget(&user_id);
                self.report(Event::OnUserNoResponse { user_id });
            }
            Push::UserLineBusy { user_id, .. } => {
                self.forget(&user_id);
                self.report(Event::OnUserLineBusy { user_id });
            }
            Push::Cancelled { call_id, caller_id, reason, user_id, inviter_id } => {
                let ended = self.close_call(reason, &user_id, None);
                self.report(Event::OnCallCancelled { call_id, caller_id, reason, user_id, inviter_id });
                self.outputs.extend(ended.map(Output::Over));
            }
            Push::Ended { call_id, room_id, call_media_type, call_role, total_time, reason, user_id, inviter_id } => {
                let ended = self.close_call(reason, &user_id, Some(total_time));
                self.report(Event::OnCallEnd {
                    call_id,
                    room_id,
                    call_media_type,
                    call_role,
                    total_time,
                    reason,
                    user_id,
                    inviter_id,
                });
                self.outputs.extend(ended.map(Output::Over));
            }
            // Both are handled above.
            Push::Invited { .. } | Push::RoomExit { .. } | Push::Unknown => {}
        }
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
        } = push
        else {
            return;
        };
        // While placing, an invitation says that the other one was faster: the server refuses ours.
        let free = matches!(self.call, CallState::Idle | CallState::Placing(_));
        if !free || self.occupied {
            // Refused only with too many requests in flight; then it rings out by itself.
            if let Ok(id) = self.request(Request::Ignore { call_id }) {
                self.abandon(id);
            }
            return;
        }
        self.call = CallState::Incoming(Incoming {
            call: call_id.clone(),
            room: room_id,
            caller: caller_id.clone(),
            callees: callee_id_list.clone(),
            group_id: group_id.clone(),
            media: call_media_type,
            user_data: user_data.clone(),
            answering: false,
            until: self.local(ring_until, now) + RING_SLACK,
        });
        self.report(Event::OnCallReceived { call_id, caller_id, callee_id_list, group_id, call_media_type, user_data });
    }

    fn handle_begun(&mut self, push: Push, now: Instant) {
        let Push::Begun { call_id, room_id, call_media_type, call_role, began_at, members, ringing, access } = push
        else {
            return;
        };
        let inviter = match &self.call {
            CallState::Outgoing(_) => self.identity.user.clone(),
            CallState::Incoming(incoming) => incoming.caller.clone(),
            CallState::Ending(ending) => ending.silent.inviter.clone(),
            CallState::Idle | CallState::Placing(_) | CallState::Live(_) => return,
        };
        let peer = |ringing: bool| move |user: &UserId| Peer { user: user.clone(), ringing };
        let live = Live {
            call: call_id.clone(),
            room: room_id.clone(),
            media: call_media_type,
            role: call_role,
            began: self.local(began_at, now).min(now),
            inviter,
            peers: members.iter().map(peer(false)).chain(ringing.iter().map(peer(true))).collect(),
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
            | CallState::Outgoing(_)
            | CallState::Incoming(_)
            | CallState::Live(_)
            | CallState::Ending(_) => {
                if let Ok(Reply { call_id: Some(call_id), .. }) = result {
                    // Taken back before it had an id, or overtaken by an invitation.
                    tracing::debug!(abandoned, "hanging up a call that nobody waits for");
                    if let Ok(id) = self.request(Request::Hangup { call_id: call_id.clone() }) {
                        self.abandon(id);
                    }
                }
                return;
            }
        };
        let Ok(Reply { call_id: Some(call), room_id: Some(room), access, ring_until }) = result else {
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

    /// Ends one's own part: the devices are released at once, the server's word is awaited for a moment.
    pub(super) fn end(&mut self, request: Request, reason: CallEndReason, now: Instant) -> Result<RequestId, Refusal> {
        let Some(silent) = self.call.conclude(&self.identity.user, reason) else {
            return Err(Code::WrongState.into());
        };
        let id = self.request(request)?;
        if !matches!(self.call, CallState::Incoming(_)) {
            self.outputs.push_back(Output::LeaveRoom { call: silent.call.clone() });
        }
        self.call = CallState::Ending(Ending { silent, until: now + ENDING_TIMEOUT });
        Ok(id)
    }

    pub(super) fn expire_call(&mut self, now: Instant) {
        match &self.call {
            CallState::Placing(_) => {
                self.abandon_placing(&Refusal::because(Code::Signalling, "The server did not answer."));
            }
            CallState::Outgoing(outgoing) => {
                let call_id = outgoing.call.clone();
                if let Ok(id) = self.request(Request::Hangup { call_id }) {
                    self.abandon(id);
                }
                self.conclude_here(CallEndReason::NoResponse, now);
            }
            CallState::Incoming(_) => self.conclude_here(CallEndReason::NoResponse, now),
            CallState::Ending(_) => self.conclude_ending(now),
            CallState::Idle | CallState::Live(_) => {}
        }
    }

    /// Nobody waits for the call that is being placed any more.
    pub(super) fn abandon_placing(&mut self, refusal: &Refusal) {
        let CallState::Placing(placing) = &self.call else { return };
        let id = placing.request;
        self.call = CallState::Idle;
        self.abandon(id);
        self.outputs.push_back(Output::Done { id, result: Err(refusal.clone()) });
    }

    fn abandon(&mut self, id: RequestId) {
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
        let Some(silent) = self.call.conclude(&self.identity.user, reason) else { return };
        let me = self.identity.user.clone();
        let seconds = silent.began.map(|began| now.saturating_duration_since(began).as_secs());
        let Conclusion { call, room, media, role, inviter, reason, unreported, .. } = silent;
        let ended = self.close_call(reason, &me, seconds);
        if unreported {
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
                user_id: me,
                inviter_id: inviter,
            },
            None => Event::OnCallCancelled {
                call_id: call,
                caller_id: me.clone(),
                reason,
                user_id: me,
                inviter_id: inviter,
            },
        });
        self.outputs.extend(ended.map(Output::Over));
    }

    /// Back to idle; says first that the room is to be left, where one was (or may have been) entered.
    fn close_call(&mut self, reason: CallEndReason, by: &UserId, seconds: Option<u64>) -> Option<EndedCall> {
        let entered = matches!(self.call, CallState::Outgoing(_) | CallState::Live(_));
        let was = self.call.conclude(&self.identity.user, reason)?;
        self.call = CallState::Idle;
        if entered {
            self.outputs.push_back(Output::LeaveRoom { call: was.call.clone() });
        }
        Some(EndedCall { call: was.call, media: was.media, reason, by: by.clone(), with: was.with, seconds })
    }

    /// Somebody no longer takes part. Kept where they were the last: the screen still says with whom it was.
    fn forget(&mut self, user: &UserId) {
        match &mut self.call {
            CallState::Outgoing(outgoing) if outgoing.callees.len() > 1 => outgoing.callees.retain(|u| u != user),
            CallState::Live(live) if live.peers.len() > 1 => live.peers.retain(|peer| peer.user != *user),
            CallState::Idle
            | CallState::Placing(_)
            | CallState::Outgoing(_)
            | CallState::Incoming(_)
            | CallState::Live(_)
            | CallState::Ending(_) => {}
        }
    }
}

/// The call that an event is about.
fn call_of(push: &Push) -> Option<&CallId> {
    match push {
        Push::Invited { call_id, .. }
        | Push::Ringing { call_id, .. }
        | Push::Begun { call_id, .. }
        | Push::UserJoined { call_id, .. }
        | Push::UserLeft { call_id, .. }
        | Push::UserRejected { call_id, .. }
        | Push::UserNoResponse { call_id, .. }
        | Push::UserLineBusy { call_id, .. }
        | Push::Cancelled { call_id, .. }
        | Push::Ended { call_id, .. } => Some(call_id),
        Push::RoomExit { .. } | Push::Unknown => None,
    }
}
