//! Permissions that change while somebody is in, and what follows from them.

use super::Room;
use super::ids::{MemberId, TrackId};
use super::limits::{TooLarge, check_attributes, check_metadata, check_name};
use super::member::Announced;
use livekit_protocol as proto;
use proto::participant_info::State;
use proto::signal_response::Message;
use std::collections::BTreeMap;

/// Whether a permission lets a source be published.
pub(super) fn may_publish(permission: &proto::ParticipantPermission, source: i32) -> bool {
    let sources = &permission.can_publish_sources;
    permission.can_publish && (sources.is_empty() || sources.contains(&source))
}

impl Room {
    /// Takes a changed permission over: tracks that are no longer allowed end, and where nothing may be received any
    /// more nothing is.
    pub(super) fn set_permission(&mut self, id: MemberId, permission: proto::ParticipantPermission) {
        let Some(member) = self.members.get_mut(&id) else { return };
        let before = std::mem::replace(&mut member.joining.permission, permission.clone());
        let announced = &mut member.announced;
        let (kept, dropped) =
            std::mem::take(announced).into_iter().partition(|one| may_publish(&permission, one.request.source));
        *announced = kept;
        let dropped: Vec<Announced> = dropped;
        for one in dropped {
            self.signal(id, Message::TrackUnpublished(proto::TrackUnpublishedResponse { track_sid: one.sid }));
        }
        self.end_forbidden(id, &permission);
        match (before.can_subscribe, permission.can_subscribe) {
            (true, false) => self.unwant_all(id),
            (false, true) => self.want_all(id),
            (true, true) | (false, false) => {}
        }
        if before.can_publish != permission.can_publish {
            self.tell_permitted(id, permission.can_publish);
        }
        if permission.hidden && !before.hidden {
            self.tell_vanished(id);
        }
        self.tell_all(id);
    }

    fn end_forbidden(&mut self, id: MemberId, permission: &proto::ParticipantPermission) {
        let forbidden: Vec<TrackId> = self
            .tracks
            .values()
            .filter(|track| track.owner == id && !may_publish(permission, track.info.source))
            .map(|track| track.id)
            .collect();
        let ended: Vec<proto::TrackInfo> = forbidden.into_iter().filter_map(|track| self.end_track(track)).collect();
        for info in ended {
            let track_sid = info.sid.clone();
            self.signal(id, Message::TrackUnpublished(proto::TrackUnpublishedResponse { track_sid }));
            self.tell_unpublished(id, info);
        }
        self.ask_sections_of_all();
    }

    fn unwant_all(&mut self, id: MemberId) {
        let wanted: Vec<TrackId> =
            self.members.get(&id).map(|member| member.wants.keys().copied().collect()).unwrap_or_default();
        for track in wanted {
            self.unwant(id, track);
        }
        self.ask_sections(id);
    }

    fn want_all(&mut self, id: MemberId) {
        let present: Vec<TrackId> = self.tracks.keys().copied().collect();
        for track in present {
            self.want_automatically(id, track);
        }
    }

    /// To the others a member that became hidden is gone.
    fn tell_vanished(&mut self, id: MemberId) {
        let Some(mut info) = self.member_info(id) else { return };
        info.state = State::Disconnected.into();
        info.tracks.clear();
        self.broadcast(Some(id), || Message::Update(proto::ParticipantUpdate { participants: vec![info.clone()] }));
    }

    /// Changes name, metadata and attributes: empty ones stay as they are, attributes with an empty value go.
    pub(super) fn describe_anew(
        &mut self,
        id: MemberId,
        name: String,
        metadata: String,
        attributes: BTreeMap<String, String>,
    ) -> Result<(), TooLarge> {
        let Some(member) = self.members.get_mut(&id) else { return Ok(()) };
        check_name(&name)?;
        check_metadata(&metadata)?;
        let mut merged = member.joining.attributes.clone();
        merged.extend(attributes);
        merged.retain(|_, value| !value.is_empty());
        check_attributes(&merged)?;
        let joining = &mut member.joining;
        joining.attributes = merged;
        if !metadata.is_empty() {
            joining.metadata = metadata;
        }
        if !name.is_empty() {
            joining.name = name;
        }
        Ok(())
    }
}
