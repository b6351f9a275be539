//! What a member asks on its signal socket. Offers and answers are the body's to read.

use super::ids::{Kind, MemberId, TrackId};
use super::limits::{ANNOUNCEMENT_LIMIT, FEATURE_LIMIT, TRACK_LIMIT};
use super::member::{Announced, Member};
use super::track::{self, Track, highest_layer};
use super::{Output, Room, Settings, rights};
use livekit_protocol as proto;
use prost::Message as _;
use proto::request_response::{Reason, Request};
use proto::signal_request::Message as Asked;
use proto::signal_response::Message;
use proto::{DisconnectReason, TrackSource};
use protocol::{Code, Refusal};
use std::time::Instant;

impl Room {
    /// A request. Offers, answers and candidates are not for the room and pass without effect.
    #[allow(deprecated)]
    pub fn handle_request(&mut self, now: Instant, unix_ms: i64, id: MemberId, asked: Asked) {
        let Some(member) = self.members.get_mut(&id) else { return };
        member.last_signal = now;
        match asked {
            Asked::AddTrack(request) => self.announce(id, request),
            Asked::Mute(request) => self.mute_own(now, id, request),
            Asked::Subscription(request) => self.subscribe(id, &request),
            Asked::TrackSetting(request) => self.adjust(now, id, &request),
            Asked::Leave(_) => self.leave(now, id, DisconnectReason::ClientInitiated, false),
            Asked::SyncState(state) => self.sync(now, id, state),
            Asked::Ping(_) => self.signal(id, Message::Pong(unix_ms)),
            Asked::PingReq(ping) => {
                let pong = proto::Pong { last_ping_timestamp: ping.timestamp, timestamp: unix_ms };
                self.signal(id, Message::PongResp(pong));
            }
            Asked::UpdateMetadata(request) => self.update_metadata(id, request),
            Asked::UpdateAudioTrack(request) => self.update_audio(id, request),
            Asked::UpdateVideoTrack(request) => self.update_video(id, &request),
            Asked::Offer(_) | Asked::Answer(_) | Asked::Trickle(_) => {}
            // Layers follow what flows; permissions by publisher, simulations, data tracks and blobs are not offered.
            Asked::UpdateLayers(_)
            | Asked::SubscriptionPermission(_)
            | Asked::Simulate(_)
            | Asked::PublishDataTrackRequest(_)
            | Asked::UnpublishDataTrackRequest(_)
            | Asked::UpdateDataSubscription(_)
            | Asked::StoreDataBlobRequest(_)
            | Asked::GetDataBlobRequest(_) => {}
        }
    }

    /// Anything came on the signal socket.
    pub fn handle_signal_seen(&mut self, now: Instant, id: MemberId) {
        if let Some(member) = self.members.get_mut(&id) {
            member.last_signal = now;
        }
    }

    fn announce(&mut self, id: MemberId, request: proto::AddTrackRequest) {
        if let Err((reason, why)) = self.may_announce(id, &request) {
            return self.respond(id, 0, reason, &why, Some(Request::AddTrack(request)));
        }
        let track = TrackId(self.next_track);
        self.next_track += 1;
        let sid = self.sids.next(track::sid_prefix(&request));
        let info = track::describe(&request, sid.clone());
        let cid = request.cid.clone();
        if let Some(member) = self.members.get_mut(&id) {
            member.announced.push(Announced { track, sid, request });
        }
        self.signal(id, Message::TrackPublished(proto::TrackPublishedResponse { cid, track: Some(info) }));
    }

