//! The room in virtual time: a world of members who obey the wire, and everything they are told.
// An instant to count from: any will do; and of the many messages a test looks for one.
#![allow(clippy::disallowed_methods, clippy::wildcard_enum_match_arm)]

mod acts;
mod block;
mod life;
mod limits;
mod media;
mod outside;
mod races;
mod random;
mod rights;

use super::*;
use proto::DisconnectReason;
use proto::signal_request::Message as Asked;
use std::collections::BTreeSet;

/// A room, its virtual clock, and what came out of it.
struct World {
    room: Room,
    now: Instant,
    told: BTreeMap<MemberId, Vec<Message>>,
    /// Which track is bound where.
    bound: BTreeMap<(TrackId, MemberId), Slot>,
    /// How it is forwarded there.
    settings: BTreeMap<(TrackId, MemberId), Settings>,
    removed: BTreeSet<MemberId>,
    happened: Vec<Happening>,
    /// Everything that came out, in order.
    log: Vec<Output>,
    /// Everybody who ever entered, with their sids.
    entered: Vec<(MemberId, String)>,
    /// Whose token is to be renewed, and to say what.
    granted: Vec<(MemberId, Joining)>,
    keyframes: Vec<TrackId>,
    data: Vec<(Vec<MemberId>, bool, Vec<u8>)>,
    sections: Vec<(MemberId, Delivery)>,
    /// The sections of each member's single connection, as its offers list them.
    offered: BTreeMap<MemberId, Vec<Section>>,
}

fn joining(identity: &str, wiring: Wiring) -> Joining {
    Joining {
        identity: identity.into(),
        name: identity.to_uppercase(),
        metadata: String::new(),
        attributes: BTreeMap::new(),
        permission: proto::ParticipantPermission {
            can_subscribe: true,
            can_publish: true,
            can_publish_data: true,
            ..Default::default()
        },
        privileges: protocol::Privileges::ALL,
        kind: proto::participant_info::Kind::Standard,
        wiring,
        auto_subscribe: true,
        client_protocol: 17,
        unix_ms: 1_700_000_000_000,
    }
}

impl World {
    fn new(seed: u64) -> Self {
        let now = Instant::now();
        Self {
            room: Room::new(RoomConfig::new("n:1".into(), seed, 1_700_000_000_000), now),
            now,
            told: BTreeMap::new(),
            bound: BTreeMap::new(),
            settings: BTreeMap::new(),
            removed: BTreeSet::new(),
            happened: Vec::new(),
            log: Vec::new(),
            entered: Vec::new(),
            granted: Vec::new(),
            keyframes: Vec::new(),
            data: Vec::new(),
            sections: Vec::new(),
            offered: BTreeMap::new(),
        }
    }

    fn join(&mut self, identity: &str) -> MemberId {
        self.join_as(joining(identity, Wiring::One))
    }

    fn join_as(&mut self, joining: Joining) -> MemberId {
        let member = self.try_join(joining).expect("the room is open");
        self.drain();
        self.room.handle_connected(self.now, member);
        self.drain();
        member
    }

    fn try_join(&mut self, joining: Joining) -> Result<MemberId, JoinRefused> {
        let member = self.room.handle_join(self.now, joining)?;
        self.entered.push((member, self.room.sid_of(member).expect("in").to_owned()));
        Ok(member)
    }

    fn ask(&mut self, member: MemberId, asked: Asked) {
        self.room.handle_request(self.now, 0, member, asked);
        self.drain();
    }

    /// Announces a track and offers a section that sends it.
    fn publish(&mut self, member: MemberId, cid: &str, kind: Kind) {
        let (r#type, source) = match kind {
            Kind::Audio => (proto::TrackType::Audio, proto::TrackSource::Microphone),
            Kind::Video => (proto::TrackType::Video, proto::TrackSource::Camera),
        };
        let request = proto::AddTrackRequest {
            cid: cid.into(),
            name: cid.into(),
            r#type: r#type.into(),
            source: source.into(),
            ..Default::default()
        };
        self.ask(member, Asked::AddTrack(request));
        let sections = self.offered.entry(member).or_default();
        let slot = Slot(sections.len().to_string());
        sections.push(Section { slot, kind, sends: Some(cid.into()), receives: false });
        self.offer(member);
    }

    /// Offers what the member has; true to LiveKit's clients, sections are never taken back.
    fn offer(&mut self, member: MemberId) -> BTreeMap<Slot, SectionPlan> {
        let sections = self.offered.entry(member).or_default().clone();
        let plans = self.room.handle_offer(self.now, member, &sections);
        self.drain();
        plans
    }

