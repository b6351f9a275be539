//! One room with everything it needs in the world: its brain, its members' connections and signal sockets.

use super::connection::{Connection, Role, sections};
use super::net::Net;
use super::route::Route;
use super::sdp;
use super::stun::Addressee;
use super::{RoomOptions, Session, SignalSink, ToSocket};
use crate::config::RoomRules;
use livekit_protocol as proto;
use proto::DisconnectReason;
use proto::signal_request::Message as Asked;
use proto::signal_response::Message;
use room::server::{
    Act, Happening, JoinRefused, Joining, Measured, MemberId, Refused, Room, RoomConfig, Slot, TrackId, Wiring,
};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use str0m::Event;

/// The room is told of a member's packets at most this often.
const SEEN_INTERVAL: Duration = Duration::from_millis(250);

pub(super) struct Peer {
    /// `None` while the socket is away.
    pub(super) signal: Option<SignalSink>,
    pub(super) session: Session,
    pub(super) wiring: Wiring,
    pub(super) connections: BTreeMap<Role, Connection>,
    pub(super) seen_at: Instant,
    /// Of both connections, the worse.
    pub(super) measured: BTreeMap<Role, Measured>,
    pub(super) client_protocol: i32,
}

/// A room, owned by its worker.
pub(super) struct Host {
    pub(super) brain: Room,
    pub(super) peers: BTreeMap<MemberId, Peer>,
    pub(super) routes: HashMap<TrackId, Route>,
    /// Which track comes in where.
    pub(super) tracks: HashMap<(MemberId, Slot), TrackId>,
    pub(super) events: VecDeque<(MemberId, Role, Event)>,
    pub(super) happened: Vec<Happening>,
    pub(super) gone: Vec<MemberId>,
    pub(super) wakes_at: Option<Instant>,
}

impl Host {
    /// An empty room; what `options` do not say is as `rules` have it.
    pub fn new(name: String, options: RoomOptions, rules: &RoomRules, now: Instant, net: &mut Net) -> Self {
        let mut config = RoomConfig::new(name, rand::random(), unix_ms());
        config.max_participants = options.max_participants.unwrap_or(rules.room_limit);
        config.empty_timeout = options.empty_timeout.unwrap_or(config.empty_timeout);
        config.departure_timeout = options.departure_timeout.unwrap_or(config.departure_timeout);
        config.metadata = options.metadata;
        (config.member_timeout, config.closed_timeout) = (rules.member_timeout, rules.closed_timeout);
        let brain = Room::new(config, now);
        let mut host = Self {
            wakes_at: None,
            brain,
            peers: BTreeMap::new(),
            routes: HashMap::new(),
            tracks: HashMap::new(),
            events: VecDeque::new(),
            happened: Vec::new(),
            gone: Vec::new(),
        };
        host.settle(now, net);
        host
    }

    pub fn brain(&self) -> &Room {
        &self.brain
    }

    /// When time alone changes something here.
    pub fn wakes_at(&self) -> Option<Instant> {
        self.wakes_at
    }

    /// What happened since the last call, in order.
    pub fn take_happened(&mut self) -> Vec<Happening> {
        std::mem::take(&mut self.happened)
    }

    /// Who left since the last call.
    pub fn take_gone(&mut self) -> Vec<MemberId> {
        std::mem::take(&mut self.gone)
    }

    /// Lets a client in: JoinResponse, its announced tracks, and the answer to the offer that came along.
    pub fn join(
        &mut self,
        now: Instant,
        net: &mut Net,
        joining: Joining,
        entry: super::Entry,
        signal: SignalSink,
    ) -> Result<(MemberId, Session), JoinRefused> {
        let wiring = joining.wiring;
        let client_protocol = joining.client_protocol;
        let member = self.brain.handle_join(now, joining)?;
        let session = Session(0);
        let peer = Peer {
            signal: Some(signal),
            session,
            wiring,
            connections: BTreeMap::new(),
            seen_at: now,
            measured: BTreeMap::new(),
            client_protocol,
        };
        self.peers.insert(member, peer);
        for request in entry.tracks {
            self.brain.handle_request(now, unix_ms(), member, Asked::AddTrack(request));
        }
        if wiring == Wiring::Two {
            self.connect(now, net, member, Role::Subscriber);
            if let Some(connection) = self.connection(member, Role::Subscriber) {
                let offer = connection.offer_channels();
                self.settle(now, net);
                self.signal(member, offer.map(Message::Offer));
            }
        }
        self.settle(now, net);
        if let Some(offer) = entry.offer {
            self.offered(now, net, member, &offer);
        }
        self.settle(now, net);
        Ok((member, session))
    }