    fn may_announce(&self, id: MemberId, request: &proto::AddTrackRequest) -> Result<(), (Reason, String)> {
        let Some(member) = self.members.get(&id) else { return Ok(()) };
        let is_blocked = track::kind_of(request).is_some_and(|kind| member.blocked.covers(kind));
        if is_blocked || !rights::may_send(&member.joining.permission, request) {
            // For people and logs; clients decide by the reason and by what they asked.
            return Err((Reason::NotAllowed, Refusal::new(rights::refusal_to_send(request)).to_string()));
        }
        // A second codec for a published track is never asked for, so it is never announced in earnest.
        if !request.sid.is_empty() {
            return Err((Reason::UnsupportedType, "one codec is enough".into()));
        }
        if request.encoded_len() > ANNOUNCEMENT_LIMIT {
            let why = format!("what is said of a track has at most {ANNOUNCEMENT_LIMIT} bytes");
            return Err((Reason::LimitExceeded, why));
        }
        let owned = self.tracks.values().filter(|track| track.owner == id).count();
        if owned + member.announced.len() >= TRACK_LIMIT {
            return Err((Reason::LimitExceeded, format!("at most {TRACK_LIMIT} tracks are published")));
        }
        if request.source() == TrackSource::ScreenShare && self.others_share_a_screen(id) {
            return Err((Reason::LimitExceeded, Refusal::new(Code::ScreenTaken).to_string()));
        }
        Ok(())
    }

    fn others_share_a_screen(&self, id: MemberId) -> bool {
        let screen = i32::from(TrackSource::ScreenShare);
        let published = self.tracks.values().any(|track| track.owner != id && track.info.source == screen);
        let announces =
            |member: &Member| member.id != id && member.announced.iter().any(|one| one.request.source == screen);
        published || self.members.values().any(announces)
    }

    pub(super) fn respond(
        &mut self,
        id: MemberId,
        request_id: u32,
        reason: Reason,
        why: &str,
        request: Option<Request>,
    ) {
        let response = proto::RequestResponse { request_id, reason: reason.into(), message: why.to_owned(), request };
        self.signal(id, Message::RequestResponse(response));
    }

    fn own_track(&self, id: MemberId, sid: &str) -> Option<TrackId> {
        self.tracks.values().find(|track| track.owner == id && track.info.sid == sid).map(|track| track.id)
    }

    fn track_by_sid(&self, sid: &str) -> Option<TrackId> {
        self.tracks.values().find(|track| track.info.sid == sid).map(|track| track.id)
    }

    fn mute_own(&mut self, now: Instant, id: MemberId, request: proto::MuteTrackRequest) {
        if !self.mute(now, id, &request) {
            self.respond(id, 0, Reason::NotFound, "no such track", Some(Request::Mute(request)));
        }
    }

    /// Mutes or unmutes one of `id`'s tracks. False if it has none such.
    pub(super) fn mute(&mut self, now: Instant, id: MemberId, request: &proto::MuteTrackRequest) -> bool {
        let Some(member) = self.members.get_mut(&id) else { return false };
        if let Some(announced) = member.announced.iter_mut().find(|announced| announced.sid == request.sid) {
            announced.request.muted = request.muted;
            return true;
        }
        let Some(track) = self.own_track(id, &request.sid) else { return false };
        let Some(entry) = self.tracks.get_mut(&track) else { return false };
        entry.muted_by_owner = request.muted;
        if self.show_mute(track) {
            self.tell_others(id);
            self.tell_muted(track);
            if !request.muted {
                self.request_keyframe(now, track);
            }
        }
        true
    }

    /// Unknown tracks are told of and otherwise ignored.
    pub(super) fn subscribe(&mut self, id: MemberId, request: &proto::UpdateSubscription) {
        let named = request.participant_tracks.iter().flat_map(|tracks| &tracks.track_sids);
        for sid in request.track_sids.iter().chain(named) {
            match self.track_by_sid(sid) {
                Some(track) if request.subscribe => self.want(id, track),
                Some(track) => self.unwant(id, track),
                None if request.subscribe => {
                    let err = proto::SubscriptionError::SeTrackNotfound.into();
                    let response = proto::SubscriptionResponse { track_sid: sid.clone(), err };
                    self.signal(id, Message::SubscriptionResponse(response));
                }
                None => {}
            }
        }
        self.ask_sections(id);
    }

