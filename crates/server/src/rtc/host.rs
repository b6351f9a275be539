//! One room with everything it needs in the world: its brain, its members' connections and signal sockets.

use super::connection::{Change, Connection, Role, sections};
use super::net::Net;
use super::route::{Route, Subscription};
use super::{Rules, Session, SignalSink, codecs};
use livekit_protocol as proto;
use proto::DisconnectReason;
use proto::signal_request::Message as Asked;
use proto::signal_response::Message;
use room::server::{
    Blocked, Happening, Incoming, Joining, Measured, MemberId, Output, Readable, Room, RoomConfig, Slot, TrackId,
    Wiring,
};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use str0m::rtp::{RtpPacket, RtpWrite};
use str0m::{Event, IceConnectionState};

/// The room is told of a member's packets at most this often.
const SEEN_INTERVAL: Duration = Duration::from_millis(250);

struct Peer {
    /// `None` while the socket is away.
    signal: Option<SignalSink>,
    session: Session,
    wiring: Wiring,
    connections: BTreeMap<Role, Connection>,
    seen_at: Instant,
    /// Of both connections, the worse.
    measured: BTreeMap<Role, Measured>,
    client_protocol: i32,
}

/// A room, owned by its worker.
pub(super) struct Host {
    brain: Room,
    peers: BTreeMap<MemberId, Peer>,
    routes: HashMap<TrackId, Route>,
    /// Which track comes in where.
    tracks: HashMap<(MemberId, Slot), TrackId>,
    events: VecDeque<(MemberId, Role, Event)>,
    happened: Vec<Happening>,
    gone: Vec<MemberId>,
    wakes_at: Option<Instant>,
}