    /// A new signal socket for a member that was cut off.
    pub fn resume(
        &mut self,
        now: Instant,
        net: &mut Net,
        member: MemberId,
        entry: super::Entry,
        signal: SignalSink,
    ) -> Option<Session> {
        let peer = self.peers.get_mut(&member)?;
        peer.session = Session(peer.session.0 + 1);
        peer.signal = Some(signal);
        let session = peer.session;
        self.brain.handle_resume(now, member);
        self.settle(now, net);
        let unanswered = self.connection(member, Role::Subscriber).and_then(|it| it.unanswered_offer());
        self.signal(member, unanswered.map(Message::Offer));
        if let Some(state) = entry.sync {
            self.brain.handle_request(now, unix_ms(), member, Asked::SyncState(state));
        }
        if let Some(offer) = entry.offer {
            self.offered(now, net, member, &offer);
        }
        self.settle(now, net);
        Some(session)
    }

    /// A request on the signal socket. Those of a socket that was replaced are void.
    #[allow(clippy::wildcard_enum_match_arm)] // All but three are the brain's, which lists them.
    pub fn request(&mut self, now: Instant, net: &mut Net, member: MemberId, session: Session, asked: Asked) {
        let Some(peer) = self.peers.get(&member).filter(|peer| peer.session == session) else { return };
        let is_single = peer.wiring == Wiring::One;
        self.brain.handle_signal_seen(now, member);
        match asked {
            Asked::Offer(offer) => self.offered(now, net, member, &offer),
            Asked::Answer(answer) => self.answered(now, net, member, &answer),
            Asked::Trickle(trickle) => {
                let role = match trickle.target() {
                    _ if is_single => Role::Single,
                    proto::SignalTarget::Publisher => Role::Publisher,
                    proto::SignalTarget::Subscriber => Role::Subscriber,
                };
                if let Some(connection) = self.connection(member, role) {
                    connection.add_candidate(&trickle.candidate_init);
                }
                self.drain(net, member, role);
            }
            other => self.brain.handle_request(now, unix_ms(), member, other),
        }
        self.settle(now, net);
    }

    /// The signal socket went away.
    pub fn signal_closed(&mut self, now: Instant, net: &mut Net, member: MemberId, session: Session) {
        let Some(peer) = self.peers.get_mut(&member).filter(|peer| peer.session == session) else { return };
        peer.signal = None;
        self.brain.handle_signal_closed(now, member);
        self.settle(now, net);
    }

    /// Does what an administrator asks.
    pub fn act(&mut self, now: Instant, net: &mut Net, act: Act) -> Result<(), Refused> {
        let done = self.brain.handle_act(now, act);
        self.settle(now, net);
        done
    }

    /// Ends the room.
    pub fn delete(&mut self, now: Instant, net: &mut Net) {
        self.brain.handle_delete(now);
        self.settle(now, net);
    }

    /// Ends the room because the server stops.
    pub fn shut_down(&mut self, now: Instant, net: &mut Net) {
        self.brain.handle_shutdown(now);
        self.settle(now, net);
    }

    /// Whether this connection is called so.
    pub fn is_named(&self, owner: (MemberId, Role), name: &str) -> bool {
        let connection = self.peers.get(&owner.0).and_then(|peer| peer.connections.get(&owner.1));
        connection.is_some_and(|connection| connection.name == name)
    }

    /// Whether any connection is called so.
    pub fn has_name(&self, name: &str) -> bool {
        self.peers.values().flat_map(|peer| peer.connections.values()).any(|connection| connection.name == name)
    }

    /// Whose connection a datagram is for, by the name it bears and by what the connection says of it.
    pub fn owner_of(
        &self,
        now: Instant,
        addressee: Addressee<'_>,
        source: SocketAddr,
        destination: SocketAddr,
        datagram: &[u8],
    ) -> Option<(MemberId, Role)> {
        let of_peer = |(member, peer): (&MemberId, &Peer)| {
            let is_meant = |connection: &Connection| match addressee {
                Addressee::Named(name) => connection.name == name,
                Addressee::Unnamed => true,
            };
            let accepts = |(_, connection): &(&Role, &Connection)| {
                is_meant(connection) && connection.accepts(now, source, destination, datagram)
            };
            peer.connections.iter().find(accepts).map(|(role, _)| (*member, *role))
        };
        self.peers.iter().find_map(of_peer)
    }

    /// Whether this connection still is the one for a datagram.
    pub fn accepts(
        &self,
        now: Instant,
        owner: (MemberId, Role),
        source: SocketAddr,
        destination: SocketAddr,
        datagram: &[u8],
    ) -> bool {
        let connection = self.peers.get(&owner.0).and_then(|peer| peer.connections.get(&owner.1));
        connection.is_some_and(|connection| connection.accepts(now, source, destination, datagram))
    }

    /// A datagram for a connection.
    pub fn datagram(
        &mut self,
        now: Instant,
        net: &mut Net,
        (member, role): (MemberId, Role),
        source: SocketAddr,
        destination: SocketAddr,
        datagram: &[u8],
    ) {
        let Some(peer) = self.peers.get_mut(&member) else { return };
        let Some(connection) = peer.connections.get_mut(&role) else { return };
        connection.handle_datagram(now, source, destination, datagram);
        if now.saturating_duration_since(peer.seen_at) >= SEEN_INTERVAL {
            peer.seen_at = now;
            self.brain.handle_packet_seen(now, member);
        }
        self.drain(net, member, role);
        self.settle(now, net);
    }

