//! Blocking: an administrator stops somebody's voice or picture for the rest of the membership, or until freed.
//!
//! Blocked tracks stay published and look muted to the others; nothing of them is forwarded. What the owner muted itself
//! stays muted when the block ends. TRTC's name for it is SetUserBlocked.

use super::ids::{Kind, MemberId, TrackId};
use super::{Output, Room, Settings};
use livekit_protocol as proto;
use proto::TrackSource;
use std::time::Instant;

/// What of a member's media is blocked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Blocked {
    /// Every sound: microphone, and what a shared screen plays.
    pub voice: bool,
    /// Every picture: camera and shared screen.
    pub picture: bool,
}

impl Blocked {
    pub(super) fn covers(self, kind: Kind) -> bool {
        match kind {
            Kind::Audio => self.voice,
            Kind::Video => self.picture,
        }
    }

    /// What of a permission is left, as the member's client is told it.
    pub(super) fn narrow(self, permission: &proto::ParticipantPermission) -> proto::ParticipantPermission {
        let mut narrowed = permission.clone();
        if self == Self::default() {
            return narrowed;
        }
        let named =
            [TrackSource::Camera, TrackSource::Microphone, TrackSource::ScreenShare, TrackSource::ScreenShareAudio];
        let free = |source: &i32| match TrackSource::try_from(*source) {
            Ok(TrackSource::Camera | TrackSource::ScreenShare) => !self.picture,
            Ok(TrackSource::Microphone | TrackSource::ScreenShareAudio) => !self.voice,
            Ok(TrackSource::Unknown) | Err(_) => false,
        };
        if narrowed.can_publish_sources.is_empty() {
            narrowed.can_publish_sources = named.map(i32::from).into();
        }
        narrowed.can_publish_sources.retain(free);
        narrowed.can_publish &= !narrowed.can_publish_sources.is_empty();
        narrowed
    }
}

impl Room {
    /// An administrator blocks or frees somebody's voice and picture: what is named here counts, whatever was before.
    /// False if nobody here has this identity.
    pub fn handle_block(&mut self, now: Instant, identity: &str, blocked: Blocked) -> bool {
        let Some(id) = self.member_of(identity) else { return false };
        let Some(member) = self.members.get_mut(&id).filter(|member| member.blocked != blocked) else { return true };
        member.blocked = blocked;
        let mut changed = Vec::new();
        for track in self.tracks.values_mut().filter(|track| track.owner == id) {
            if track.silenced != blocked.covers(track.kind) {
                track.silenced = blocked.covers(track.kind);
                changed.push(track.id);
            }
        }
        let muted: Vec<TrackId> = changed.iter().copied().filter(|track| self.show_mute(*track)).collect();
        self.tell_all(id);
        for track in muted {
            self.tell_muted(track);
        }
        for track in changed {
            self.readjust(now, track);
        }
        true
    }

    /// Brings the mute that others see in line with the owner's and with blocks. True if that changed it.
    pub(super) fn show_mute(&mut self, track: TrackId) -> bool {
        let Some(track) = self.tracks.get_mut(&track) else { return false };
        let muted = track.muted_by_owner || track.silenced;
        std::mem::replace(&mut track.info.muted, muted) != muted
    }

    /// Passes a changed block on to everybody who receives the track.
    fn readjust(&mut self, now: Instant, track: TrackId) {
        let receives = |(id, member): (&MemberId, &super::member::Member)| {
            let want = member.wants.get(&track).filter(|want| want.slot.is_some())?;
            Some((*id, want.settings))
        };
        let receivers: Vec<(MemberId, Settings)> = self.members.iter().filter_map(receives).collect();
        let mut flows = false;
        for (member, settings) in receivers {
            let settings = self.effective(track, settings);
            flows |= !settings.paused;
            self.outputs.push_back(Output::Adjust { track, member, settings });
        }
        if flows {
            self.request_keyframe(now, track);
        }
    }

    /// A subscriber's settings, unless the track is blocked.
    pub(super) fn effective(&self, track: TrackId, settings: Settings) -> Settings {
        let silenced = self.tracks.get(&track).is_some_and(|track| track.silenced);
        Settings { paused: settings.paused || silenced, ..settings }
    }
}