    /// Obeys every requirement for sections that has not been obeyed, until the room asks no more.
    fn obey(&mut self) {
        loop {
            let mut asked = Vec::new();
            for (member, messages) in &mut self.told {
                messages.retain(|message| match message {
                    Message::MediaSectionsRequirement(requirement) => {
                        asked.push((*member, *requirement));
                        false
                    }
                    _ => true,
                });
            }
            asked.retain(|(member, _)| !self.removed.contains(member));
            if asked.is_empty() {
                return;
            }
            for (member, requirement) in asked {
                let sections = self.offered.entry(member).or_default();
                for (kind, count) in [(Kind::Audio, requirement.num_audios), (Kind::Video, requirement.num_videos)] {
                    for _ in 0..count {
                        let slot = Slot(sections.len().to_string());
                        sections.push(Section { slot, kind, sends: None, receives: true });
                    }
                }
                self.offer(member);
            }
        }
    }

    /// Everybody obeys, on one connection and on two, until nothing is asked any more.
    fn settle_sections(&mut self) {
        for _ in 0..3 {
            self.obey();
            for (member, delivery) in std::mem::take(&mut self.sections) {
                self.room.handle_section_added(self.now, member, delivery.track, Slot(delivery.track_sid));
                self.drain();
            }
        }
    }

    fn pass(&mut self, duration: Duration) {
        let until = self.now + duration;
        while let Some((at, _)) = self.room.poll_timeout().filter(|(at, _)| *at <= until) {
            self.now = self.now.max(at);
            self.room.handle_timeout(self.now);
            self.drain();
        }
        self.now = until;
    }

    fn drain(&mut self) {
        while let Some(output) = self.room.poll_output() {
            self.log.push(output.clone());
            match output {
                Output::Signal { to, message } => {
                    assert!(!self.removed.contains(&to), "told after leaving: {message:?}");
                    self.told.entry(to).or_default().push(*message);
                }
                Output::Removed { member } => {
                    self.removed.insert(member);
                }
                Output::Bind { track, member, slot, settings } => {
                    let taken = self.bound.iter().any(|((_, who), place)| *who == member && *place == slot);
                    assert!(!taken, "a section carries two tracks");
                    assert!(self.bound.insert((track, member), slot).is_none(), "bound twice");
                    self.settings.insert((track, member), settings);
                }
                Output::Unbind { track, member } => {
                    assert!(self.bound.remove(&(track, member)).is_some(), "unbound without a binding");
                }
                Output::TrackEnded { track } => {
                    assert!(!self.bound.keys().any(|(bound, _)| *bound == track), "ended while bound");
                }
                Output::Adjust { track, member, settings } => {
                    assert!(self.bound.contains_key(&(track, member)));
                    self.settings.insert((track, member), settings);
                }
                Output::RequestKeyframe { track } => self.keyframes.push(track),
                Output::AddSection { member, delivery, .. } => self.sections.push((member, delivery)),
                Output::RemoveSection { .. } => {}
                Output::Data { to, reliable, packet } => self.data.push((to, reliable, packet)),
                Output::GrantsChanged { member, grants } => self.granted.push((member, *grants)),
                Output::Happened(happening) => self.happened.push(happening),
            }
        }
    }

    fn told(&self, member: MemberId) -> &[Message] {
        self.told.get(&member).map(Vec::as_slice).unwrap_or_default()
    }

    /// What the outside was told, a word or two for each.
    fn history(&self) -> Vec<String> {
        let muted = |track: &proto::TrackInfo| if track.muted { "muted" } else { "unmuted" };
        self.happened
            .iter()
            .map(|happening| match happening {
                Happening::Started { room } => format!("started {}", room.name),
                Happening::Joined { who } => format!("joined {}", who.identity),
                Happening::Left { who, reason } => format!("left {} {}", who.identity, reason.as_str_name()),
                Happening::Published { who, track } => format!("published {} {}", who.identity, track.name),
                Happening::Unpublished { who, track } => format!("unpublished {} {}", who.identity, track.name),
                Happening::Muted { who, track } => format!("{} {} {}", muted(track), who.identity, track.name),
                Happening::Permitted { who, can_publish } => format!("{} may publish: {can_publish}", who.identity),
                Happening::Finished { room } => format!("finished {}", room.name),
            })
            .collect()
    }

    fn forget(&mut self) {
        self.told.clear();
        self.happened.clear();
        self.keyframes.clear();
    }

    /// What `member` was last told about `identity`.
    fn view(&self, member: MemberId, identity: &str) -> Option<proto::ParticipantInfo> {
        let updates = self.told(member).iter().rev().filter_map(|message| match message {
            Message::Update(update) => Some(&update.participants),
            _ => None,
        });
        updates.flatten().find(|info| info.identity == identity).cloned()
    }

    /// Whether anything of `publisher`'s tracks of this kind flows to `subscriber`.
    fn flows(&self, publisher: MemberId, subscriber: MemberId, kind: Kind) -> bool {
        let tracks = self.room.tracks.values().filter(|track| track.owner == publisher && track.kind == kind);
        tracks.map(|track| (track.id, subscriber)).any(|key| {
            self.bound.contains_key(&key) && self.settings.get(&key).is_some_and(|settings| !settings.paused)
        })
    }

    fn leave_reason(&self, member: MemberId) -> Option<DisconnectReason> {
        self.told(member).iter().find_map(|message| match message {
            Message::Leave(leave) => Some(leave.reason()),
            _ => None,
        })
    }
}
