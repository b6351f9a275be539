//! LiveKit's webhooks: `WebhookEvent` as JSON, signed with an API key.
//!
//! The `Authorization` header is an access token without grants whose claim `sha256` is the base64 of the body's hash.

use super::courier::{Form, Letter};
use crate::rooms::{FinishedWhy, RoomEvent};
use crate::tokens::ApiKey;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use livekit_protocol as proto;
use livekit_token::AccessToken;
use protocol::UnixMillis;
use room::server::ids::SidMaker;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// How long a receiver may take to look at the signature. LiveKit's own value.
const SIGNATURE_TTL: Duration = Duration::from_secs(300);

/// The form of LiveKit's webhooks.
#[derive(Clone)]
pub(super) struct Webhooks {
    key: ApiKey,
}

impl Webhooks {
    /// Signed with `key`.
    pub fn new(key: ApiKey) -> Self {
        Self { key }
    }
}

impl Form for Webhooks {
    type Story = Story;

    fn write(&self, event: &Arc<proto::WebhookEvent>, _now: UnixMillis) -> anyhow::Result<Letter> {
        let body = serde_json::to_vec(event.as_ref())?;
        let hash = STANDARD.encode(Sha256::digest(&body));
        let token = AccessToken::with_api_key(&self.key.key, &self.key.secret)
            .with_ttl(SIGNATURE_TTL)
            .with_sha256(&hash)
            .to_jwt()?;
        let headers = vec![("Content-Type", "application/webhook+json".to_owned()), ("Authorization", token)];
        Ok(Letter { headers, body })
    }
}

/// The rooms as webhooks tell of them.
pub(super) struct Story {
    sids: SidMaker,
    /// Every room, with the people counted that were told of.
    rooms: BTreeMap<String, proto::Room>,
}

impl Story {
    /// `seed` is random: names of events derive from it.
    pub fn new(seed: u64) -> Self {
        Self { sids: SidMaker::new(seed), rooms: BTreeMap::new() }
    }

    fn event(&mut self, name: &str, room: &str, now: UnixMillis) -> proto::WebhookEvent {
        proto::WebhookEvent {
            event: name.to_owned(),
            room: self.rooms.get(room).cloned(),
            id: self.sids.next("EV_"),
            created_at: i64::try_from(now.seconds()).unwrap_or(i64::MAX),
            ..Default::default()
        }
    }

    fn participant(
        &mut self,
        name: &str,
        room: &str,
        who: &proto::ParticipantInfo,
        now: UnixMillis,
    ) -> proto::WebhookEvent {
        proto::WebhookEvent { participant: Some(who.clone()), ..self.event(name, room, now) }
    }

    /// Of the participant LiveKit names no more than who it is.
    fn track(
        &mut self,
        name: &str,
        room: &str,
        who: &proto::ParticipantInfo,
        track: &proto::TrackInfo,
        now: UnixMillis,
    ) -> proto::WebhookEvent {
        let (sid, identity) = (who.sid.clone(), who.identity.clone());
        let who = proto::ParticipantInfo { sid, identity, name: who.name.clone(), ..Default::default() };
        proto::WebhookEvent { track: Some(track.clone()), ..self.participant(name, room, &who, now) }
    }

    fn count(&mut self, room: &str, change: impl FnOnce(u32) -> u32) {
        if let Some(room) = self.rooms.get_mut(room) {
            room.num_participants = change(room.num_participants);
        }
    }
}

impl super::Story for Story {
    type Event = Arc<proto::WebhookEvent>;

