//! On the way into a room by its id, until the call plane has answered; and out again.

use super::calls::{RoomName, Waiting};
use super::membership::What;
use super::{Core, Reply, own_refusal, refuse};
use crate::api::{Answer, Refusal, Secret};
use crate::room::RoomCommand;
use protocol::message::Ticket;
use protocol::{Code, Event, ExitReason, RoomId};
use std::time::{Duration, Instant};

/// An unanswered request to enter keeps devices open and a person waiting: as long as one for a call, at most.
const ENTERING_TIMEOUT: Duration = Duration::from_secs(15);

impl Core {
    pub(super) fn enter_room(&mut self, room: RoomId, camera: bool, key: Option<Secret>, reply: Reply) {
        if self.membership.is_some() || self.is_entering() {
            let _ = reply.send(Err(refuse(Code::WrongState, "Leave the room first.")));
            return;
        }
        let ticket = key.clone().map(|key| Ticket(key.0));
        let asked = self.calls().and_then(|calls| {
            let asked = calls.enter_room(room.clone(), false, ticket).map_err(|refusal| own_refusal(&refusal));
            calls.set_occupied(asked.is_ok());
            asked
        });
        match asked {
            Ok(id) => {
                self.waiting.insert(id, Waiting::Room { room, key, asked_at: Instant::now(), reply });
                self.start_afresh(camera);
                self.open_devices();
            }
            Err(refusal) => {
                let _ = reply.send(Err(refusal));
            }
        }
    }

    /// A room was asked for, and the call plane has not answered.
    pub(super) fn is_entering(&self) -> bool {
        self.waiting.values().any(|waiting| matches!(waiting, Waiting::Room { .. }))
    }

    /// Its name, as people write it.
    pub(super) fn entering(&self) -> Option<String> {
        self.waiting.values().find_map(|waiting| match waiting {
            Waiting::Room { room, .. } => Some(room.to_string_for_people()),
            Waiting::Done(_) | Waiting::Call(_) | Waiting::Access(_) | Waiting::Records(_) | Waiting::Recent => None,
        })
    }

    /// When the call plane must have answered.
    pub(super) fn entering_deadline(&self) -> Option<Instant> {
        self.waiting.values().find_map(|waiting| match waiting {
            Waiting::Room { asked_at, .. } => Some(*asked_at + ENTERING_TIMEOUT),
            Waiting::Done(_) | Waiting::Call(_) | Waiting::Access(_) | Waiting::Records(_) | Waiting::Recent => None,
        })
    }

    /// The call plane was silent for too long.
    pub(super) async fn give_up_entering(&mut self) {
        let silent = refuse(Code::Signalling, "The server did not answer.");
        if self.stop_entering(silent.clone()) {
            self.report_not_entered(&silent).await;
        }
    }

    /// The room was not entered: says so, and closes what was opened for it.
    pub(super) async fn report_not_entered(&mut self, refusal: &Refusal) {
        if let Some(signed_in) = &mut self.signed_in {
            signed_in.calls.set_occupied(false);
        }
        self.report(Event::OnEnterRoom { result: i64::from(refusal.code) });
        self.report(Event::OnError { code: refusal.code, message: refusal.message.clone() });
        self.release_devices().await;
    }

    /// Leaves, or stops entering: then nothing was entered, and the server's late answer finds nobody who waits.
    pub(super) async fn exit_room(&mut self) -> Result<Answer, Refusal> {
        if let Some(membership) = self.membership.as_ref().filter(|m| !matches!(m.what, What::Call(_))) {
            membership.command(RoomCommand::Exit);
            return Ok(Answer::Done);
        }
        if !self.stop_entering(refuse(Code::WrongState, "The room was left before it was entered.")) {
            return Err(refuse(Code::WrongState, "There is no room to leave."));
        }
        self.release_devices().await;
        self.report(Event::OnExitRoom { reason: ExitReason::Own });
        Ok(Answer::Done)
    }

    /// Waits no longer for the call plane's answer. False: nothing was asked.
    fn stop_entering(&mut self, why: Refusal) -> bool {
        let asked = |waiting: &Waiting| matches!(waiting, Waiting::Room { .. });
        let Some(id) = self.waiting.iter().find(|(_, waiting)| asked(waiting)).map(|(id, _)| *id) else { return false };
        let Some(Waiting::Room { room, reply, .. }) = self.waiting.remove(&id) else { return false };
        let _ = reply.send(Err(why));
        if let Some(signed_in) = &mut self.signed_in {
            signed_in.calls.set_occupied(false);
            // Refused only with too many requests in flight; the token that nobody uses ends by itself.
            let _ = signed_in.calls.leave_room(room);
        }
        true
    }
}
