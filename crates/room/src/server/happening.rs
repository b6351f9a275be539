//! What the outside is told of a room: enough to build a webhook from each.

use super::Room;
use super::ids::{MemberId, TrackId};
use livekit_protocol as proto;
use proto::DisconnectReason;

/// What the outside is told of a room, in order. Descriptions are as of after the event, as LiveKit writes them.
///
/// ```text
///   Started ── (Joined ── (Published ── Muted* ── Unpublished?)* ── Left)* ── Finished
/// ```
///
/// Between Joined and Left there may be any number of Permitted.
#[derive(Clone, Debug, PartialEq)]
pub enum Happening {
    /// The room exists. Comes first.
    Started {
        /// How it begins.
        room: Box<proto::Room>,
    },
    /// Somebody came in.
    Joined {
        /// Who.
        who: Box<proto::ParticipantInfo>,
    },
    /// Somebody is out.
    Left {
        /// Who, with the tracks that ended with the membership: they get no [`Happening::Unpublished`] of their own.
        who: Box<proto::ParticipantInfo>,
        /// Why.
        reason: DisconnectReason,
    },
    /// Media of a track is agreed upon.
    Published {
        /// By whom.
        who: Box<proto::ParticipantInfo>,
        /// What.
        track: Box<proto::TrackInfo>,
    },
    /// A track ended while its publisher stays.
    Unpublished {
        /// By whom.
        who: Box<proto::ParticipantInfo>,
        /// What.
        track: Box<proto::TrackInfo>,
    },
    /// A track was muted or unmuted, by its owner or by an administrator: `track.muted` says which.
    Muted {
        /// Whose.
        who: Box<proto::ParticipantInfo>,
        /// What.
        track: Box<proto::TrackInfo>,
    },
    /// Somebody may publish from now on, or no longer. A block takes no permission away.
    Permitted {
        /// Who.
        who: Box<proto::ParticipantInfo>,
        /// Which.
        can_publish: bool,
    },
    /// The room is over; it gives no further output.
    Finished {
        /// How it ended.
        room: Box<proto::Room>,
    },
}

impl Room {
    pub(super) fn tell_published(&mut self, track: TrackId) {
        if let Some((who, track)) = self.describe(track) {
            self.happened(Happening::Published { who, track });
        }
    }

    pub(super) fn tell_muted(&mut self, track: TrackId) {
        if let Some((who, track)) = self.describe(track) {
            self.happened(Happening::Muted { who, track });
        }
    }

    /// `track` is gone already; `owner` is still here.
    pub(super) fn tell_unpublished(&mut self, owner: MemberId, track: proto::TrackInfo) {
        if let Some(who) = self.member_info(owner).map(Box::new) {
            self.happened(Happening::Unpublished { who, track: Box::new(track) });
        }
    }

    pub(super) fn tell_permitted(&mut self, member: MemberId, can_publish: bool) {
        if let Some(who) = self.member_info(member).map(Box::new) {
            self.happened(Happening::Permitted { who, can_publish });
        }
    }

    fn describe(&self, track: TrackId) -> Option<(Box<proto::ParticipantInfo>, Box<proto::TrackInfo>)> {
        let track = self.tracks.get(&track)?;
        Some((Box::new(self.member_info(track.owner)?), Box::new(track.info.clone())))
    }
}
