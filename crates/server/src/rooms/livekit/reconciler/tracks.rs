//! What members publish. Webhooks tell of tracks that begin and end; that one is muted is seen in listings alone.

use super::super::super::RoomEvent;
use super::{MISSING_GRACE, Membership, Reconciler};
use livekit_protocol as proto;
use proto::{ParticipantInfo, TrackInfo};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

#[derive(Debug)]
pub(super) struct Track {
    info: Arc<TrackInfo>,
    /// When it was first missing from a listing.
    missed: Option<Duration>,
}

/// Descriptions of somebody's tracks.
pub(super) fn infos(tracks: &BTreeMap<String, Track>) -> Vec<TrackInfo> {
    tracks.values().map(|track| (*track.info).clone()).collect()
}

/// Somebody with their tracks of now.
fn described(member: &Membership) -> Arc<ParticipantInfo> {
    Arc::new(ParticipantInfo { tracks: infos(&member.tracks), ..(*member.who).clone() })
}

impl Reconciler {
    /// The membership that a webhook about a track means, if it is the one that is known.
    fn owner(&mut self, room: &proto::Room, who: &ParticipantInfo) -> Option<&mut Membership> {
        let known = self.rooms.get_mut(&room.name).filter(|known| known.info.sid == room.sid)?;
        known.members.get_mut(&who.identity).filter(|member| member.who.sid == who.sid)
    }

    pub(super) fn handle_published(
        &mut self,
        now: Duration,
        room: &proto::Room,
        who: &ParticipantInfo,
        track: TrackInfo,
    ) {
        // Of somebody who is not known yet: whatever tells of them tells of their tracks.
        if self.owner(room, who).is_some() {
            self.publish(now, &room.name, &who.identity, track);
        }
    }

    pub(super) fn handle_unpublished(
        &mut self,
        now: Duration,
        room: &proto::Room,
        who: &ParticipantInfo,
        track: &TrackInfo,
    ) {
        if self.owner(room, who).is_some() {
            self.unpublish(now, &room.name, &who.identity, &track.sid);
        }
        self.bury(now, &track.sid);
    }

    /// Somebody's track is there. Known ones stay as they are.
    pub(super) fn publish(&mut self, now: Duration, name: &str, identity: &str, track: TrackInfo) {
        if self.is_gone(now, &track.sid) {
            return;
        }
        let Some(member) = self.rooms.get_mut(name).and_then(|room| room.members.get_mut(identity)) else { return };
        if member.tracks.contains_key(&track.sid) {
            return;
        }
        let info = Arc::new(track);
        let track = Track { info: Arc::clone(&info), missed: None };
        member.tracks.insert(info.sid.clone(), track);
        let who = described(member);
        self.events.push_back(RoomEvent::Published { room: name.to_owned(), who, track: info });
    }

    fn unpublish(&mut self, now: Duration, name: &str, identity: &str, sid: &str) {
        let Some(member) = self.rooms.get_mut(name).and_then(|room| room.members.get_mut(identity)) else { return };
        let Some(track) = member.tracks.remove(sid) else { return };
        let who = described(member);
        self.events.push_back(RoomEvent::Unpublished { room: name.to_owned(), who, track: track.info });
        self.bury(now, sid);
    }

    /// A newer description of a member, who may publish more, or be muted. Answers may overtake each other: the version
    /// tells.
    pub(super) fn refresh(&mut self, now: Duration, name: &str, mut seen: ParticipantInfo) {
        let Some(member) = self.rooms.get_mut(name).and_then(|room| room.members.get_mut(&seen.identity)) else {
            return;
        };
        if seen.version < member.who.version {
            return;
        }
        let (tracks, identity) = (std::mem::take(&mut seen.tracks), seen.identity.clone());
        member.who = Arc::new(seen);
        for seen in tracks {
            let member = self.rooms.get_mut(name).and_then(|room| room.members.get_mut(&identity));
            let Some((member, sid)) = member.map(|member| (member, seen.sid.clone())) else { return };
            match member.tracks.get_mut(&sid) {
                Some(track) if track.info.muted != seen.muted => {
                    track.info = Arc::new(seen);
                    let track = Arc::clone(&track.info);
                    let who = described(member);
                    self.events.push_back(RoomEvent::Muted { room: name.to_owned(), who, track });
                }
                Some(_) => {}
                None => self.publish(now, name, &identity, seen),
            }
        }
    }

    /// Tracks that are missing from a listing are over when they are still missing later.
    pub(super) fn miss_tracks(&mut self, now: Duration, name: &str, identity: &str, listed: &BTreeSet<String>) {
        let Some(member) = self.rooms.get_mut(name).and_then(|room| room.members.get_mut(identity)) else { return };
        let (mut over, mut missing) = (Vec::new(), false);
        for (sid, track) in &mut member.tracks {
            if listed.contains(sid) {
                track.missed = None;
            } else {
                let since = *track.missed.get_or_insert(now);
                missing = true;
                if now >= since + MISSING_GRACE {
                    over.push(sid.clone());
                }
            }
        }
        if missing {
            self.list_at(now + MISSING_GRACE);
        }
        for sid in over {
            self.unpublish(now, name, identity, &sid);
        }
    }
}