    fn adjust(&mut self, now: Instant, id: MemberId, request: &proto::UpdateTrackSettings) {
        for sid in &request.track_sids {
            let Some(track) = self.track_by_sid(sid) else { continue };
            let Some(info) = self.tracks.get(&track).map(|track| &track.info) else { continue };
            let settings = Settings { paused: request.disabled, most: highest_layer(info, request) };
            self.set_settings(now, id, track, settings);
        }
    }

    fn set_settings(&mut self, now: Instant, id: MemberId, track: TrackId, settings: Settings) {
        let Some(want) = self.members.get_mut(&id).and_then(|member| member.wants.get_mut(&track)) else { return };
        if want.settings == settings {
            return;
        }
        want.settings = settings;
        if want.slot.is_some() {
            let settings = self.effective(track, settings);
            self.outputs.push_back(Output::Adjust { track, member: id, settings });
            if !settings.paused {
                self.request_keyframe(now, track);
            }
        }
    }

    /// After a resume the client says what it had asked for.
    fn sync(&mut self, now: Instant, id: MemberId, state: proto::SyncState) {
        if let Some(subscription) = state.subscription {
            self.subscribe(id, &subscription);
        }
        for sid in &state.track_sids_disabled {
            let Some(track) = self.track_by_sid(sid) else { continue };
            let want = self.members.get(&id).and_then(|member| member.wants.get(&track));
            let Some(settings) = want.map(|want| Settings { paused: true, ..want.settings }) else { continue };
            self.set_settings(now, id, track, settings);
        }
        for published in state.publish_tracks {
            let Some(info) = published.track else { continue };
            self.mute(now, id, &proto::MuteTrackRequest { sid: info.sid, muted: info.muted });
        }
    }

    fn update_metadata(&mut self, id: MemberId, request: proto::UpdateParticipantMetadata) {
        let Some(member) = self.members.get(&id) else { return };
        let request_id = request.request_id;
        if !member.joining.permission.can_update_metadata {
            let why = "the token does not allow to change one's own name, metadata and attributes";
            return self.respond(id, request_id, Reason::NotAllowed, why, Some(Request::UpdateMetadata(request)));
        }
        let proto::UpdateParticipantMetadata { name, metadata, attributes, .. } = request;
        if let Err(error) = self.describe_anew(id, name, metadata, attributes.into_iter().collect()) {
            return self.respond(id, request_id, Reason::LimitExceeded, &error.to_string(), None);
        }
        self.tell_all(id);
        self.grants_changed(id);
        if request_id != 0 {
            self.respond(id, request_id, Reason::Ok, "", None);
        }
    }

    fn update_audio(&mut self, id: MemberId, request: proto::UpdateLocalAudioTrack) {
        let Some(track) = self.own_track(id, &request.track_sid) else { return };
        let is_news = |info: &proto::TrackInfo| info.audio_features != request.features;
        let is_small = request.features.len() <= FEATURE_LIMIT;
        let fits = |track: &&mut Track| track.kind == Kind::Audio && is_small && is_news(&track.info);
        if let Some(entry) = self.tracks.get_mut(&track).filter(fits) {
            entry.info.audio_features = request.features;
            self.tell_others(id);
        }
    }

    fn update_video(&mut self, id: MemberId, request: &proto::UpdateLocalVideoTrack) {
        let Some(track) = self.own_track(id, &request.track_sid) else { return };
        let is_news = |info: &proto::TrackInfo| (info.width, info.height) != (request.width, request.height);
        let fits = |track: &&mut Track| track.kind == Kind::Video && is_news(&track.info);
        if let Some(entry) = self.tracks.get_mut(&track).filter(fits) {
            entry.info.width = request.width;
            entry.info.height = request.height;
            self.tell_others(id);
        }
    }
}