impl Host {
    pub fn new(name: String, rules: Rules, now: Instant, net: &mut Net) -> Self {
        let mut config = RoomConfig::new(name, rand::random(), unix_ms());
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
    ) -> Option<(MemberId, Session)> {
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
        Some((member, session))
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

    /// Puts somebody out.
    pub fn remove(&mut self, now: Instant, net: &mut Net, identity: &str) -> bool {
        let found = self.brain.handle_remove(identity);
        self.settle(now, net);
        found
    }

    /// Stops or frees somebody's voice and picture.
    pub fn block(&mut self, now: Instant, net: &mut Net, identity: &str, blocked: Blocked) -> bool {
        let found = self.brain.handle_block(now, identity, blocked);
        self.settle(now, net);
        found
    }

    /// Ends the room.
    pub fn delete(&mut self, now: Instant, net: &mut Net) {
        self.brain.handle_delete();
        self.settle(now, net);
    }

    /// Ends the room because the server stops.
    pub fn shut_down(&mut self, now: Instant, net: &mut Net) {
        self.brain.handle_shutdown();
        self.settle(now, net);
    }

    /// Whose connection a datagram is for.
    pub fn owner_of(
        &self,
        now: Instant,
        source: SocketAddr,
        destination: SocketAddr,
        datagram: &[u8],
    ) -> Option<(MemberId, Role)> {
        let of_peer = |(member, peer): (&MemberId, &Peer)| {
            let accepts = |entry: &(&Role, &Connection)| entry.1.accepts(now, source, destination, datagram);
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

    fn connection(&mut self, member: MemberId, role: Role) -> Option<&mut Connection> {
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
    fn signal(&mut self, member: MemberId, message: Option<Message>) {
        let Some(message) = message else { return };
        let Some(peer) = self.peers.get_mut(&member) else { return };
        let response = proto::SignalResponse { message: Some(message) };
        if peer.signal.as_ref().is_some_and(|sink| sink.try_send(response).is_err()) {
            peer.signal = None;
            self.brain.handle_signal_closed(Instant::now(), member);
        }
    }

    fn offered(&mut self, now: Instant, net: &mut Net, member: MemberId, offer: &proto::SessionDescription) {
        let Some(peer) = self.peers.get(&member) else { return };
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
                self.brain.handle_failure(member, DisconnectReason::MediaFailure);
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
                self.brain.handle_failure(member, DisconnectReason::MediaFailure);
            }
        }
        self.drain(net, member, Role::Subscriber);
        self.offer_changes(net, member);
    }

    fn offer_changes(&mut self, net: &mut Net, member: MemberId) {
        let Some(connection) = self.connection(member, Role::Subscriber) else { return };
        let offer = connection.offer_changes();
        if offer.is_some() {
            self.drain(net, member, Role::Subscriber);
            self.signal(member, offer.map(Message::Offer));
        }
    }

    fn drain(&mut self, net: &mut Net, member: MemberId, role: Role) {
        let events = &mut self.events;
        if let Some(connection) = self.peers.get_mut(&member).and_then(|peer| peer.connections.get_mut(&role)) {
            connection.drain(net, |event| events.push_back((member, role, event)));
        }
    }

    /// Works off everything that connections and the brain have to say, until both are quiet.
    fn settle(&mut self, now: Instant, net: &mut Net) {
        loop {
            if let Some((member, role, event)) = self.events.pop_front() {
                self.handle_event(now, net, member, role, event);
            } else if let Some(output) = self.brain.poll_output() {
                self.handle_output(now, net, output);
            } else {
                break;
            }
        }
        let connections = self.peers.values().flat_map(|peer| peer.connections.values());
        let media = connections.map(|connection| connection.wakes_at).min();
        let brain = self.brain.poll_timeout().map(|(at, _)| at);
        self.wakes_at = media.into_iter().chain(brain).min();
    }

    #[allow(clippy::wildcard_enum_match_arm)] // The rest is for the frame level, or says nothing to act upon.
    fn handle_event(&mut self, now: Instant, net: &mut Net, member: MemberId, role: Role, event: Event) {
        match event {
            Event::RtpPacket(packet) => self.forward(net, member, role, &packet),
            Event::Connected => self.connected(now, member, role),
            Event::KeyframeRequest(request) => {
                self.brain.handle_keyframe_request(now, member, &Slot(request.mid.to_string()));
            }
            Event::ChannelOpen(id, label) => {
                if let Some(connection) = self.connection(member, role) {
                    connection.handle_channel_open(id, &label);
                }
                self.drain(net, member, role);
            }
            Event::ChannelData(data) => {
                let reliability =
                    self.connection(member, role).and_then(|connection| connection.reliability_of(data.id));
                if let Some(reliable) = reliability {
                    self.brain.handle_data(member, reliable, &data.data);
                }
            }
            Event::ChannelBufferedAmountLow(_) => {
                if let Some(connection) = self.connection(member, role) {
                    connection.flush();
                }
                self.drain(net, member, role);
            }
            Event::PeerStats(stats) => {
                let loss = stats.egress_loss_fraction.unwrap_or(0.0).max(stats.ingress_loss_fraction.unwrap_or(0.0));
                self.measured(member, role, Measured { loss, round_trip: stats.rtt });
            }
            Event::IceConnectionStateChange(IceConnectionState::Disconnected) => {
                tracing::info!(member = member.0, ?role, "no path for media");
            }
            _ => {}
        }
    }

    fn connected(&mut self, now: Instant, member: MemberId, role: Role) {
        if let Some(connection) = self.connection(member, role) {
            connection.is_connected = true;
        }
        if role != Role::Publisher {
            self.brain.handle_connected(now, member);
        }
    }

    fn measured(&mut self, member: MemberId, role: Role, measured: Measured) {
        let Some(peer) = self.peers.get_mut(&member) else { return };
        peer.measured.insert(role, measured);
        let worst = peer
            .measured
            .values()
            .copied()
            .reduce(|a, b| Measured { loss: a.loss.max(b.loss), round_trip: a.round_trip.max(b.round_trip) });
        if let Some(worst) = worst {
            self.brain.handle_measured(member, worst);
        }
    }

    /// A packet of a publisher: to everybody whose subscription lets it pass.
    fn forward(&mut self, net: &mut Net, member: MemberId, role: Role, packet: &RtpPacket) {
        let Some(connection) = self.connection(member, role) else { return };
        let Some((slot, layer, spec)) = connection.source_of(packet) else { return };
        let Some(track) = self.tracks.get(&(member, slot)).copied() else { return };
        if let Some(level) = packet.header.ext_vals.audio_level {
            self.brain.handle_audio_level(packet.timestamp, track, level);
        }
        let Some(route) = self.routes.get_mut(&track) else { return };
        let readable = Readable::from_name(&codecs::name(spec.codec));
        let incoming = Incoming {
            layer,
            sequence: *packet.seq_no,
            timestamp: packet.header.timestamp,
            keyframe: readable.starts_keyframe(&packet.payload),
            arrived: packet.timestamp,
        };
        route.aim(&incoming);
        let mut needs_keyframe = false;
        for (subscriber, subscription) in &mut route.subscribers {
            let Some(peer) = self.peers.get_mut(subscriber) else { continue };
            let role = if peer.wiring == Wiring::One { Role::Single } else { Role::Subscriber };
            let Some(connection) = peer.connections.get_mut(&role).filter(|connection| connection.is_connected) else {
                continue;
            };
            let target = subscription.slot.clone();
            let Some(pt) = subscription.pt(packet.header.payload_type, || connection.outgoing_pt(&target, &spec))
            else {
                continue;
            };
            let step = subscription.step(&spec, incoming);
            // Asked again until one comes: requests and answers get lost, and publishers drop requests, too.
            needs_keyframe |= subscription.is_waiting();
            let Some(out) = step else { continue };
            let write = RtpWrite::new(pt, out.sequence.into(), out.timestamp, packet.timestamp, packet.payload.clone())
                .marker(packet.header.marker)
                .ext_vals(codecs::passed_on(&packet.header.ext_vals))
                .nackable(spec.codec.is_video());
            connection.write(&target, write);
            let events = &mut self.events;
            connection.drain(net, |event| events.push_back((*subscriber, role, event)));
        }
        if needs_keyframe {
            self.brain.request_keyframe(packet.timestamp, track);
        }
    }

    fn handle_output(&mut self, now: Instant, net: &mut Net, output: Output) {
        match output {
            Output::Signal { to, message } => self.signal(to, Some(*message)),
            Output::Removed { member } => {
                self.peers.remove(&member);
                self.tracks.retain(|(owner, _), _| *owner != member);
                self.gone.push(member);
            }
            Output::Bind { track, member, slot, settings } => {
                let route = self.routes.entry(track).or_default();
                route.subscribers.insert(member, Subscription::new(slot, settings));
            }
            Output::Adjust { track, member, settings } => {
                let route = self.routes.get_mut(&track);
                if let Some(subscription) = route.and_then(|route| route.subscribers.get_mut(&member)) {
                    subscription.adjust(settings);
                }
            }
            Output::Unbind { track, member } => {
                if let Some(route) = self.routes.get_mut(&track) {
                    route.subscribers.remove(&member);
                }
            }
            Output::TrackEnded { track } => {
                self.routes.remove(&track);
                self.tracks.retain(|_, known| *known != track);
            }
            Output::RequestKeyframe { track } => self.request_keyframe(now, net, track),
            Output::AddSection { member, delivery, kind } => self.change(net, member, Change::Add(delivery, kind)),
            Output::RemoveSection { member, slot } => self.change(net, member, Change::Remove(slot)),
            Output::Data { to, reliable, packet } => {
                for member in to {
                    self.send_data(net, member, reliable, &packet);
                }
            }
            Output::Happened(happening) => self.happened.push(happening),
        }
    }

    fn change(&mut self, net: &mut Net, member: MemberId, change: Change) {
        if let Some(connection) = self.connection(member, Role::Subscriber) {
            connection.change(change);
        }
        self.offer_changes(net, member);
    }

    fn request_keyframe(&mut self, now: Instant, net: &mut Net, track: TrackId) {
        let Some((owner, slot)) = self.brain.source_of(track).map(|(owner, slot)| (owner, slot.clone())) else {
            return;
        };
        let Some(layers) = self.routes.get(&track).map(|route| route.wanted_layers(now)) else { return };
        let Some(peer) = self.peers.get_mut(&owner) else { return };
        let role = if peer.wiring == Wiring::One { Role::Single } else { Role::Publisher };
        if let Some(connection) = peer.connections.get_mut(&role) {
            connection.request_keyframe(&slot, &layers);
        }
        self.drain(net, owner, role);
    }

    fn send_data(&mut self, net: &mut Net, member: MemberId, reliable: bool, packet: &[u8]) {
        let Some(peer) = self.peers.get_mut(&member) else { return };
        let role = if peer.wiring == Wiring::One { Role::Single } else { Role::Subscriber };
        let Some(connection) = peer.connections.get_mut(&role) else { return };
        if connection.send_data(reliable, packet).is_err() {
            tracing::warn!(member = member.0, "a member does not read its data");
            self.brain.handle_failure(member, DisconnectReason::MediaFailure);
        }
        self.drain(net, member, role);
    }
}

/// Wall clock, **milliseconds** since 1970.
pub(crate) fn unix_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
