//! Signing in and calling: what `CallSession` wants done, and what the person wants of it.

use super::membership::What;
use super::{Core, Reply, SignedIn, own_refusal, refuse};
use crate::api::{Answer, Ended, Refusal, Secret, Session};
use crate::call_socket::{CallSocket, SocketInput};
use crate::room::Renewal;
use call::CallSession;
use call::session::{CallState, Entry, Identity, Link, Output};
use protocol::message::{PlaceCall, Reply as CallReply};
use protocol::{CallEndReason, CallId, CallMediaType, Code, Event, ExitReason, LeaveReason, RequestId, RoomId, UserId};
use room::client::Purpose;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// Signing in must be answered within this time; longer than one lost connection attempt, shorter than patience.
const SIGN_IN_TIMEOUT: Duration = Duration::from_secs(10);

/// Who waits for the answer of a request.
pub(super) enum Waiting {
    /// Anything that gives nothing back.
    Done(Reply),
    /// Placing a call.
    Call(Reply),
    /// A fresh token for the room that this device is in.
    Access(oneshot::Sender<Renewal>),
    /// Records for somebody who asked.
    Records(Reply),
    /// Records for the snapshot.
    Recent,
    /// Entering a room by its id.
    Room { room: RoomId, key: Option<Secret>, asked_at: Instant, reply: Reply },
}

impl Core {
    pub(super) async fn sign_in(&mut self, server: url::Url, user: UserId, ticket: Secret, reply: Reply) {
        if self.signed_in.is_some() {
            self.sign_out().await;
        }
        let identity = Identity {
            user: user.clone(),
            device: self.config.device_id.clone(),
            client: self.config.client.clone(),
            sdk_app_id: None,
        };
        self.session = Session::SigningIn { user };
        self.forget_person();
        self.signed_in = Some(SignedIn {
            calls: CallSession::new(identity, ticket.0),
            socket: Some(CallSocket::open(&server)),
            server,
            waiting: Some(reply),
            until: Some(Instant::now() + SIGN_IN_TIMEOUT),
            welcomed: false,
            recent: Vec::new(),
            recent_is_old: true,
        });
    }

    pub(super) async fn sign_out(&mut self) {
        if let Some(signed_in) = &mut self.signed_in {
            signed_in.calls.sign_out(Instant::now());
            self.follow_session().await;
        }
        if self.membership.is_some() {
            self.leave_room_now().await;
        }
        self.signed_in = None;
        self.session = Session::SignedOut { refused: None };
        self.forget_person();
    }

    /// What was is nobody's business but theirs: the next person at this computer begins afresh.
    fn forget_person(&mut self) {
        self.ended = None;
        self.put_out = None;
        self.renders.clear();
    }

    pub(super) async fn give_up_sign_in(&mut self, refusal: Refusal) {
        if let Some(mut signed_in) = self.signed_in.take() {
            if let Some(reply) = signed_in.waiting.take() {
                let _ = reply.send(Err(refusal.clone()));
            }
            if let Some(socket) = &signed_in.socket {
                socket.close().await;
            }
        }
        self.session = Session::SignedOut { refused: Some(refusal) };
    }

    pub(super) async fn handle_socket(&mut self, input: SocketInput) {
        let Some(signed_in) = &mut self.signed_in else { return };
        let now = Instant::now();
        match input {
            SocketInput::Connected => signed_in.calls.handle_connected(now),
            SocketInput::Message(message) => signed_in.calls.handle_message(*message, now),
            SocketInput::Closed => signed_in.calls.handle_closed(),
            SocketInput::Failed if signed_in.welcomed => {}
            SocketInput::Failed => {
                self.give_up_sign_in(refuse(Code::Signalling, "The server cannot be reached.")).await;
            }
        }
    }

    /// Does what the call session wants, each thing before the next.
    pub(super) async fn follow_session(&mut self) {
        while let Some(output) = self.signed_in.as_mut().and_then(|signed_in| signed_in.calls.poll_output()) {
            self.obey(output).await;
        }
        self.note_link();
        self.refresh_recent();
    }

