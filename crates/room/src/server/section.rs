//! Media sections: which of a client's sections carries which track, in both directions.

use super::ids::{Kind, MemberId, Slot, TrackId};
use super::member::{Announced, Settings, SlotEntry, SlotState, Want, Wiring};
use super::track::{self, KEYFRAME_INTERVAL, Track};
use super::{Layer, Output, Room};
use livekit_protocol as proto;
use proto::signal_response::Message;
use std::collections::BTreeMap;
use std::time::Instant;

/// One section of a client's offer.
#[derive(Clone, Debug)]
pub struct Section {
    /// Its `mid`.
    pub slot: Slot,
    /// Audio or video.
    pub kind: Kind,
    /// The client sends here: the track id of its msid.
    pub sends: Option<String>,
    /// The client receives here.
    pub receives: bool,
}

/// What the answer says of a section. Both empty: inactive.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SectionPlan {
    /// What the client publishes here.
    pub publishes: Option<Publication>,
    /// What the client receives here.
    pub delivers: Option<Delivery>,
}

/// A published track, as its section's answer needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Publication {
    /// Which.
    pub track: TrackId,
    /// The codec to put first, as the encoding name of `a=rtpmap`.
    pub codec: String,
}

/// A track for a subscriber, as its section's msid needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Which.
    pub track: TrackId,
    /// `TR_…`.
    pub track_sid: String,
    /// `PA_…` of the publisher.
    pub publisher_sid: String,
}

impl Room {
    /// A client's offer: publishes what it announced, gives free sections to waiting tracks. The plan, section by
    /// section, is to be answered before the next output is acted upon.
    pub fn handle_offer(&mut self, now: Instant, id: MemberId, sections: &[Section]) -> BTreeMap<Slot, SectionPlan> {
        let mut plans: BTreeMap<Slot, SectionPlan> = BTreeMap::new();
        let Some(member) = self.members.get_mut(&id) else { return plans };
        member.asked_sections = None;
        for section in sections {
            let publishes = self.plan_publication(id, section);
            plans.insert(section.slot.clone(), SectionPlan { publishes, delivers: None });
        }
        self.end_withdrawn(id, sections);
        if self.members.get(&id).is_some_and(|member| member.joining.wiring == Wiring::One) {
            self.sync_slots(id, sections);
            for section in sections {
                let delivers = self.plan_delivery(now, id, section);
                plans.entry(section.slot.clone()).or_default().delivers = delivers;
            }
            self.ask_sections(id);
        }
        plans
    }

    fn plan_publication(&mut self, id: MemberId, section: &Section) -> Option<Publication> {
        let cid = section.sends.as_ref()?;
        let present = self.tracks.values().find(|track| track.owner == id && track.slot == section.slot);
        if let Some(track) = present {
            let codec = track.info.mime_type.rsplit('/').next().unwrap_or_default().to_owned();
            return Some(Publication { track: track.id, codec });
        }
        let member = self.members.get_mut(&id)?;
        let named = |announced: &Announced| {
            let request = &announced.request;
            let fits = track::kind_of(request).is_none_or(|kind| kind == section.kind);
            fits && (request.cid == *cid || request.simulcast_codecs.iter().any(|codec| codec.cid == *cid))
        };
        let index = member.announced.iter().position(named)?;
        let Announced { track, request, sid } = member.announced.remove(index);
        let mut info = track::describe(&request, sid);
        info.mid.clone_from(&section.slot.0);
        let silenced = member.blocked.covers(section.kind);
        info.muted |= silenced;
        let codec = track::codec_name(&request);
        let entry = Track {
            id: track,
            owner: id,
            kind: section.kind,
            slot: section.slot.clone(),
            info,
            muted_by_owner: request.muted,
            silenced,
            had_subscriber: false,
            keyframe_asked_at: None,
            keyframe_due: None,
        };
        self.tracks.insert(track, entry);
        self.has_new_counts = true;
        self.tell_others(id);
        self.tell_published(track);
        let everybody: Vec<MemberId> = self.members.keys().copied().filter(|other| *other != id).collect();
        for other in everybody {
            self.want_automatically(other, track);
        }
        Some(Publication { track, codec })
    }

    /// Unpublishing is an offer in which the section sends no more.
    fn end_withdrawn(&mut self, id: MemberId, sections: &[Section]) {
        let sends = |slot: &Slot| sections.iter().any(|section| section.slot == *slot && section.sends.is_some());
        let withdrawn: Vec<TrackId> = self
            .tracks
            .values()
            .filter(|track| track.owner == id && !sends(&track.slot))
            .map(|track| track.id)
            .collect();
        if withdrawn.is_empty() {
            return;
        }
        let ended: Vec<proto::TrackInfo> = withdrawn.into_iter().filter_map(|track| self.end_track(track)).collect();
        self.tell_others(id);
        for track in ended {
            self.tell_unpublished(id, track);
        }
        self.ask_sections_of_all();
    }

