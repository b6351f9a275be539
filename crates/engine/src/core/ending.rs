//! How a membership of a room ends: what is reported, what the screen says, what the call plane is told.

use super::membership::What;
use super::{Core, refuse};
use crate::api::{Ended, Refusal};
use protocol::{Code, Event, ExitReason};
use room::client::Ending;
use std::time::Instant;

impl Core {
    /// The membership ended: by our exit, by the server's word, or because nothing helped.
    pub(super) async fn handle_ended(&mut self, ending: Ending) {
        self.release_devices().await;
        let Some(membership) = self.membership.take() else { return };
        self.last_report = membership.full_report();
        let seconds = membership.entered_at.map_or(0, |at| at.elapsed().as_secs());
        let in_call = matches!(membership.what, What::Call(_));
        if in_call && !membership.has_begun() {
            // Prepared in vain; it is entered properly when the call begins.
            tracing::warn!(?ending, "the room could not be prepared");
            return;
        }
        self.report_exit(ending, in_call);
        match ending {
            Ending::Exit(ExitReason::Own) => {}
            Ending::Exit(ExitReason::Removed | ExitReason::Dismissed) => {
                if let Some(Ended::Room { seconds: shown, .. }) = &mut self.ended {
                    *shown = seconds;
                }
            }
            Ending::Kicked if in_call => {}
            Ending::Kicked => {
                self.ended =
                    Some(Ended::Failed(refuse(Code::RoomEnterFailed, "The same user entered this room elsewhere.")));
            }
            Ending::Refused(_) | Ending::RejoinRefused(_) | Ending::GaveUp if !in_call => {
                self.ended = Some(Ended::Failed(failure(ending)));
            }
            Ending::Refused(_) | Ending::RejoinRefused(_) | Ending::GaveUp | Ending::OutTooLong => {}
        }
        let unheard = self.is_in_call_offline();
        if let Some(signed_in) = &mut self.signed_in {
            match membership.what {
                What::Room(room, _) => {
                    signed_in.calls.set_occupied(false);
                    // Whoever was put out waits for the call plane's word: it says by whom, to those who have not left.
                    if !matches!(ending, Ending::Exit(ExitReason::Removed | ExitReason::Dismissed)) {
                        // Refused where the server has seen it already.
                        let _ = signed_in.calls.leave_room(room);
                    }
                }
                What::Token => signed_in.calls.set_occupied(false),
                // The call plane ends the call for everybody who was put out; for the rest it has to be told.
                What::Call(_) if matches!(ending, Ending::Exit(_)) && !unheard => {}
                What::Call(_) => signed_in.calls.handle_room_gave_up(Instant::now()),
            }
        }
    }

    pub(super) fn report_exit(&mut self, ending: Ending, in_call: bool) {
        match ending {
            Ending::Exit(told) => {
                // The call plane may have been faster than the room to say why.
                let reason = self.put_out.as_ref().map_or(told, |(reason, _)| *reason);
                self.report(Event::OnExitRoom { reason });
                if reason != ExitReason::Own && !matches!(self.ended, Some(Ended::Room { .. })) {
                    let by = self.put_out.take().and_then(|(_, by)| by);
                    let seconds = match &self.ended {
                        Some(Ended::Call { seconds: Some(seconds), .. }) => *seconds,
                        _ => 0,
                    };
                    self.ended = Some(Ended::Room { reason, by, seconds });
                }
            }
            Ending::Kicked => self.report(Event::OnKickedOffline),
            Ending::Refused(code) => {
                self.report(Event::OnEnterRoom { result: i64::from(code) });
                let refusal = failure(ending);
                self.report(Event::OnError { code: refusal.code, message: refusal.message });
            }
            // A call ends by the call plane's word, which says why.
            Ending::RejoinRefused(_) if in_call => {}
            Ending::RejoinRefused(_) | Ending::GaveUp => {
                let refusal = failure(ending);
                self.report(Event::OnError { code: refusal.code, message: refusal.message });
            }
            Ending::OutTooLong => {}
        }
    }
}

fn failure(ending: Ending) -> Refusal {
    let code = match ending {
        Ending::Refused(code) | Ending::RejoinRefused(code) => Code::from_number(code).unwrap_or(Code::RoomEnterFailed),
        Ending::GaveUp | Ending::Exit(_) | Ending::Kicked | Ending::OutTooLong => Code::RoomEnterFailed,
    };
    Refusal { code: code.number(), message: code.sentence().to_owned() }
}