    async fn obey(&mut self, output: Output) {
        match output {
            Output::Send(message) => {
                if let Some(SignedIn { socket: Some(socket), .. }) = &self.signed_in {
                    socket.send(message).await;
                }
            }
            Output::Close => {
                if let Some(SignedIn { socket: Some(socket), .. }) = &self.signed_in {
                    socket.close().await;
                }
            }
            Output::Done { id, result } => self.answer(id, result).await,
            Output::Event(event) => {
                let over = matches!(event, Event::OnCallEnd { .. } | Event::OnCallCancelled { .. });
                if over {
                    // A camera that is still open when the call is said to be over is a broken promise.
                    self.release_devices().await;
                    self.recent_may_have_changed();
                }
                if matches!(event, Event::OnCallMediaTypeChanged { new_call_media_type: CallMediaType::Voice, .. }) {
                    self.camera_wanted = false;
                    self.switch_camera().await;
                }
                let begun = matches!(event, Event::OnCallBegin { .. });
                self.report(event);
                if begun {
                    self.report_entered();
                }
            }
            Output::PeerLeft { user, reason } => self.note_left(user, room_reason(reason)),
            Output::PrepareRoom(entry) => self.prepare(entry),
            Output::EnterRoom(entry) => self.begin(entry),
            Output::LeaveRoom { call } => self.leave_call(&call).await,
            Output::RoomExit { reason, by, .. } => self.note_put_out(reason, by),
            Output::Over(ended) => {
                if !matches!(self.ended, Some(Ended::Room { .. })) {
                    let call::session::EndedCall { media, reason, by, with, seconds, .. } = ended;
                    self.ended = Some(Ended::Call { media, reason, by, with, seconds });
                }
                self.accepted_at = None;
            }
        }
    }

    fn note_link(&mut self) {
        let Some(signed_in) = &mut self.signed_in else { return };
        let user = signed_in.calls.user().clone();
        match signed_in.calls.link().clone() {
            Link::Online => {
                // What happened meanwhile may have left records.
                signed_in.recent_is_old |=
                    !matches!(self.session, Session::Online { .. } | Session::TicketExpired { .. });
                signed_in.welcomed = true;
                signed_in.until = None;
                if let Some(reply) = signed_in.waiting.take() {
                    let _ = reply.send(Ok(Answer::Done));
                }
                let expired = signed_in.calls.ticket_has_expired();
                self.session = if expired { Session::TicketExpired { user } } else { Session::Online { user } };
            }
            Link::Down | Link::Greeting if signed_in.welcomed => self.session = Session::Offline { user },
            Link::Down | Link::Greeting => self.session = Session::SigningIn { user },
            Link::Refused(refusal) => {
                let refusal = own_refusal(&refusal);
                if signed_in.calls.wants_ticket() {
                    if let Some(reply) = signed_in.waiting.take() {
                        let _ = reply.send(Err(refusal));
                    }
                    signed_in.socket = None;
                    self.session = Session::TicketExpired { user };
                    return;
                }
                if let Some(reply) = signed_in.waiting.take() {
                    let _ = reply.send(Err(refusal.clone()));
                }
                self.session = Session::SignedOut { refused: Some(refusal) };
                self.signed_in = None;
            }
            Link::Kicked => {
                self.session = Session::KickedOffline { user };
                self.signed_in = None;
            }
            Link::SignedOut => {}
        }
    }

