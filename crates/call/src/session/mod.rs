//! The device's side of the call plane: one session for each signed-in device.
//!
//! The body owns the socket and the clock. It calls `handle_*` with what arrives, the methods of the same name as the
//! person's wishes, and after each of them drains [`CallSession::poll_output`] and arms one timer at
//! [`CallSession::poll_timeout`].

mod events;
mod output;
mod state;

pub use output::{Deadline, Entry, Output};
pub use state::{CallState, EndedCall, Ending, Incoming, Link, Live, Outgoing, Peer, Placing};

use protocol::message::{
    CALLEE_LIMIT, Hello, PlaceCall, Reply, Resume, Seq, Ticket, USER_DATA_LIMIT, VERSION, Welcome,
};
use protocol::{
    CallEndReason, CallId, ClientMessage, Code, DeviceId, Event, Refusal, Request, RequestId, RoomId, ServerMessage,
    UnixMillis, UserId,
};
use state::Conclusion;
use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

/// How long an unanswered `call` keeps the window waiting. Shorter gives up during a reconnect, longer leaves a person
/// in front of a silent screen.
const PLACING_TIMEOUT: Duration = Duration::from_secs(15);

/// How long the server's word is awaited after one's own hang-up: the devices are closed at once all the same.
const ENDING_TIMEOUT: Duration = Duration::from_secs(2);

/// A ring ends here even when the server cannot be reached, this long after it should have.
const RING_SLACK: Duration = Duration::from_secs(5);

/// Requests in flight: a person clicks one at a time. More is a fault of the body and refused.
const PENDING_LIMIT: usize = 16;

/// Who signs in, from where.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The person.
    pub user: UserId,
    /// The installation, the same at every start.
    pub device: DeviceId,
    /// Name and version of the program.
    pub client: String,
    /// The application, where known.
    pub sdk_app_id: Option<u64>,
}

/// A request without an answer.
#[derive(Clone, Debug)]
struct Pending {
    request: Request,
    /// Nobody waits any more: a call that it places is hung up.
    abandoned: bool,
}

/// The server's clock as seen here.
#[derive(Clone, Copy, Debug)]
struct ServerClock {
    server: UnixMillis,
    local: Instant,
}

/// The session of one signed-in device.
#[derive(Debug)]
pub struct CallSession {
    identity: Identity,
    ticket: Ticket,
    link: Link,
    call: CallState,
    /// In a room without a call: whoever rings gets "busy".
    occupied: bool,
    /// Name of the server's session, once welcomed.
    session: Option<String>,
    last_seq: Seq,
    clock: Option<ServerClock>,
    heartbeat: Duration,
    heard: Option<Instant>,
    next_request: RequestId,
    pending: BTreeMap<RequestId, Pending>,
    outputs: VecDeque<Output>,
}

impl CallSession {
    /// A session that is about to sign in: open a socket and call [`Self::handle_connected`].
    #[must_use]
    pub fn new(identity: Identity, ticket: impl Into<String>) -> Self {
        Self {
            identity,
            ticket: Ticket(ticket.into()),
            link: Link::Down,
            call: CallState::Idle,
            occupied: false,
            session: None,
            last_seq: 0,
            clock: None,
            heartbeat: Duration::from_secs(10),
            heard: None,
            next_request: 1,
            pending: BTreeMap::new(),
            outputs: VecDeque::new(),
        }
    }

    /// The user.
    #[must_use]
    pub fn user(&self) -> &UserId {
        &self.identity.user
    }

    /// The link's state.
    #[must_use]
    pub fn link(&self) -> &Link {
        &self.link
    }

    /// The call's state.
    #[must_use]
    pub fn call(&self) -> &CallState {
        &self.call
    }

