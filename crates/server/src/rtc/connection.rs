//! One peer connection: `str0m`, driven by its contract (every mutation is followed by a full drain).

use super::codecs;
use super::net::Net;
use super::offers::Offers;
use super::sdp::{self, Streams};
use livekit_protocol as proto;
use room::server::{Layer, Section, SectionPlan, Slot, TrackId};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use str0m::change::SdpOffer;
use str0m::channel::{ChannelConfig, ChannelId, Reliability};
use str0m::format::CodecSpec;
use str0m::media::{KeyframeRequestKind, Mid, Pt, Rid};
use str0m::net::{Protocol, Receive};
use str0m::rtp::{RtpPacket, RtpWrite, Ssrc};
use str0m::{Candidate, Event, Input, Output, Rtc, RtcError};

/// Data that waits for a reliable channel, **bytes**. Fuller: the member does not read, and is to enter anew.
const OUTBOX_LIMIT: usize = 4 << 20;

/// Stream numbers of the channels that both sides open without asking (protocol 18).
const RELIABLE_STREAM: u16 = 100;
const LOSSY_STREAM: u16 = 101;
const DATA_TRACK_STREAM: u16 = 102;

pub(super) const RELIABLE: &str = "_reliable";
pub(super) const LOSSY: &str = "_lossy";
const DATA_TRACK: &str = "_data_track";

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Role {
    /// The only one of a client on `/rtc/v1`.
    Single,
    /// What a client on `/rtc` publishes on.
    Publisher,
    /// What a client on `/rtc` receives on; we offer.
    Subscriber,
}

/// The member did not read what it was sent.
#[derive(Debug)]
pub(super) struct OutboxFull;

pub(super) struct Connection {
    pub(super) rtc: Rtc,
    /// Its user name fragment, by which others address it (ICE); an ICE restart makes another.
    pub name: String,
    pub is_connected: bool,
    pub wakes_at: Instant,
    /// Where each incoming stream belongs.
    sources: HashMap<Ssrc, (Mid, Option<Rid>)>,
    /// Which track each of our sending sections was last answered with, if any.
    carried: BTreeMap<Slot, Option<TrackId>>,
    pub(super) reliable: Option<ChannelId>,
    pub(super) lossy: Option<ChannelId>,
    outbox: VecDeque<Vec<u8>>,
    outbox_size: usize,
    pub(super) offers: Offers,
}

impl Connection {
    pub fn new(now: Instant, candidates: &[SocketAddr]) -> Self {
        let mut rtc = codecs::new_rtc(now);
        for addr in candidates {
            match Candidate::host(*addr, "udp") {
                Ok(candidate) => {
                    rtc.add_local_candidate(candidate);
                }
                Err(error) => tracing::warn!(%error, "a media address cannot be announced"),
            }
        }
        let name = rtc.direct_api().local_ice_credentials().ufrag;
        Self {
            rtc,
            name,
            is_connected: false,
            wakes_at: now,
            sources: HashMap::new(),
            carried: BTreeMap::new(),
            reliable: None,
            lossy: None,
            outbox: VecDeque::new(),
            outbox_size: 0,
            offers: Offers::default(),
        }
    }

    /// Opens the channels that a client of protocol 18 opens too, by number.
    pub fn open_negotiated_channels(&mut self) {
        self.reliable = Some(self.open(RELIABLE, Some(RELIABLE_STREAM), true));
        self.lossy = Some(self.open(LOSSY, Some(LOSSY_STREAM), false));
        self.open(DATA_TRACK, Some(DATA_TRACK_STREAM), false);
    }

    fn open(&mut self, label: &str, stream: Option<u16>, reliable: bool) -> ChannelId {
        let config = channel(label, stream, reliable);
        self.rtc.direct_api().create_data_channel(config)
    }

    /// Whether a datagram is for this connection.
    pub fn accepts(&self, now: Instant, source: SocketAddr, destination: SocketAddr, datagram: &[u8]) -> bool {
        receive(now, source, destination, datagram).is_some_and(|input| self.rtc.accepts(&input))
    }

    /// Takes a datagram in.
    pub fn handle_datagram(&mut self, now: Instant, source: SocketAddr, destination: SocketAddr, datagram: &[u8]) {
        let Some(input) = receive(now, source, destination, datagram) else { return };
        if let Err(error) = self.rtc.handle_input(input) {
            self.fail(&error);
        }
    }