    async fn answer(&mut self, id: RequestId, result: Result<CallReply, protocol::Refusal>) {
        let Some(waiting) = self.waiting.remove(&id) else { return };
        match waiting {
            Waiting::Records(reply) => {
                let answer = result
                    .map_err(|refusal| own_refusal(&refusal))
                    .map(|answer| Answer::Records { records: answer.records.unwrap_or_default(), next: answer.next });
                let _ = reply.send(answer);
            }
            Waiting::Recent => {
                if let (Some(signed_in), Ok(CallReply { records: Some(records), .. })) = (&mut self.signed_in, result) {
                    signed_in.recent = records;
                }
            }
            Waiting::Done(reply) => {
                if result.is_err() && self.is_idle() {
                    self.release_devices().await;
                }
                // An ignored ring and a deleted record make no event.
                self.recent_may_have_changed();
                let _ = reply.send(result.map(|_| Answer::Done).map_err(|refusal| own_refusal(&refusal)));
            }
            Waiting::Call(reply) => {
                let answer = match result {
                    Ok(CallReply { call_id: Some(call), .. }) => Ok(Answer::Call(call)),
                    Ok(_) => Err(refuse(Code::Signalling, "The server's answer names no call.")),
                    Err(refusal) => Err(own_refusal(&refusal)),
                };
                if answer.is_err() && self.is_idle() {
                    self.release_devices().await;
                }
                let _ = reply.send(answer);
            }
            Waiting::Access(reply) => {
                let no_way_in = || Renewal::Refused(Code::RoomEnterFailed.number());
                let renewal = match result {
                    Ok(CallReply { access: Some(access), .. }) => access
                        .url
                        .parse()
                        .map_or_else(|_| no_way_in(), |url| Renewal::Granted { url, token: Secret(access.token) }),
                    Ok(_) => no_way_in(),
                    Err(refusal) => Renewal::Refused(refusal.code),
                };
                // The session has stopped waiting.
                let _ = reply.send(renewal);
            }
            Waiting::Room { room, key, asked_at, reply } => {
                let answer = match result {
                    Ok(CallReply { access: Some(access), .. }) => self.enter_with(room, key, asked_at, &access),
                    Ok(_) => Err(refuse(Code::RoomEnterFailed, "The server's answer names no way in.")),
                    Err(refusal) => Err(own_refusal(&refusal)),
                };
                if let Err(refusal) = &answer {
                    self.report_not_entered(refusal).await;
                }
                let _ = reply.send(answer);
            }
        }
    }

    /// No call, no room.
    pub(super) fn is_idle(&self) -> bool {
        let call = self.signed_in.as_ref().map(|signed_in| signed_in.calls.call());
        self.membership.is_none() && matches!(call, None | Some(CallState::Idle))
    }

    // ---- what the person wants ----

    pub(super) fn calls(&mut self) -> Result<&mut CallSession, Refusal> {
        let signed_in = self.signed_in.as_mut().ok_or_else(|| refuse(Code::NotSignedIn, "Sign in first."))?;
        Ok(&mut signed_in.calls)
    }

    pub(super) fn place_call(
        &mut self,
        callees: Vec<UserId>,
        media: CallMediaType,
        user_data: String,
        timeout: Option<Duration>,
        room: Option<RoomId>,
        reply: Reply,
    ) {
        let call = PlaceCall {
            callee_id_list: callees,
            call_media_type: media,
            user_data,
            timeout: timeout.map(|t| u32::try_from(t.as_secs()).unwrap_or(u32::MAX)),
            room_id: room,
            group_id: String::new(),
        };
        if self.membership.as_ref().is_some_and(|m| !matches!(m.what, What::Call(_))) || self.is_entering() {
            let _ = reply.send(Err(refuse(Code::WrongState, "Leave the room first.")));
            return;
        }
        let placed = self.calls().and_then(|calls| calls.place(call, Instant::now()).map_err(|r| own_refusal(&r)));
        match placed {
            Ok(id) => {
                self.waiting.insert(id, Waiting::Call(reply));
                self.start_afresh(media == CallMediaType::Video);
                // The caller has placed the call: the preview may be seen, nothing leaves.
                self.open_devices();
            }
            Err(refusal) => {
                let _ = reply.send(Err(refusal));
            }
        }
    }

    pub(super) fn accept(&mut self, camera: bool, reply: Reply) {
        let video = matches!(self.calls().map(|calls| calls.call().clone()), Ok(CallState::Incoming(incoming)) if incoming.media == CallMediaType::Video);
        let accepted = self.calls().and_then(|calls| calls.accept().map_err(|r| own_refusal(&r)));
        match accepted {
            Ok(id) => {
                self.waiting.insert(id, Waiting::Done(reply));
                self.start_afresh(camera && video);
                self.accepted_at = Some(Instant::now());
                self.open_devices();
            }
            Err(refusal) => {
                let _ = reply.send(Err(refusal));
            }
        }
    }