    /// The next thing to do.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When to call [`Self::handle_timeout`], and why.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<(Instant, Deadline)> {
        // Two and a half heartbeats: one lost ping does not cost the connection.
        let heartbeat = self.heard.filter(|_| matches!(self.link, Link::Online | Link::Greeting));
        let heartbeat = heartbeat.map(|heard| (heard + self.heartbeat * 5 / 2, Deadline::Heartbeat));
        let call = self.call.deadline().map(|until| (until, Deadline::Call));
        [heartbeat, call].into_iter().flatten().min_by_key(|(at, _)| *at)
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some((at, deadline)) = self.poll_timeout() {
            if at > now {
                return;
            }
            match deadline {
                Deadline::Heartbeat => {
                    self.outputs.push_back(Output::Close);
                    self.handle_closed();
                }
                Deadline::Call => self.expire_call(now),
            }
        }
    }

    // ---- the socket ----

    /// The socket is open: says hello.
    pub fn handle_connected(&mut self, now: Instant) {
        match self.link {
            Link::Down | Link::Greeting | Link::Online => {}
            Link::Refused(_) | Link::Kicked | Link::SignedOut => {
                self.outputs.push_back(Output::Close);
                return;
            }
        }
        self.link = Link::Greeting;
        self.heard = Some(now);
        let resume = self.session.clone().map(|session| Resume { session, last_seq: self.last_seq });
        self.outputs.push_back(Output::Send(ClientMessage::Hello(Hello {
            versions: vec![VERSION],
            client: self.identity.client.clone(),
            sdk_app_id: self.identity.sdk_app_id,
            user_id: self.identity.user.as_str().to_owned(),
            user_sig: self.ticket.0.clone(),
            device_id: self.identity.device.clone(),
            resume,
        })));
    }

    /// The socket is gone. The call goes on; open another socket unless [`Self::link`] says that it is of no use.
    pub fn handle_closed(&mut self) {
        match self.link {
            Link::Down | Link::Greeting | Link::Online => self.link = Link::Down,
            Link::Refused(_) | Link::Kicked | Link::SignedOut => {}
        }
        self.heard = None;
    }

    /// A frame of the server.
    pub fn handle_message(&mut self, message: ServerMessage, now: Instant) {
        if !matches!(self.link, Link::Greeting | Link::Online) {
            return;
        }
        self.heard = Some(now);
        match message {
            ServerMessage::Welcome(welcome) => self.handle_welcome(welcome, now),
            ServerMessage::Reply { id, answer } => self.handle_answer(id, Ok(answer), now),
            ServerMessage::Error { id: Some(id), refusal } => self.handle_answer(id, Err(refusal), now),
            ServerMessage::Error { id: None, refusal } => self.handle_refused(refusal, now),
            ServerMessage::Event { seq, push } => {
                if seq <= self.last_seq {
                    self.send(ClientMessage::Ack { seq: self.last_seq });
                } else if seq == self.last_seq + 1 {
                    self.last_seq = seq;
                    self.handle_push(push, now);
                    self.send(ClientMessage::Ack { seq });
                } else {
                    // A hole: the resume brings what is missing.
                    self.outputs.push_back(Output::Close);
                    self.handle_closed();
                }
            }
            ServerMessage::Kicked {} => self.handle_kicked(now),
            ServerMessage::TicketExpired {} => self.report(Event::OnUserSigExpired),
            ServerMessage::Ping {} => self.send(ClientMessage::Pong {}),
            ServerMessage::Pong {} => {}
        }
    }

    fn handle_welcome(&mut self, welcome: Welcome, now: Instant) {
        self.link = Link::Online;
        self.heartbeat = Duration::from_millis(welcome.heartbeat_ms.clamp(100, 600_000));
        self.clock = Some(ServerClock { server: welcome.now, local: now });
        let known = self.session.replace(welcome.session).is_some();
        if welcome.resumed {
            let again: Vec<_> = self.pending.iter().map(|(&id, pending)| (id, pending.request.clone())).collect();
            for (id, request) in again {
                self.send(ClientMessage::Request { id, request });
            }
            return;
        }
        self.last_seq = 0;
        if known {
            // The server has forgotten us: nothing that was under way exists any more.
            self.fail_pending(&Code::SessionGone.into());
            self.conclude_here(CallEndReason::Offline, now);
        }
    }

    fn handle_refused(&mut self, refusal: Refusal, now: Instant) {
        if refusal.known() == Some(Code::SigExpired) && self.session.is_some() {
            self.report(Event::OnUserSigExpired);
        } else {
            self.report(Event::OnError { code: refusal.code, message: refusal.message.clone() });
        }
        // Faults of the connection can be cured by another one; those of the ticket or the program cannot.
        let curable = matches!(refusal.known(), Some(Code::Signalling | Code::Undecodable | Code::UnknownCommand));
        if curable && self.session.is_some() {
            self.outputs.push_back(Output::Close);
            self.handle_closed();
            return;
        }
        self.fail_pending(&refusal);
        self.link = Link::Refused(refusal);
        self.heard = None;
        self.outputs.push_back(Output::Close);
        self.conclude_here(CallEndReason::Offline, now);
    }

    fn handle_kicked(&mut self, now: Instant) {
        self.link = Link::Kicked;
        self.heard = None;
        self.session = None;
        self.report(Event::OnKickedOffline);
        self.fail_pending(&Code::NotSignedIn.into());
        self.conclude_here(CallEndReason::Hangup, now);
        self.outputs.push_back(Output::Close);
    }

    fn handle_answer(&mut self, id: RequestId, mut result: Result<Reply, Refusal>, now: Instant) {
        let Some(pending) = self.pending.remove(&id) else { return };
        match &pending.request {
            Request::Call(_) => self.handle_placed(id, pending.abandoned, &result, now),
            Request::Accept { call_id } => self.handle_accept_answer(call_id, &result, now),
            Request::Reject { call_id } | Request::Ignore { call_id } | Request::Hangup { call_id } => {
                let ending = matches!(&self.call, CallState::Ending(ending) if ending.silent.call == *call_id);
                // Refused: the call is gone and said so before. Ignored: there is nothing more to come.
                if ending && (result.is_err() || matches!(pending.request, Request::Ignore { .. })) {
                    self.conclude_ending(now);
                }
                if result.as_ref().is_err_and(|refusal| refusal.known() == Some(Code::WrongState)) {
                    // It was over before: just what was wanted.
                    result = Ok(Reply::default());
                }
            }
            Request::RoomAccess { .. }
            | Request::EnterRoom { .. }
            | Request::LeaveRoom { .. }
            | Request::RenewTicket { .. }
            | Request::SignOut {} => {}
        }
        if !pending.abandoned {
            self.outputs.push_back(Output::Done { id, result });
        }
    }

    // ---- what the person wants ----

    /// Place a call. The id comes back in [`Output::Done`].
    pub fn place(&mut self, call: PlaceCall, now: Instant) -> Result<RequestId, Refusal> {
        self.signed_in()?;
        match self.call {
            CallState::Idle => {}
            CallState::Placing(_) => return Err(Code::AlreadyUnderWay.into()),
            CallState::Outgoing(_) | CallState::Incoming(_) | CallState::Live(_) | CallState::Ending(_) => {
                return Err(Refusal::because(Code::WrongState, "Another call is under way."));
            }
        }
        if self.occupied {
            return Err(Refusal::because(Code::WrongState, "Leave the room first."));
        }
        check_placement(&call, &self.identity.user)?;
        if self.link != Link::Online {
            return Err(Refusal::because(Code::Signalling, "The server cannot be reached right now."));
        }
        let (callees, media) = (call.callee_id_list.clone(), call.call_media_type);
        let request = self.request(Request::Call(call))?;
        self.call = CallState::Placing(Placing { request, callees, media, until: now + PLACING_TIMEOUT });
        Ok(request)
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
        let call_id = self.ringing_here()?;
        self.end(Request::Reject { call_id }, CallEndReason::Reject, now)
    }

    /// Leave the call that rings here without an answer: the caller gets "busy".
    pub fn ignore(&mut self, now: Instant) -> Result<RequestId, Refusal> {
        let call_id = self.ringing_here()?;
        let id = self.end(Request::Ignore { call_id }, CallEndReason::LineBusy, now)?;
        if let CallState::Ending(ending) = &mut self.call {
            ending.silent.unreported = true;
        }
        Ok(id)
    }

    /// Take back, decline or leave the call, whichever it is. `None` where there was nothing to tell the server: the
    /// call had no id yet and is hung up as soon as it has one.
    pub fn hangup(&mut self, now: Instant) -> Result<Option<RequestId>, Refusal> {
        self.signed_in()?;
        match &self.call {
            CallState::Idle => Err(Refusal::because(Code::WrongState, "There is no call to hang up.")),
            CallState::Ending(_) => Err(Code::AlreadyUnderWay.into()),
            CallState::Placing(_) => {
                self.abandon_placing(&Refusal::because(Code::WrongState, "The call was taken back."));
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
            let _ = self.request(Request::SignOut {});
        }
        self.conclude_here(CallEndReason::Hangup, now);
        self.link = Link::SignedOut;
        self.heard = None;
        self.session = None;
        self.fail_pending(&Code::NotSignedIn.into());
        self.outputs.push_back(Output::Close);
    }

    // ---- helpers ----

    fn signed_in(&self) -> Result<(), Refusal> {
        match &self.link {
            Link::Refused(refusal) => Err(refusal.clone()),
            Link::Kicked | Link::SignedOut => Err(Code::NotSignedIn.into()),
            Link::Down | Link::Greeting if self.session.is_none() => Err(Code::NotSignedIn.into()),
            Link::Down | Link::Greeting | Link::Online => Ok(()),
        }
    }

    fn ringing_here(&self) -> Result<CallId, Refusal> {
        self.signed_in()?;
        match &self.call {
            CallState::Incoming(incoming) => Ok(incoming.call.clone()),
            CallState::Idle
            | CallState::Placing(_)
            | CallState::Outgoing(_)
            | CallState::Live(_)
            | CallState::Ending(_) => Err(Refusal::because(Code::WrongState, "No call rings here.")),
        }
    }

    fn request(&mut self, request: Request) -> Result<RequestId, Refusal> {
        if self.pending.len() >= PENDING_LIMIT {
            return Err(Refusal::because(Code::AlreadyUnderWay, "Too many requests are under way."));
        }
        let id = self.next_request;
        self.next_request += 1;
        self.pending.insert(id, Pending { request: request.clone(), abandoned: false });
        self.send(ClientMessage::Request { id, request });
        Ok(id)
    }

    /// Sends where online; requests that are not sent here are sent by the next welcome.
    fn send(&mut self, message: ClientMessage) {
        if self.link == Link::Online {
            self.outputs.push_back(Output::Send(message));
        }
    }

    fn report(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }

    fn fail_pending(&mut self, refusal: &Refusal) {
        for (id, pending) in std::mem::take(&mut self.pending) {
            if !pending.abandoned {
                self.outputs.push_back(Output::Done { id, result: Err(refusal.clone()) });
            }
        }
        if matches!(self.call, CallState::Placing(_)) {
            self.call = CallState::Idle;
        }
    }

    fn local(&self, time: UnixMillis, now: Instant) -> Instant {
        let Some(clock) = self.clock else { return now };
        match time.0.checked_sub(clock.server.0) {
            Some(later) => clock.local.checked_add(Duration::from_millis(later)).unwrap_or(now),
            None => clock.local.checked_sub(clock.server.since(time)).unwrap_or(clock.local),
        }
    }
}

/// The rules of a new call that need no server: who and how much.
pub fn check_placement(call: &PlaceCall, caller: &UserId) -> Result<(), Refusal> {
    let wrong = |message: &str| Err(Refusal::because(Code::BadParameter, message));
    let callees = &call.callee_id_list;
    if callees.is_empty() || callees.len() > CALLEE_LIMIT {
        return wrong("A call rings 1 to 8 people.");
    }
    if callees.contains(caller) {
        return wrong("Nobody can call themselves.");
    }
    if callees.iter().enumerate().any(|(at, user)| callees[..at].contains(user)) {
        return wrong("Somebody is on the list twice.");
    }
    if call.user_data.len() > USER_DATA_LIMIT {
        return wrong("The user data has at most 4096 bytes.");
    }
    if call.group_id.len() > 64 {
        return wrong("The group id has at most 64 bytes.");
    }
    if call.timeout.is_some_and(|seconds| !(1..=600).contains(&seconds)) {
        return wrong("A call rings for 1 to 600 seconds.");
    }
    Ok(())
}
