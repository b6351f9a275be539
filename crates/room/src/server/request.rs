//! What a member asks on its signal socket and on its data channels. Offers and answers are the body's to read.

use super::ids::{Kind, MemberId, TrackId};
use super::member::Announced;
use super::track::{self, highest_layer};
use super::{Output, Room, Settings};
use livekit_protocol as proto;
use prost::Message as _;
use proto::DisconnectReason;
use proto::data_packet::Value;
use proto::request_response::{Reason, Request};
use proto::signal_request::Message as Asked;
use proto::signal_response::Message;
use std::time::Instant;

/// Most tracks that one member may announce or publish: more is a mistake or an attack.
const TRACK_LIMIT: usize = 32;

impl Room {
    /// A request. Offers, answers and candidates are not for the room and pass without effect.
    #[allow(deprecated)]
    pub fn handle_request(&mut self, now: Instant, unix_ms: i64, id: MemberId, asked: Asked) {
        let Some(member) = self.members.get_mut(&id) else { return };
        member.last_signal = now;
        match asked {
            Asked::AddTrack(request) => self.announce(id, request),
            Asked::Mute(request) => self.mute(now, id, &request),
            Asked::Subscription(request) => self.subscribe(id, &request),
            Asked::TrackSetting(request) => self.adjust(now, id, &request),
            Asked::Leave(_) => self.leave(id, DisconnectReason::ClientInitiated, false),
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
        let owned = self.tracks.values().filter(|track| track.owner == id).count();
        let Some(member) = self.members.get_mut(&id) else { return };
        let permission = &member.joining.permission;
        let sources = &permission.can_publish_sources;
        let may = permission.can_publish && (sources.is_empty() || sources.contains(&request.source));
        let allowed = may && !track::kind_of(&request).is_some_and(|kind| member.blocked.covers(kind));
        if !allowed || owned + member.announced.len() >= TRACK_LIMIT {
            let reason = if allowed { Reason::LimitExceeded } else { Reason::NotAllowed };
            return self.respond(id, 0, reason, Some(Request::AddTrack(request)));
        }
        // A second codec for a published track is never asked for, so it is never announced in earnest.
        if !request.sid.is_empty() {
            return self.respond(id, 0, Reason::UnsupportedType, Some(Request::AddTrack(request)));
        }
        let track = TrackId(self.next_track);
        self.next_track += 1;
        let sid = self.sids.next(track::sid_prefix(&request));
        let info = track::describe(&request, sid.clone());
        let cid = request.cid.clone();
        member.announced.push(Announced { track, sid, request });
        self.signal(id, Message::TrackPublished(proto::TrackPublishedResponse { cid, track: Some(info) }));
    }

    fn respond(&mut self, id: MemberId, request_id: u32, reason: Reason, request: Option<Request>) {
        let response = proto::RequestResponse { request_id, reason: reason.into(), request, ..Default::default() };
        self.signal(id, Message::RequestResponse(response));
    }

    fn own_track(&self, id: MemberId, sid: &str) -> Option<TrackId> {
        self.tracks.values().find(|track| track.owner == id && track.info.sid == sid).map(|track| track.id)
    }

    fn track_by_sid(&self, sid: &str) -> Option<TrackId> {
        self.tracks.values().find(|track| track.info.sid == sid).map(|track| track.id)
    }

    fn mute(&mut self, now: Instant, id: MemberId, request: &proto::MuteTrackRequest) {
        let Some(member) = self.members.get_mut(&id) else { return };
        if let Some(announced) = member.announced.iter_mut().find(|announced| announced.sid == request.sid) {
            announced.request.muted = request.muted;
        }
        let Some(track) = self.own_track(id, &request.sid) else { return };
        let Some(entry) = self.tracks.get_mut(&track) else { return };
        entry.muted_by_owner = request.muted;
        if !self.show_mute(track) {
            return;
        }
        self.tell_others(id);
        self.tell_muted(track);
        if !request.muted {
            self.request_keyframe(now, track);
        }
    }

    fn subscribe(&mut self, id: MemberId, request: &proto::UpdateSubscription) {
        let named = request.participant_tracks.iter().flat_map(|tracks| &tracks.track_sids);
        let tracks: Vec<TrackId> =
            request.track_sids.iter().chain(named).filter_map(|sid| self.track_by_sid(sid)).collect();
        for track in tracks {
            if request.subscribe {
                self.want(id, track);
            } else {
                self.unwant(id, track);
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
        let Some(member) = self.members.get_mut(&id) else { return };
        if !member.joining.permission.can_update_metadata {
            let request_id = request.request_id;
            return self.respond(id, request_id, Reason::NotAllowed, Some(Request::UpdateMetadata(request)));
        }
        let joining = &mut member.joining;
        if !request.metadata.is_empty() {
            joining.metadata = request.metadata;
        }
        if !request.name.is_empty() {
            joining.name = request.name;
        }
        for (key, value) in request.attributes.into_iter().collect::<std::collections::BTreeMap<_, _>>() {
            if value.is_empty() {
                joining.attributes.remove(&key);
            } else {
                joining.attributes.insert(key, value);
            }
        }
        self.tell_others(id);
        self.tell_self(id);
        if request.request_id != 0 {
            self.respond(id, request.request_id, Reason::Ok, None);
        }
    }

    fn update_audio(&mut self, id: MemberId, request: proto::UpdateLocalAudioTrack) {
        let Some(track) = self.own_track(id, &request.track_sid) else { return };
        if let Some(entry) = self.tracks.get_mut(&track).filter(|track| track.kind == Kind::Audio) {
            entry.info.audio_features = request.features;
            self.tell_others(id);
        }
    }

    fn update_video(&mut self, id: MemberId, request: &proto::UpdateLocalVideoTrack) {
        let Some(track) = self.own_track(id, &request.track_sid) else { return };
        if let Some(entry) = self.tracks.get_mut(&track).filter(|track| track.kind == Kind::Video) {
            entry.info.width = request.width;
            entry.info.height = request.height;
            self.tell_others(id);
        }
    }

    /// A data packet: stamped with its sender and sent to whom it is addressed, or to everybody else. Damaged ones and
    /// those without permission are dropped.
    pub fn handle_data(&mut self, id: MemberId, reliable: bool, packet: &[u8]) {
        let Some(member) = self.members.get(&id) else { return };
        if !member.joining.permission.can_publish_data {
            return;
        }
        let Ok(mut packet) = proto::DataPacket::decode(packet) else { return };
        if !stamp(&mut packet, &member.joining.identity, &member.sid) {
            return;
        }
        let wanted = destinations(&packet);
        let to: Vec<MemberId> = self
            .members
            .values()
            .filter(|other| other.id != id && other.joining.permission.can_subscribe)
            .filter(|other| {
                wanted.is_empty() || wanted.iter().any(|name| *name == other.joining.identity || *name == other.sid)
            })
            .map(|other| other.id)
            .collect();
        if !to.is_empty() {
            self.outputs.push_back(Output::Data { to, reliable, packet: packet.encode_to_vec() });
        }
    }
}

/// Writes the true sender into a packet. False for kinds that members may not send.
#[allow(deprecated)]
fn stamp(packet: &mut proto::DataPacket, identity: &str, sid: &str) -> bool {
    packet.participant_identity = identity.into();
    packet.participant_sid = sid.into();
    match &mut packet.value {
        Some(Value::User(user)) => {
            user.participant_sid = sid.into();
            user.participant_identity = identity.into();
            true
        }
        Some(
            Value::SipDtmf(_)
            | Value::Transcription(_)
            | Value::ChatMessage(_)
            | Value::RpcRequest(_)
            | Value::RpcAck(_)
            | Value::RpcResponse(_)
            | Value::StreamHeader(_)
            | Value::StreamChunk(_)
            | Value::StreamTrailer(_)
            | Value::EncryptedPacket(_),
        ) => true,
        // Who speaks is the room's to say, and metrics are nobody's here.
        Some(Value::Speaker(_) | Value::Metrics(_)) | None => false,
    }
}

#[allow(deprecated)]
fn destinations(packet: &proto::DataPacket) -> Vec<String> {
    let mut wanted = packet.destination_identities.clone();
    if let Some(Value::User(user)) = &packet.value {
        wanted.extend(user.destination_identities.iter().cloned());
        wanted.extend(user.destination_sids.iter().cloned());
    }
    wanted
}