    /// Asks for what gives nothing back but that it is done.
    pub(super) fn ask(
        &mut self,
        reply: Reply,
        wish: impl FnOnce(&mut CallSession, Instant) -> Result<RequestId, protocol::Refusal>,
    ) {
        let asked = self.calls().and_then(|calls| wish(calls, Instant::now()).map_err(|r| own_refusal(&r)));
        match asked {
            Ok(id) => {
                self.waiting.insert(id, Waiting::Done(reply));
            }
            Err(refusal) => {
                let _ = reply.send(Err(refusal));
            }
        }
    }

    pub(super) fn hangup(&mut self, reply: Reply) {
        let ended = self.calls().and_then(|calls| calls.hangup(Instant::now()).map_err(|r| own_refusal(&r)));
        match ended {
            Ok(Some(id)) => {
                self.waiting.insert(id, Waiting::Done(reply));
            }
            Ok(None) => {
                let _ = reply.send(Ok(Answer::Done));
            }
            Err(refusal) => {
                let _ = reply.send(Err(refusal));
            }
        }
    }

    /// Forgets how the last call or room was left and what was switched off in it.
    pub(super) fn start_afresh(&mut self, camera: bool) {
        self.ended = None;
        self.put_out = None;
        self.accepted_at = None;
        self.microphone_wanted = true;
        self.camera_wanted = camera;
    }

    // ---- the call's room ----

    /// Connects while it rings; nothing leaves before somebody accepts.
    fn prepare(&mut self, entry: Entry) {
        if self.membership.is_none() {
            self.enter_call(entry, false);
        }
    }

    fn begin(&mut self, entry: Entry) {
        let now = Instant::now();
        let from = self.accepted_at.unwrap_or(now);
        match &mut self.membership {
            Some(membership) if membership.is_call(&entry.call) => {
                membership.permit(from);
            }
            _ => {
                self.enter_call(entry, true);
                if let Some(membership) = &mut self.membership {
                    membership.permit(from);
                }
            }
        }
        self.open_devices();
    }

    fn enter_call(&mut self, entry: Entry, permitted: bool) {
        let Ok(url) = entry.access.url.parse() else {
            tracing::error!("the room's address is none");
            return;
        };
        let what = What::Call(entry.call);
        let token = Secret(entry.access.token);
        let Some(me) = self.signed_in.as_ref().map(|signed_in| signed_in.calls.user().clone()) else { return };
        self.enter(what, me, entry.room.to_string_for_people(), url, token, Purpose::Call, permitted);
    }

    async fn leave_call(&mut self, call: &CallId) {
        let ours = self.membership.as_ref().is_some_and(|membership| membership.is_call(call));
        if ours {
            self.leave_room_now().await;
        } else {
            self.release_devices().await;
        }
    }

    fn note_put_out(&mut self, reason: ExitReason, by: Option<String>) {
        let by = by.and_then(|by| UserId::new(by).ok());
        if let Some(Ended::Room { by: known, .. }) = &mut self.ended {
            known.clone_from(&by);
        }
        self.put_out = Some((reason, by));
    }
}

/// Why somebody left the room, as their end of the call tells.
fn room_reason(reason: CallEndReason) -> LeaveReason {
    match reason {
        CallEndReason::Offline => LeaveReason::TimedOut,
        CallEndReason::EndByServer => LeaveReason::Removed,
        CallEndReason::Unknown
        | CallEndReason::Hangup
        | CallEndReason::Reject
        | CallEndReason::NoResponse
        | CallEndReason::LineBusy
        | CallEndReason::Canceled
        | CallEndReason::OtherDeviceAccepted
        | CallEndReason::OtherDeviceReject => LeaveReason::Left,
    }
}

/// How people write a room: a name of digits alone stands in quotes, because without them it is a number.
pub(super) trait RoomName {
    fn to_string_for_people(&self) -> String;
}

impl RoomName for RoomId {
    fn to_string_for_people(&self) -> String {
        match self {
            Self::Number(number) => number.to_string(),
            Self::Text(text) if text.bytes().all(|b| b.is_ascii_digit()) => format!("\"{text}\""),
            Self::Text(text) => text.clone(),
        }
    }
}