    fn read(&mut self, event: &RoomEvent, now: UnixMillis) -> Vec<Self::Event> {
        let told = match event {
            RoomEvent::Started { room, info } => {
                self.rooms.insert(room.clone(), info.as_ref().clone());
                vec![self.event("room_started", room, now)]
            }
            RoomEvent::Joined { room, who } => {
                self.count(room, |people| people.saturating_add(1));
                vec![self.participant("participant_joined", room, who, now)]
            }
            RoomEvent::Left { room, who, why: _ } => {
                // Tracks that ended by leaving are told of one by one, as LiveKit does.
                let mut told: Vec<_> =
                    who.tracks.iter().map(|track| self.track("track_unpublished", room, who, track, now)).collect();
                self.count(room, |people| people.saturating_sub(1));
                let who = proto::ParticipantInfo { tracks: Vec::new(), ..who.as_ref().clone() };
                told.push(self.participant("participant_left", room, &who, now));
                told
            }
            RoomEvent::Published { room, who, track } => vec![self.track("track_published", room, who, track, now)],
            RoomEvent::Unpublished { room, who, track } => vec![self.track("track_unpublished", room, who, track, now)],
            // LiveKit has no webhook for either.
            RoomEvent::Muted { .. } | RoomEvent::Permitted { .. } => Vec::new(),
            RoomEvent::Finished { room, info, why } => {
                self.rooms.insert(room.clone(), info.as_ref().clone());
                let room_end_reason = match why {
                    FinishedWhy::Empty => proto::RoomEndReason::RoomEndIdleTimeout,
                    FinishedWhy::Dismissed { .. } => proto::RoomEndReason::RoomEndApiDelete,
                };
                let told = proto::WebhookEvent {
                    room_end_reason: room_end_reason.into(),
                    ..self.event("room_finished", room, now)
                };
                self.rooms.remove(room);
                vec![told]
            }
        };
        told.into_iter().map(Arc::new).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::Story as _;
    use super::*;
    use crate::rooms::LeftWhy;
    use livekit_token::TokenVerifier;

    fn who(identity: &str, tracks: &[&str]) -> Arc<proto::ParticipantInfo> {
        let track = |sid: &&str| proto::TrackInfo { sid: (*sid).to_owned(), ..Default::default() };
        Arc::new(proto::ParticipantInfo {
            identity: identity.to_owned(),
            sid: format!("PA_{identity}"),
            tracks: tracks.iter().map(track).collect(),
            ..Default::default()
        })
    }

    #[test]
    fn a_life_is_told_in_livekits_words() {
        let mut story = Story::new(1);
        let room = || "n:1".to_owned();
        let info = Arc::new(proto::Room { name: room(), sid: "RM_1".to_owned(), ..Default::default() });
        let track = Arc::new(proto::TrackInfo { sid: "TR_1".to_owned(), ..Default::default() });
        let life = [
            RoomEvent::Started { room: room(), info: info.clone() },
            RoomEvent::Joined { room: room(), who: who("anna", &[]) },
            RoomEvent::Published { room: room(), who: who("anna", &["TR_1"]), track: track.clone() },
            RoomEvent::Muted { room: room(), who: who("anna", &["TR_1"]), track: track.clone() },
            RoomEvent::Unpublished { room: room(), who: who("anna", &[]), track },
            RoomEvent::Left { room: room(), who: who("anna", &["TR_2", "TR_3"]), why: LeftWhy::Own },
            RoomEvent::Finished { room: room(), info, why: FinishedWhy::Dismissed { by: None } },
        ];
        let told: Vec<_> = life.iter().flat_map(|event| story.read(event, UnixMillis(5_000))).collect();
        let line = |event: &Arc<proto::WebhookEvent>| {
            let room = event.room.as_ref().map(|room| (room.sid.as_str(), room.num_participants));
            let who = event.participant.as_ref().map_or("", |who| who.identity.as_str());
            let track = event.track.as_ref().map_or("", |track| track.sid.as_str());
            assert_eq!((room.map(|room| room.0), event.created_at), (Some("RM_1"), 5));
            format!("{} {} {who} {track}", event.event, room.map_or(9, |room| room.1)).trim_end().to_owned()
        };
        let lines: Vec<_> = told.iter().map(line).collect();
        let expected = [
            "room_started 0",
            "participant_joined 1 anna",
            "track_published 1 anna TR_1",
            "track_unpublished 1 anna TR_1",
            "track_unpublished 1 anna TR_2",
            "track_unpublished 1 anna TR_3",
            "participant_left 0 anna",
            "room_finished 0",
        ];
        assert_eq!(lines, expected);
        let ids: std::collections::BTreeSet<_> = told.iter().map(|event| &event.id).collect();
        assert!(ids.len() == told.len() && ids.iter().all(|id| id.starts_with("EV_")));
        let end = told.last().map(|event| event.room_end_reason());
        assert_eq!(end, Some(proto::RoomEndReason::RoomEndApiDelete));
        assert!(story.rooms.is_empty(), "rooms that are over are forgotten");
    }

    #[test]
    fn the_signature_covers_the_body_as_it_is_sent() {
        let key = ApiKey { key: "devkey".to_owned(), secret: "a secret of more than 32 characters".to_owned() };
        let event = Arc::new(proto::WebhookEvent { event: "room_started".to_owned(), ..Default::default() });
        let letter = Webhooks::new(key.clone()).write(&event, UnixMillis(0)).unwrap();
        let header = |name| letter.headers.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str());
        assert_eq!(header("Content-Type"), Some("application/webhook+json"));
        let token = header("Authorization").unwrap();
        let claims = TokenVerifier::with_api_key(&key.key, &key.secret).verify(token).unwrap();
        assert_eq!(claims.sha256, STANDARD.encode(Sha256::digest(&letter.body)));
        assert!(!claims.video.room_join && !claims.video.room_admin, "it opens nothing");
    }
}