    /// Does what is due.
    pub fn timeout(&mut self, now: Instant, net: &mut Net) {
        let due: Vec<(MemberId, Role)> = self
            .peers
            .iter()
            .flat_map(|(member, peer)| {
                peer.connections.iter().map(move |(role, connection)| (member, role, connection))
            })
            .filter(|(_, _, connection)| connection.wakes_at <= now)
            .map(|(member, role, _)| (*member, *role))
            .collect();
        for (member, role) in due {
            if let Some(connection) = self.connection(member, role) {
                connection.handle_timeout(now);
            }
            self.drain(net, member, role);
        }
        if self.brain.poll_timeout().is_some_and(|(at, _)| at <= now) {
            self.brain.handle_timeout(now);
        }
        self.settle(now, net);
    }

    pub(super) fn connection(&mut self, member: MemberId, role: Role) -> Option<&mut Connection> {
        self.peers.get_mut(&member)?.connections.get_mut(&role)
    }

    fn connect(&mut self, now: Instant, net: &Net, member: MemberId, role: Role) {
        let Some(peer) = self.peers.get_mut(&member) else { return };
        let mut connection = Connection::new(now, net.candidates());
        if role == Role::Single && peer.client_protocol >= room::server::PROTOCOL {
            connection.open_negotiated_channels();
        }
        peer.connections.insert(role, connection);
    }

    /// Sends a message; a member whose queue is full does not read, and its socket is given up: it may resume.
    pub(super) fn signal(&mut self, member: MemberId, message: Option<Message>) {
        if let Some(message) = message {
            self.pass_on(member, ToSocket::Response(Box::new(proto::SignalResponse { message: Some(message) })));
        }
    }

    pub(super) fn pass_on(&mut self, member: MemberId, what: ToSocket) {
        let Some(peer) = self.peers.get_mut(&member) else { return };
        if peer.signal.as_ref().is_some_and(|sink| sink.try_send(what).is_err()) {
            peer.signal = None;
            self.brain.handle_signal_closed(Instant::now(), member);
        }
    }

    fn offered(&mut self, now: Instant, net: &mut Net, member: MemberId, offer: &proto::SessionDescription) {
        let Some(peer) = self.peers.get(&member) else { return };
        if let Err(error) = sdp::check(&offer.sdp) {
            tracing::warn!(%error, "an offer is refused");
            return self.brain.handle_failure(now, member, DisconnectReason::MediaFailure);
        }
        let role = if peer.wiring == Wiring::One { Role::Single } else { Role::Publisher };
        let is_new = !peer.connections.contains_key(&role);
        if is_new {
            self.connect(now, net, member, role);
        }
        let plans = self.brain.handle_offer(now, member, &sections(offer));
        let Some(connection) = self.connection(member, role) else { return };
        match connection.answer(offer, &plans) {
            Ok(answer) => self.signal(member, Some(Message::Answer(answer))),
            Err(error) => {
                tracing::warn!(%error, "an offer cannot be answered");
                self.brain.handle_failure(now, member, DisconnectReason::MediaFailure);
            }
        }
        for (slot, plan) in plans {
            if let Some(publication) = plan.publishes {
                self.tracks.insert((member, slot), publication.track);
                self.routes.entry(publication.track).or_default();
            }
        }
        self.drain(net, member, role);
    }

    fn answered(&mut self, now: Instant, net: &mut Net, member: MemberId, answer: &proto::SessionDescription) {
        let Some(connection) = self.connection(member, Role::Subscriber) else { return };
        match connection.accept_answer(answer) {
            Ok(added) => {
                for (track, slot) in added {
                    self.brain.handle_section_added(now, member, track, slot);
                }
            }
            Err(error) => {
                tracing::warn!(%error, "an answer cannot be taken");
                self.brain.handle_failure(now, member, DisconnectReason::MediaFailure);
            }
        }
        self.drain(net, member, Role::Subscriber);
        self.offer_changes(net, member);
    }

    pub(super) fn offer_changes(&mut self, net: &mut Net, member: MemberId) {
        let Some(connection) = self.connection(member, Role::Subscriber) else { return };
        let offer = connection.offer_changes();
        if offer.is_some() {
            self.drain(net, member, Role::Subscriber);
            self.signal(member, offer.map(Message::Offer));
        }
    }

    pub(super) fn drain(&mut self, net: &mut Net, member: MemberId, role: Role) {
        let events = &mut self.events;
        if let Some(connection) = self.peers.get_mut(&member).and_then(|peer| peer.connections.get_mut(&role)) {
            connection.drain(net, |event| events.push_back((member, role, event)));
        }
    }
}

/// Wall clock, **milliseconds** since 1970.
pub(crate) fn unix_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
