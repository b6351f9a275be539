//! What goes beyond ringing and hanging up: more people in a call, running calls to join, records, names, tickets.

use super::calls::Waiting;
use super::{Core, Reply, SignedIn, own_refusal, refuse};
use crate::api::{Answer, Refusal, Secret};
use crate::call_socket::CallSocket;
use call::session::{CallState, Link};
use protocol::message::InviteUser;
use protocol::{CallId, CallMediaType, Code, RecordFilter, UserId};
use std::time::{Duration, Instant};

/// Records in the snapshot: as many as a list shows without being asked for more.
const RECENT_COUNT: u32 = 50;

impl Core {
    pub(super) fn invite(
        &mut self,
        users: Vec<UserId>,
        user_data: String,
        timeout: Option<Duration>,
        add_person: bool,
        reply: Reply,
    ) {
        let timeout = timeout.map(|t| u32::try_from(t.as_secs()).unwrap_or(u32::MAX));
        self.ask(reply, |calls, _| {
            let Some(call_id) = calls.call().call_id().cloned() else {
                return Err(protocol::Refusal::because(Code::WrongState, "There is no call to invite into."));
            };
            calls.invite(InviteUser { call_id, callee_id_list: users, user_data, timeout, add_person })
        });
    }

    pub(super) fn query_recent(&mut self, filter: RecordFilter, reply: Reply) {
        let asked = self.calls().and_then(|calls| calls.recent_calls(filter).map_err(|r| own_refusal(&r)));
        match asked {
            Ok(id) => {
                self.waiting.insert(id, Waiting::Records(reply));
            }
            Err(refusal) => {
                let _ = reply.send(Err(refusal));
            }
        }
    }

    pub(super) fn recent_may_have_changed(&mut self) {
        if let Some(signed_in) = &mut self.signed_in {
            signed_in.recent_is_old = true;
        }
    }

    /// Reads the records of the snapshot again, where they may have changed.
    pub(super) fn refresh_recent(&mut self) {
        let Some(signed_in) = &mut self.signed_in else { return };
        if !signed_in.recent_is_old || *signed_in.calls.link() != Link::Online {
            return;
        }
        let filter = RecordFilter { limit: Some(RECENT_COUNT), ..RecordFilter::default() };
        // With too many requests in flight the next change tries again.
        if let Ok(id) = signed_in.calls.recent_calls(filter) {
            signed_in.recent_is_old = false;
            self.waiting.insert(id, Waiting::Recent);
        }
    }

    pub(super) fn join_call(&mut self, call: Option<CallId>, camera: bool, reply: Reply) {
        let video = |media: CallMediaType| media == CallMediaType::Video;
        let joined = self.calls().and_then(|calls| {
            let card = calls.cards().iter().find(|card| call.as_ref().is_none_or(|call| card.call_id == *call));
            let with_picture = card.is_some_and(|card| video(card.call_media_type));
            let call = call.clone().or_else(|| card.map(|card| card.call_id.clone()));
            let call = call.ok_or_else(|| refuse(Code::WrongState, "There is no running call to join."))?;
            let id = calls.join(call, Instant::now()).map_err(|r| own_refusal(&r))?;
            Ok((id, with_picture))
        });
        match joined {
            Ok((id, with_picture)) => {
                self.waiting.insert(id, Waiting::Done(reply));
                self.start_afresh(camera && with_picture);
                self.accepted_at = Some(Instant::now());
                self.open_devices();
            }
            Err(refusal) => {
                let _ = reply.send(Err(refusal));
            }
        }
    }

    /// Where the server has refused the old ticket, the new one opens the socket again; a running call has gone on
    /// meanwhile.
    pub(super) fn renew_ticket(&mut self, ticket: Secret, reply: Reply) {
        let renewed = self.calls().and_then(|calls| calls.renew_ticket(ticket.0).map_err(|r| own_refusal(&r)));
        match (renewed, &mut self.signed_in) {
            (Ok(Some(id)), _) => {
                self.waiting.insert(id, Waiting::Done(reply));
            }
            (Ok(None), Some(SignedIn { socket, server, waiting, recent_is_old, .. })) => {
                *recent_is_old = true;
                socket.get_or_insert_with(|| CallSocket::open(server));
                // Answered by the welcome, or by the next refusal.
                *waiting = Some(reply);
            }
            (Ok(None), None) => {
                let _ = reply.send(Ok(Answer::Done));
            }
            (Err(refusal), _) => {
                let _ = reply.send(Err(refusal));
            }
        }
    }

    /// Opens or closes the own camera; in a voice call there is none to open.
    pub(super) async fn want_camera(&mut self, on: bool) -> Result<Answer, Refusal> {
        if on && self.is_in_voice_call() {
            return Err(refuse(Code::WrongScene, "This is a voice call."));
        }
        self.camera_wanted = on;
        self.switch_camera().await;
        Ok(Answer::Done)
    }

    fn is_in_voice_call(&self) -> bool {
        let Some(signed_in) = &self.signed_in else { return false };
        match signed_in.calls.call() {
            CallState::Outgoing(outgoing) => outgoing.media == CallMediaType::Voice,
            CallState::Live(live) => live.media == CallMediaType::Voice,
            CallState::Idle
            | CallState::Placing(_)
            | CallState::Joining(_)
            | CallState::Incoming(_)
            | CallState::Ending(_) => false,
        }
    }

    /// In a call, and the call plane cannot tell us of its end.
    pub(super) fn is_in_call_offline(&self) -> bool {
        self.signed_in.as_ref().is_some_and(|signed_in| {
            *signed_in.calls.link() != Link::Online && matches!(signed_in.calls.call(), CallState::Live(_))
        })
    }
}
