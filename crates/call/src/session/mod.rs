//! The device's side of the call plane: one session for each signed-in device.
//!
//! The body owns the socket and the clock. It calls `handle_*` with what arrives, the methods of the same name as the
//! person's wishes, and after each of them drains [`CallSession::poll_output`] and arms one timer at
//! [`CallSession::poll_timeout`].

mod events;
mod output;
mod people;
mod rules;
mod state;
mod wishes;

pub use output::{Deadline, Entry, Output};
pub use rules::{check_invitation, check_placement};
pub use state::{CallState, EndedCall, Ending, Incoming, Joining, Link, Live, Outgoing, Peer, Placing};

use protocol::message::{Hello, Reply, Resume, Seq, Ticket, VERSION, Welcome};
use protocol::{
    CallCard, CallEndReason, CallId, ClientMessage, Code, DeviceId, Event, Profile, Refusal, Request, RequestId,
    ServerMessage, UnixMillis, UserId,
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

/// Calls of which this device remembers that it has done with them: what the server still says of them is no news.
const DONE_WITH_KEPT: usize = 16;

/// Requests in flight: a person clicks one at a time. More is a fault of the body and refused.
const PENDING_LIMIT: usize = 16;

/// A call that there never is: hanging it up is refused and changes nothing.
const NO_CALL: &str = "none";

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
    /// Calls that this device has ended, or given up before they had a name.
    done_with: VecDeque<CallId>,
    /// Running calls that this user may join.
    cards: Vec<CallCard>,
    /// How people call themselves.
    profiles: BTreeMap<UserId, Profile>,
    multi_device: bool,
    /// It was reported that the ticket has expired.
    expiry_told: bool,
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
            done_with: VecDeque::new(),
            cards: Vec::new(),
            profiles: BTreeMap::new(),
            multi_device: false,
            expiry_told: false,
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

    /// The server knows the session and refuses its ticket: [`Self::renew_ticket`] with a good one goes on.
    #[must_use]
    pub fn wants_ticket(&self) -> bool {
        let of_ticket = |refusal: &Refusal| refusal.known().is_some_and(Code::is_of_ticket);
        self.session.is_some() && matches!(&self.link, Link::Refused(refusal) if of_ticket(refusal))
    }

    /// Running calls that this user was invited to, is not in, and may join.
    #[must_use]
    pub fn cards(&self) -> &[CallCard] {
        &self.cards
    }

    /// How people call themselves, this user too; only those who have said it.
    #[must_use]
    pub fn profiles(&self) -> &BTreeMap<UserId, Profile> {
        &self.profiles
    }

    /// Whether several devices of this user may be signed in at once.
    #[must_use]
    pub fn multi_device(&self) -> bool {
        self.multi_device
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
            ServerMessage::Cards { cards } => self.handle_cards(cards),
            ServerMessage::Kicked {} => self.handle_kicked(now),
            ServerMessage::TicketExpired {} => self.report_expiry(),
            ServerMessage::Ping {} => self.send(ClientMessage::Pong {}),
            ServerMessage::Pong {} => {}
        }
    }

    /// The ticket ran out, and no new one was taken since. The connection lasts a while longer.
    #[must_use]
    pub fn ticket_has_expired(&self) -> bool {
        self.expiry_told
    }

    fn report_expiry(&mut self) {
        if !std::mem::replace(&mut self.expiry_told, true) {
            self.report(Event::OnUserSigExpired);
        }
    }

    fn handle_welcome(&mut self, welcome: Welcome, now: Instant) {
        if welcome.version != VERSION {
            let code = if welcome.version > VERSION { Code::ClientOutdated } else { Code::ServerOutdated };
            self.handle_refused(code.into(), now);
            return;
        }
        self.link = Link::Online;
        self.expiry_told = false;
        self.cards.clear();
        self.multi_device = welcome.multi_device;
        let me = self.identity.user.clone();
        self.learn(&me, Some(welcome.profile));
        self.heartbeat = Duration::from_millis(welcome.heartbeat_ms.clamp(100, 600_000));
        self.clock = Some(ServerClock { server: welcome.now, local: now });
        let known = self.session.replace(welcome.session).is_some();
        if welcome.resumed {
            let again: Vec<_> = self.pending.iter().map(|(&id, pending)| (id, self.again(id, pending))).collect();
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
        self.report(Event::SdkReady);
    }

    /// What is sent of a request that has no answer yet. A call that nobody waits for any more is not to ring now: if it
    /// was placed before, its answer comes all the same; if it was not, nothing may happen under this id.
    fn again(&self, id: RequestId, pending: &Pending) -> Request {
        let waited_for = match &self.call {
            CallState::Placing(placing) => placing.request == id,
            CallState::Joining(joining) => joining.request == id,
            CallState::Idle
            | CallState::Outgoing(_)
            | CallState::Incoming(_)
            | CallState::Live(_)
            | CallState::Ending(_) => false,
        };
        if matches!(pending.request, Request::Call(_) | Request::Join { .. }) && !waited_for {
            return Request::Hangup { call_id: CallId::new(NO_CALL).expect("letters are an id") };
        }
        pending.request.clone()
    }

    fn handle_refused(&mut self, refusal: Refusal, now: Instant) {
        let expired = refusal.known() == Some(Code::SigExpired) && self.session.is_some();
        if expired {
            self.report_expiry();
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
        // A bad ticket ends no running call: its room goes on, and a good one brings the session back.
        if !(self.wants_ticket() && matches!(self.call, CallState::Live(_))) {
            self.conclude_here(CallEndReason::Offline, now);
        }
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
        if result.as_ref().is_err_and(|refusal| refusal.known() == Some(Code::UnknownCommand)) {
            result =
                Err(Refusal::because(Code::ServerOutdated, "The server is too old to know this: upgrade the server."));
        }
        match &pending.request {
            Request::Call(_) => self.handle_placed(id, pending.abandoned, &result, now),
            Request::Accept { call_id } => self.handle_accept_answer(call_id, &result, now),
            Request::Reject { .. } | Request::Ignore { .. } | Request::Hangup { .. } => {
                let ending = matches!(&self.call, CallState::Ending(ending) if ending.request == id);
                // Refused: the call is gone and said so before. Ignored: there is nothing more to come.
                if ending && (result.is_err() || matches!(pending.request, Request::Ignore { .. })) {
                    self.conclude_ending(now);
                }
            }
            Request::Join { call_id } => self.handle_join_answer(id, call_id, pending.abandoned, &result),
            Request::SetSelfInfo(profile) if result.is_ok() => {
                let me = self.identity.user.clone();
                self.learn(&me, Some(profile.clone()));
            }
            Request::EnableMultiDeviceAbility { enable } if result.is_ok() => self.multi_device = *enable,
            Request::RenewTicket { .. } if result.is_ok() => self.expiry_told = false,
            Request::SetSelfInfo(_)
            | Request::EnableMultiDeviceAbility { .. }
            | Request::RenewTicket { .. }
            | Request::InviteUser(_)
            | Request::SwitchCallMediaType { .. }
            | Request::QueryRecentCalls(_)
            | Request::DeleteRecordCalls { .. }
            | Request::RoomAccess { .. }
            | Request::EnterRoom { .. }
            | Request::LeaveRoom { .. }
            | Request::SignOut {} => {}
        }
        if !pending.abandoned {
            self.outputs.push_back(Output::Done { id, result });
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
        if matches!(self.call, CallState::Placing(_) | CallState::Joining(_)) {
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