    /// Takes over which sections there are: new ones are free, those that were answered inactive become free after
    /// this answer, and what a withdrawn one carried waits again.
    fn sync_slots(&mut self, id: MemberId, sections: &[Section]) {
        let Some(member) = self.members.get_mut(&id) else { return };
        for section in sections.iter().filter(|section| section.receives) {
            let fresh = SlotEntry { kind: section.kind, state: SlotState::Free };
            member.slots.entry(section.slot.clone()).or_insert(fresh);
        }
        let receives = |slot: &Slot| sections.iter().any(|section| section.slot == *slot && section.receives);
        let gone: Vec<Slot> = member.slots.keys().filter(|slot| !receives(slot)).cloned().collect();
        for slot in gone {
            let Some(entry) = member.slots.remove(&slot) else { continue };
            if let SlotState::Bound(track) = entry.state {
                if let Some(want) = member.wants.get_mut(&track) {
                    want.slot = None;
                }
                self.outputs.push_back(Output::Unbind { track, member: id });
            }
        }
    }

    fn plan_delivery(&mut self, now: Instant, id: MemberId, section: &Section) -> Option<Delivery> {
        let member = self.members.get_mut(&id)?;
        let entry = member.slots.get_mut(&section.slot)?;
        match entry.state {
            SlotState::Bound(track) => self.delivery(track),
            SlotState::Draining => {
                entry.state = SlotState::Free;
                None
            }
            SlotState::Free => {
                let tracks = &self.tracks;
                let fits = |track: &TrackId| tracks.get(track).is_some_and(|track| track.kind == section.kind);
                let (track, want) = member.wants.iter_mut().find(|(track, want)| want.slot.is_none() && fits(track))?;
                let track = *track;
                entry.state = SlotState::Bound(track);
                want.slot = Some(section.slot.clone());
                self.bind(now, id, track);
                self.delivery(track)
            }
        }
    }

    fn delivery(&self, track: TrackId) -> Option<Delivery> {
        let entry = self.tracks.get(&track)?;
        let publisher_sid = self.members.get(&entry.owner)?.sid.clone();
        Some(Delivery { track, track_sid: entry.info.sid.clone(), publisher_sid })
    }

    fn bind(&mut self, now: Instant, id: MemberId, track: TrackId) {
        let Some(member) = self.members.get(&id) else { return };
        let Some(want) = member.wants.get(&track) else { return };
        let Some(slot) = want.slot.clone() else { return };
        let settings = self.effective(track, want.settings);
        let flows = member.is_connected && !settings.paused;
        self.outputs.push_back(Output::Bind { track, member: id, slot, settings });
        if flows {
            self.request_keyframe(now, track);
        }
        self.tell_first_subscriber(track);
    }

    /// Publishers may wait for somebody to listen before they begin.
    fn tell_first_subscriber(&mut self, track: TrackId) {
        let Some(track) = self.tracks.get_mut(&track).filter(|track| !track.had_subscriber) else { return };
        track.had_subscriber = true;
        let (owner, track_sid) = (track.owner, track.info.sid.clone());
        self.signal(owner, Message::TrackSubscribed(proto::TrackSubscribed { track_sid }));
    }

    /// Two connections: the section that was asked for is negotiated.
    pub fn handle_section_added(&mut self, now: Instant, id: MemberId, track: TrackId, slot: Slot) {
        let Some(member) = self.members.get_mut(&id) else { return };
        match member.wants.get_mut(&track).filter(|want| want.slot.is_none()) {
            Some(want) => {
                want.slot = Some(slot);
                self.bind(now, id, track);
            }
            // The wish was taken back, or back and forth, while the offer was on its way.
            None => self.outputs.push_back(Output::RemoveSection { member: id, slot }),
        }
    }

    /// Everybody's sections, after a track has ended.
    pub(super) fn ask_sections_of_all(&mut self) {
        let everybody: Vec<MemberId> = self.members.keys().copied().collect();
        for member in everybody {
            self.ask_sections(member);
        }
    }

