//! What a member may send and receive, kind by kind: LiveKit's permission, and what a key for the room says beyond it.

use super::Room;
use super::ids::{Kind, MemberId, TrackId};
use super::permission::may_publish;
use super::track::kind_of;
use livekit_protocol as proto;
use proto::signal_response::Message;
use proto::{TrackSource, TrackType};
use protocol::{Code, Privileges};

/// Whether a permission covers an announced track. Where sources are named, a track has to be what its source says.
pub(super) fn may_send(permission: &proto::ParticipantPermission, request: &proto::AddTrackRequest) -> bool {
    may_publish(permission, request.source) && (permission.can_publish_sources.is_empty() || is_honest(request))
}

fn is_honest(request: &proto::AddTrackRequest) -> bool {
    let kind = match request.source() {
        TrackSource::Microphone | TrackSource::ScreenShareAudio => Kind::Audio,
        TrackSource::Camera | TrackSource::ScreenShare => Kind::Video,
        TrackSource::Unknown => return true,
    };
    kind_of(request) == Some(kind)
}

/// The documented code for a track that may not be sent.
pub(super) fn refusal_to_send(request: &proto::AddTrackRequest) -> Code {
    match (request.source(), request.r#type()) {
        (TrackSource::ScreenShare | TrackSource::ScreenShareAudio, _) => Code::NoScreenPrivilege,
        (TrackSource::Camera, _) | (TrackSource::Unknown, TrackType::Video) => Code::NoVideoPrivilege,
        (TrackSource::Microphone, _) | (TrackSource::Unknown, TrackType::Audio | TrackType::Data) => Code::NoPrivilege,
    }
}

/// What it takes to receive a track.
fn to_receive(track: &proto::TrackInfo) -> Privileges {
    match (track.source(), track.r#type()) {
        (TrackSource::ScreenShare | TrackSource::ScreenShareAudio, _) => Privileges::RECEIVE_SCREEN,
        (TrackSource::Camera, _) | (TrackSource::Unknown, TrackType::Video) => Privileges::RECEIVE_VIDEO,
        (TrackSource::Microphone, _) | (TrackSource::Unknown, TrackType::Audio | TrackType::Data) => {
            Privileges::RECEIVE_AUDIO
        }
    }
}

impl Room {
    /// Whether a member may receive a track. One whose key withholds this kind is told so, in LiveKit's words for a
    /// publisher that withholds it.
    pub(super) fn may_receive(&mut self, id: MemberId, track: TrackId) -> bool {
        let Some(member) = self.members.get(&id).filter(|member| member.joining.permission.can_subscribe) else {
            return false;
        };
        let Some(entry) = self.tracks.get(&track) else { return false };
        if member.joining.privileges.allow(to_receive(&entry.info)) {
            return true;
        }
        let participant_sid = self.sid_of(entry.owner).unwrap_or_default().to_owned();
        let track_sid = entry.info.sid.clone();
        let update = proto::SubscriptionPermissionUpdate { participant_sid, track_sid, allowed: false };
        self.signal(id, Message::SubscriptionPermissionUpdate(update));
        false
    }
}