    /// Lets time pass.
    pub fn handle_timeout(&mut self, now: Instant) {
        if let Err(error) = self.rtc.handle_input(Input::Timeout(now)) {
            self.fail(&error);
        }
    }

    fn fail(&mut self, error: &RtcError) {
        tracing::warn!(%error, "a peer connection failed");
        self.rtc.disconnect();
    }

    /// Drains `str0m`: datagrams go out, events come back.
    pub fn drain(&mut self, net: &mut Net, mut on_event: impl FnMut(Event)) {
        loop {
            match self.rtc.poll_output() {
                Ok(Output::Transmit(transmit)) => net.send(&transmit),
                Ok(Output::Event(event)) => on_event(event),
                Ok(Output::Timeout(at)) => {
                    self.wakes_at = at;
                    return;
                }
                Err(error) => {
                    self.fail(&error);
                    self.wakes_at += Duration::from_secs(1);
                    return;
                }
            }
        }
    }

    /// Answers a client's offer by the room's plan.
    pub fn answer(
        &mut self,
        offer: &proto::SessionDescription,
        plans: &BTreeMap<Slot, SectionPlan>,
    ) -> Result<proto::SessionDescription, RtcError> {
        // A slot that gets another track, or the same one again, gets another SSRC, since numbers start anew: the old
        // stream goes, `accept_offer` makes a new one.
        for (slot, plan) in plans {
            let Some(delivery) = &plan.delivers else {
                if let Some(carried) = self.carried.get_mut(slot) {
                    *carried = None;
                }
                continue;
            };
            if self.carried.get(slot).is_some_and(|carried| *carried != Some(delivery.track)) {
                let mut api = self.rtc.direct_api();
                if let Some(ssrc) = api.stream_tx_by_mid(mid(slot), None).map(|stream| stream.ssrc()) {
                    api.remove_stream_tx(ssrc);
                }
            }
            self.carried.insert(slot.clone(), Some(delivery.track));
        }
        let parsed = SdpOffer::from_sdp_string(&sdp::let_us_start(&offer.sdp))
            .map_err(|error| RtcError::RemoteSdp(error.to_string()))?;
        let answer = self.rtc.sdp_api().accept_offer(parsed)?;
        self.name = self.rtc.direct_api().local_ice_credentials().ufrag;
        let (sdp, mid_to_track_id) = self.dress(&answer.to_sdp_string(), plans);
        Ok(proto::SessionDescription { r#type: "answer".into(), sdp, id: offer.id, mid_to_track_id })
    }

    /// Writes the plan into a description of ours, and which section carries which track.
    pub(super) fn dress(
        &mut self,
        description: &str,
        plans: &BTreeMap<Slot, SectionPlan>,
    ) -> (String, HashMap<String, String>) {
        let mut streams = BTreeMap::new();
        let mut tracks = HashMap::new();
        for (slot, plan) in plans {
            let Some(delivery) = &plan.delivers else { continue };
            let mut api = self.rtc.direct_api();
            if let Some(stream) = api.stream_tx_by_mid(mid(slot), None) {
                let resend = stream.rtx().map(|ssrc| *ssrc);
                streams.insert(slot.clone(), Streams { main: *stream.ssrc(), resend });
            }
            tracks.insert(slot.0.clone(), delivery.track_sid.clone());
        }
        (sdp::dress(description, plans, &streams), tracks)
    }

    /// A candidate of the client's, as the browser writes it. What cannot be read (mDNS names) is left to ICE itself.
    pub fn add_candidate(&mut self, init: &str) {
        let Ok(init) = serde_json::from_str::<serde_json::Value>(init) else { return };
        let Some(text) = init.get("candidate").and_then(serde_json::Value::as_str) else { return };
        if let Ok(candidate) = Candidate::from_sdp_string(text) {
            self.rtc.add_remote_candidate(candidate);
        }
    }

    /// Where a packet's stream belongs, and its codec.
    pub fn source_of(&mut self, packet: &RtpPacket) -> Option<(Slot, Layer, CodecSpec)> {
        let ssrc = packet.header.ssrc;
        let rtc = &mut self.rtc;
        let (mid, rid) = match self.sources.get(&ssrc) {
            Some(known) => *known,
            None => {
                let stream = rtc.direct_api().stream_rx(&ssrc).map(|stream| (stream.mid(), stream.rid()))?;
                self.sources.insert(ssrc, stream);
                stream
            }
        };
        let spec = rtc.codec_config().find(|params| params.pt() == packet.header.payload_type)?.spec();
        let layer = rid.map_or(Layer(0), |rid| Layer::from_rid(&rid));
        Some((Slot(mid.to_string()), layer, spec))
    }

    /// The payload type for packets of `spec` in one of our sending sections.
    pub fn outgoing_pt(&self, slot: &Slot, spec: &CodecSpec) -> Option<Pt> {
        let media = self.rtc.media(mid(slot))?;
        codecs::outgoing_pt(self.rtc.codec_config(), media.remote_pts(), spec)
    }

    /// Sends a packet in one of our sending sections; a full drain has to follow.
    pub fn write(&mut self, slot: &Slot, packet: RtpWrite) {
        if let Some(stream) = self.rtc.direct_api().stream_tx_by_mid(mid(slot), None) {
            stream.write_rtp(packet);
        }
    }

    /// Asks the client for keyframes of these layers of what it sends in `slot`.
    pub fn request_keyframe(&mut self, slot: &Slot, layers: &[Layer]) {
        let slot = mid(slot);
        let streams: Vec<Ssrc> = self
            .sources
            .iter()
            .filter(|(_, (mid, _))| *mid == slot)
            .filter(|(_, (_, rid))| layers.contains(&rid.map_or(Layer(0), |rid| Layer::from_rid(&rid))))
            .map(|(ssrc, _)| *ssrc)
            .collect();
        for ssrc in streams {
            if let Some(stream) = self.rtc.direct_api().stream_rx(&ssrc) {
                stream.request_keyframe(KeyframeRequestKind::Pli);
            }
        }
    }

    /// A channel of the client's or of ours is open.
    pub fn handle_channel_open(&mut self, id: ChannelId, label: &str) {
        match label {
            RELIABLE => self.reliable = Some(id),
            LOSSY => self.lossy = Some(id),
            _ => {}
        }
        self.flush();
    }

    /// Whether data on this channel is reliable; `None` for channels that are not for packets.
    pub fn reliability_of(&self, id: ChannelId) -> Option<bool> {
        if self.reliable == Some(id) {
            Some(true)
        } else if self.lossy == Some(id) {
            Some(false)
        } else {
            None
        }
    }

    /// Sends a data packet: reliable ones wait in order for room, lossy ones are dropped where there is none.
    pub fn send_data(&mut self, reliable: bool, packet: &[u8]) -> Result<(), OutboxFull> {
        if !reliable {
            if let Some(mut channel) = self.lossy.and_then(|id| self.rtc.channel(id)) {
                let _ = channel.write(true, packet);
            }
            return Ok(());
        }
        if self.outbox_size + packet.len() > OUTBOX_LIMIT {
            // A client that never opened its channel wants no data.
            return if self.reliable.is_some() { Err(OutboxFull) } else { Ok(()) };
        }
        self.outbox_size += packet.len();
        self.outbox.push_back(packet.to_vec());
        self.flush();
        Ok(())
    }

    /// Sends what waits, as far as the channel takes it.
    pub fn flush(&mut self) {
        while let Some(packet) = self.outbox.front() {
            let Some(mut channel) = self.reliable.and_then(|id| self.rtc.channel(id)) else { return };
            channel.set_buffered_amount_low_threshold(0);
            if !matches!(channel.write(true, packet), Ok(true)) {
                return;
            }
            self.outbox_size -= packet.len();
            self.outbox.pop_front();
        }
    }
}

/// The sections of a client's offer.
pub(super) fn sections(offer: &proto::SessionDescription) -> Vec<Section> {
    sdp::sections(&offer.sdp)
}

pub(super) fn mid(slot: &Slot) -> Mid {
    Mid::from(slot.0.as_str())
}

pub(super) fn channel(label: &str, negotiated: Option<u16>, reliable: bool) -> ChannelConfig {
    let reliability = if reliable { Reliability::Reliable } else { Reliability::MaxRetransmits { retransmits: 0 } };
    ChannelConfig { label: label.into(), ordered: reliable, reliability, negotiated, ..ChannelConfig::default() }
}

fn receive(now: Instant, source: SocketAddr, destination: SocketAddr, datagram: &[u8]) -> Option<Input<'_>> {
    Some(Input::Receive(now, Receive::new(Protocol::Udp, source, destination, datagram).ok()?))
}
