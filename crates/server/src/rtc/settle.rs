//! Working off what connections say and what the brain wants, until both are quiet.

use super::connection::Role;
use super::host::Host;
use super::net::Net;
use super::offers::Change;
use super::route::Subscription;
use super::{ToSocket, codecs};
use livekit_protocol::DisconnectReason;
use room::server::{Incoming, Measured, MemberId, Output, Readable, Slot, TrackId, Wiring};
use std::time::Instant;
use str0m::rtp::{RtpPacket, RtpWrite};
use str0m::{Event, IceConnectionState};

impl Host {
    /// Works off everything that connections and the brain have to say, until both are quiet.
    pub(super) fn settle(&mut self, now: Instant, net: &mut Net) {
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
            stream: *packet.header.ssrc,
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
                .ext_vals(codecs::passed_on(spec.codec, &packet.header.ext_vals))
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
                    self.send_data(now, net, member, reliable, &packet);
                }
            }
            Output::GrantsChanged { member, grants } => self.pass_on(member, ToSocket::Grants(grants)),
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

    fn send_data(&mut self, now: Instant, net: &mut Net, member: MemberId, reliable: bool, packet: &[u8]) {
        let Some(peer) = self.peers.get_mut(&member) else { return };
        let role = if peer.wiring == Wiring::One { Role::Single } else { Role::Subscriber };
        let Some(connection) = peer.connections.get_mut(&role) else { return };
        // One whose socket is away may be anywhere: what does not fit is lost for it, as for one that comes later.
        if connection.send_data(reliable, packet).is_err() && peer.signal.is_some() {
            tracing::warn!(member = member.0, "a member does not read its data and is to enter anew");
            self.brain.handle_failure(now, member, DisconnectReason::StateMismatch);
        }
        self.drain(net, member, role);
    }
}
