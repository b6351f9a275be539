//! The server's brain of one room: members, tracks, subscriptions, slots, mute, speakers, quality, leaving.
//!
//! One [`Room`] is owned by one worker. Inputs come in by `handle_*`, effects go out by [`Room::poll_output`] in one
//! order, and [`Room::poll_timeout`] names the next instant at which [`Room::handle_timeout`] has something to do. The
//! room sees opaque ids; sockets, SDP and keys are its owner's. Per packet it is asked nothing: the owner keeps one
//! [`forward::Forward`] per subscription, as [`Output::Bind`] and [`Output::Adjust`] say.

mod act;
mod block;
mod data;
mod departed;
pub mod forward;
mod happening;
pub mod ids;
pub mod keyframe;
pub mod limits;
mod member;
mod membership;
mod permission;
mod quality;
mod request;
mod rights;
mod section;
mod speakers;
mod timeout;
mod track;

#[cfg(test)]
mod tests;

pub use act::{Act, Refused};
pub use block::Blocked;
pub use forward::{Forward, Incoming, Layer, LiveLayers, Outgoing};
pub use happening::Happening;
pub use ids::{Kind, MemberId, Slot, TrackId};
pub use keyframe::Readable;
pub use member::{Joining, Settings, Wiring};
pub use membership::JoinRefused;
pub use quality::Measured;
pub use section::{Delivery, Publication, Section, SectionPlan};
pub use timeout::Reason;

use livekit_protocol as proto;
use member::Member;
use proto::signal_response::Message;
use speakers::Speakers;
use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};
use track::Track;

/// The LiveKit protocol version that the room speaks (18: data channels negotiated by number).
pub const PROTOCOL: i32 = 18;

/// The LiveKit release whose wire the room follows; clients compare it with the oldest they know.
pub const WIRE_RELEASE: &str = "1.11.0";

/// How clients are to ping the signal socket.
const PING_INTERVAL: Duration = Duration::from_secs(5);
const PING_TIMEOUT: Duration = Duration::from_secs(15);

/// What a room is made with.
#[derive(Clone, Debug)]
pub struct RoomConfig {
    /// The name on the wire.
    pub name: String,
    /// A random number, for sids.
    pub seed: u64,
    /// Wall clock, **milliseconds** since 1970: for display only.
    pub unix_ms: i64,
    /// Silent loss: nothing heard for this long and the member is out (settled: 90 s).
    pub member_timeout: Duration,
    /// Signal socket closed by the other side and no packet for this long: out (settled: 5 s).
    pub closed_timeout: Duration,
    /// A room that nobody enters ends after this.
    pub empty_timeout: Duration,
    /// A room that everybody left ends after this. Zero: with its last member, as rooms of calls do.
    pub departure_timeout: Duration,
    /// So many people may be in; 0: any number.
    pub max_participants: u32,
    /// Opaque to the room.
    pub metadata: String,
}

impl RoomConfig {
    /// With the settled times.
    #[must_use]
    pub fn new(name: String, seed: u64, unix_ms: i64) -> Self {
        Self {
            name,
            seed,
            unix_ms,
            member_timeout: Duration::from_secs(90),
            closed_timeout: Duration::from_secs(5),
            empty_timeout: Duration::from_secs(300),
            departure_timeout: Duration::ZERO,
            max_participants: 0,
            metadata: String::new(),
        }
    }
}