    /// One connection: how many sections the client has to add, if its tracks have none or its sections are to be
    /// answered anew. The client offers again.
    pub(super) fn ask_sections(&mut self, id: MemberId) {
        let Some(member) = self.members.get_mut(&id) else { return };
        if member.joining.wiring == Wiring::Two {
            return;
        }
        let is_draining = member.slots.values().any(|slot| slot.state == SlotState::Draining);
        let waiting: Vec<TrackId> =
            member.wants.iter().filter(|(_, want)| want.slot.is_none()).map(|(track, _)| *track).collect();
        if waiting.is_empty() && !is_draining {
            return;
        }
        let shortfall = |kind: Kind| {
            let needed =
                waiting.iter().filter(|id| self.tracks.get(id).is_some_and(|track| track.kind == kind)).count();
            let usable = |slot: &&SlotEntry| slot.kind == kind && !matches!(slot.state, SlotState::Bound(_));
            let there = member.slots.values().filter(usable).count();
            u32::try_from(needed.saturating_sub(there)).unwrap_or(u32::MAX)
        };
        let (audios, videos) = (shortfall(Kind::Audio), shortfall(Kind::Video));
        let (asked_audios, asked_videos) = member.asked_sections.unwrap_or_default();
        if member.asked_sections.is_some() && audios <= asked_audios && videos <= asked_videos {
            return;
        }
        let requirement = proto::MediaSectionsRequirement {
            num_audios: audios.saturating_sub(asked_audios),
            num_videos: videos.saturating_sub(asked_videos),
        };
        member.asked_sections = Some((audios.max(asked_audios), videos.max(asked_videos)));
        self.signal(id, Message::MediaSectionsRequirement(requirement));
    }

    /// Subscribes by the client's standing wish to receive everything.
    pub(super) fn want_automatically(&mut self, id: MemberId, track: TrackId) {
        if self.members.get(&id).is_some_and(|member| member.joining.auto_subscribe) {
            self.want(id, track);
        }
    }

    /// Subscribes, where the permission and the track allow.
    pub(super) fn want(&mut self, id: MemberId, track: TrackId) {
        let Some(delivery) = self.delivery(track) else { return };
        let Some(kind) = self.tracks.get(&track).filter(|track| track.owner != id).map(|track| track.kind) else {
            return;
        };
        if self.members.get(&id).is_none_or(|member| member.wants.contains_key(&track)) || !self.may_receive(id, track)
        {
            return;
        }
        let Some(member) = self.members.get_mut(&id) else { return };
        let settings = Settings { paused: false, most: Layer(2) };
        member.wants.insert(track, Want { slot: None, settings });
        match member.joining.wiring {
            Wiring::One => self.ask_sections(id),
            Wiring::Two => self.outputs.push_back(Output::AddSection { member: id, delivery, kind }),
        }
    }

    /// Unsubscribes.
    pub(super) fn unwant(&mut self, id: MemberId, track: TrackId) {
        let Some(member) = self.members.get_mut(&id) else { return };
        let Some(slot) = member.wants.remove(&track).and_then(|want| want.slot) else { return };
        self.outputs.push_back(Output::Unbind { track, member: id });
        match member.joining.wiring {
            Wiring::One => {
                if let Some(entry) = member.slots.get_mut(&slot) {
                    entry.state = SlotState::Draining;
                }
            }
            Wiring::Two => self.outputs.push_back(Output::RemoveSection { member: id, slot }),
        }
    }

    /// A track is over: whoever received it has a section to give back.
    pub(super) fn end_track(&mut self, track: TrackId) -> Option<proto::TrackInfo> {
        let everybody: Vec<MemberId> = self.members.keys().copied().collect();
        for member in everybody {
            self.unwant(member, track);
        }
        let ended = self.tracks.remove(&track)?;
        self.has_new_counts = true;
        self.outputs.push_back(Output::TrackEnded { track });
        Some(ended.info)
    }

    /// A subscriber's decoder asks for a keyframe of what comes in this slot.
    pub fn handle_keyframe_request(&mut self, now: Instant, id: MemberId, slot: &Slot) {
        let Some(member) = self.members.get(&id) else { return };
        let wanted = member.wants.iter().find(|(_, want)| want.slot.as_ref() == Some(slot));
        if let Some(track) = wanted.map(|(track, _)| *track) {
            self.request_keyframe(now, track);
        }
    }

    /// Asks the publisher, at most once in [`KEYFRAME_INTERVAL`]; a request too early is made later, not dropped.
    pub fn request_keyframe(&mut self, now: Instant, track: TrackId) {
        let Some(entry) = self.tracks.get_mut(&track).filter(|entry| entry.kind == Kind::Video) else { return };
        match entry.keyframe_asked_at.map(|asked| asked + KEYFRAME_INTERVAL) {
            Some(next) if now < next => entry.keyframe_due = Some(next),
            Some(_) | None => {
                entry.keyframe_asked_at = Some(now);
                entry.keyframe_due = None;
                self.outputs.push_back(Output::RequestKeyframe { track });
            }
        }
    }
}