/// What the room wants done, in order.
#[derive(Clone, Debug)]
pub enum Output {
    /// Send a signal message.
    Signal {
        /// To whom.
        to: MemberId,
        /// What.
        message: Box<Message>,
    },
    /// The member is out: close its signal socket after what was queued, and its connections.
    Removed {
        /// Who.
        member: MemberId,
    },
    /// Start forwarding a track into a slot. Write nothing before the subscriber's connection is up.
    Bind {
        /// What.
        track: TrackId,
        /// To whom.
        member: MemberId,
        /// Where.
        slot: Slot,
        /// How.
        settings: Settings,
    },
    /// Change how a bound track is forwarded.
    Adjust {
        /// What.
        track: TrackId,
        /// To whom.
        member: MemberId,
        /// How.
        settings: Settings,
    },
    /// Stop forwarding a track to a member.
    Unbind {
        /// What.
        track: TrackId,
        /// To whom.
        member: MemberId,
    },
    /// A track is gone, with all its bindings.
    TrackEnded {
        /// Which.
        track: TrackId,
    },
    /// Ask the publisher for a keyframe.
    RequestKeyframe {
        /// Of what.
        track: TrackId,
    },
    /// Two connections: offer a section for this track, then call [`Room::handle_section_added`].
    AddSection {
        /// To whom.
        member: MemberId,
        /// What to carry.
        delivery: Delivery,
        /// Audio or video.
        kind: Kind,
    },
    /// Two connections: make this section inactive.
    RemoveSection {
        /// Whose.
        member: MemberId,
        /// Which.
        slot: Slot,
    },
    /// Send a packet on the data channel.
    Data {
        /// To whom, never empty.
        to: Vec<MemberId>,
        /// On the reliable or on the lossy channel.
        reliable: bool,
        /// An encoded `DataPacket`.
        packet: Vec<u8>,
    },
    /// What the member may and is called has changed: its token is to be renewed by this.
    GrantsChanged {
        /// Who.
        member: MemberId,
        /// As of now; blocks are not part of it.
        grants: Box<Joining>,
    },
    /// For whoever watches the room from outside.
    Happened(Happening),
}

/// The brain of one room.
///
/// ```text
///   Waiting ── somebody enters ──▶ Used ── last member out, or deleted ──▶ Finished
///    │   ▲                          │                                        ▲
///    │   └─ last member out, where `departure_timeout` is not zero           │
///    └── nobody for `empty_timeout`, or for `departure_timeout`, or deleted ─┘
/// ```
#[derive(Clone, Debug)]
pub struct Room {
    config: RoomConfig,
    sid: String,
    phase: Phase,
    sids: ids::SidMaker,
    next_member: u32,
    next_track: u32,
    members: BTreeMap<MemberId, Member>,
    tracks: BTreeMap<TrackId, Track>,
    speakers: Speakers,
    nonces: data::Nonces,
    departed: departed::Departed,
    quality_due: Instant,
    /// How many are in or publish is not what everybody was told last.
    has_new_counts: bool,
    outputs: VecDeque<Output>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Waiting { until: Instant },
    Used,
    Finished,
}

impl Room {
    /// An empty room.
    #[must_use]
    pub fn new(config: RoomConfig, now: Instant) -> Self {
        let mut sids = ids::SidMaker::new(config.seed);
        let mut room = Self {
            sid: sids.next("RM_"),
            phase: Phase::Waiting { until: now + config.empty_timeout },
            sids,
            next_member: 0,
            next_track: 0,
            members: BTreeMap::new(),
            tracks: BTreeMap::new(),
            speakers: Speakers::default(),
            nonces: data::Nonces::default(),
            departed: departed::Departed::default(),
            quality_due: now + quality::QUALITY_INTERVAL,
            has_new_counts: false,
            outputs: VecDeque::new(),
            config,
        };
        room.happened(Happening::Started { room: Box::new(room.info()) });
        room
    }

    /// The next effect.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Nothing will happen here any more.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.phase == Phase::Finished
    }

    /// The room as LiveKit describes it.
    #[must_use]
    pub fn info(&self) -> proto::Room {
        let publishers: std::collections::BTreeSet<_> = self.tracks.values().map(|track| track.owner).collect();
        let visible = self.members.values().filter(|member| !member.is_hidden());
        let seconds = |duration: Duration| u32::try_from(duration.as_secs()).unwrap_or(u32::MAX);
        proto::Room {
            sid: self.sid.clone(),
            name: self.config.name.clone(),
            empty_timeout: seconds(self.config.empty_timeout),
            departure_timeout: seconds(self.config.departure_timeout),
            max_participants: self.config.max_participants,
            metadata: self.config.metadata.clone(),
            creation_time: self.config.unix_ms / 1_000,
            creation_time_ms: self.config.unix_ms,
            enabled_codecs: enabled_codecs(),
            num_participants: u32::try_from(visible.count()).unwrap_or(u32::MAX),
            num_publishers: u32::try_from(publishers.len()).unwrap_or(u32::MAX),
            active_recording: self.members.values().any(|member| member.records()),
            ..Default::default()
        }
    }

    /// Everybody in the room, hidden members too, as LiveKit describes them.
    #[must_use]
    pub fn participants(&self) -> Vec<proto::ParticipantInfo> {
        self.members.keys().filter_map(|id| self.member_info(*id)).collect()
    }

    /// The sid of a member.
    #[must_use]
    pub fn sid_of(&self, member: MemberId) -> Option<&str> {
        self.members.get(&member).map(|member| member.sid.as_str())
    }

    /// Who owns a track, and in which of its sections the track comes in.
    #[must_use]
    pub fn source_of(&self, track: TrackId) -> Option<(MemberId, &Slot)> {
        self.tracks.get(&track).map(|track| (track.owner, &track.slot))
    }

    fn member_info(&self, member: MemberId) -> Option<proto::ParticipantInfo> {
        let tracks = self.tracks.values().filter(|track| track.owner == member).map(|track| track.info.clone());
        Some(self.members.get(&member)?.info(tracks.collect()))
    }

    fn member_of(&self, identity: &str) -> Option<MemberId> {
        self.members.values().find(|member| member.joining.identity == identity).map(|member| member.id)
    }

    fn happened(&mut self, happening: Happening) {
        self.outputs.push_back(Output::Happened(happening));
    }

    fn signal(&mut self, to: MemberId, message: Message) {
        self.outputs.push_back(Output::Signal { to, message: Box::new(message) });
    }

    /// Tells everybody who may see `member`, except itself, how it is now.
    fn tell_others(&mut self, member: MemberId) {
        let Some(entry) = self.members.get_mut(&member) else { return };
        entry.version += 1;
        if entry.is_hidden() {
            return;
        }
        let Some(info) = self.member_info(member) else { return };
        self.broadcast(Some(member), || Message::Update(proto::ParticipantUpdate { participants: vec![info.clone()] }));
    }

    /// Tells `member` how it is now.
    fn tell_self(&mut self, member: MemberId) {
        if let Some(info) = self.member_info(member) {
            self.signal(member, Message::Update(proto::ParticipantUpdate { participants: vec![info] }));
        }
    }

    /// Tells everybody who may see it, itself included, how `member` is now.
    fn tell_all(&mut self, member: MemberId) {
        self.tell_others(member);
        self.tell_self(member);
    }

    /// Tells everybody how the room is now.
    fn tell_room(&mut self) {
        self.has_new_counts = false;
        let room = self.info();
        self.broadcast(None, || Message::RoomUpdate(proto::RoomUpdate { room: Some(room.clone()) }));
    }

    fn broadcast(&mut self, except: Option<MemberId>, message: impl Fn() -> Message) {
        let to: Vec<_> = self.members.keys().copied().filter(|id| Some(*id) != except).collect();
        for member in to {
            self.signal(member, message());
        }
    }
}

/// What may be published, the codec that everybody can decode first.
fn enabled_codecs() -> Vec<proto::Codec> {
    ["video/H264", "video/VP8", "video/VP9", "video/AV1", "audio/opus"]
        .map(|mime| proto::Codec { mime: mime.into(), ..Default::default() })
        .into()
}

fn server_info() -> proto::ServerInfo {
    proto::ServerInfo { version: WIRE_RELEASE.into(), protocol: PROTOCOL, node_id: "ahoy".into(), ..Default::default() }
}
