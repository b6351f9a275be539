//! LiveKit's webhooks: signed by a token over the body's hash, JSON in LiveKit's own words.

use super::reconciler::{News, PersonRef, RoomRef};
use crate::tokens::Tokens;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use livekit_protocol as proto;
use sha2::{Digest as _, Sha256};

/// Where LiveKit posts to.
pub const PATH: &str = "/livekit/webhook";

/// Bytes of one webhook. LiveKit's own limits on names and metadata keep them far below.
pub const BODY_LIMIT: usize = 1024 * 1024;

/// Why a webhook is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WebhookError {
    /// Nobody with the API key has signed these bytes.
    #[error("the webhook is not signed with an API key of this server")]
    Unsigned,
    /// Signed, and yet no event.
    #[error("the webhook is no event of LiveKit")]
    Malformed,
}

/// Reads a webhook. `None`: an event that changes nothing here.
pub fn read(tokens: &Tokens, authorization: &str, body: &[u8]) -> Result<Option<(RoomRef, News)>, WebhookError> {
    let claims = tokens.verify(authorization).map_err(|_| WebhookError::Unsigned)?;
    if claims.sha256 != STANDARD.encode(Sha256::digest(body)) {
        return Err(WebhookError::Unsigned);
    }
    let event: proto::WebhookEvent = serde_json::from_slice(body).map_err(|_| WebhookError::Malformed)?;
    let news = match (event.event.as_str(), event.participant) {
        ("room_started", _) => News::Started,
        ("room_finished", _) => News::Finished,
        ("participant_joined", Some(person)) => News::Joined(person_ref(&person)),
        ("participant_left", Some(person)) => News::Left(person_ref(&person), person.disconnect_reason()),
        ("participant_connection_aborted", Some(person)) => News::Aborted(person_ref(&person)),
        (_, _) => return Ok(None),
    };
    let room = event.room.filter(|room| !room.name.is_empty()).ok_or(WebhookError::Malformed)?;
    Ok(Some((room_ref(&room), news)))
}

/// A room of LiveKit in our words.
pub fn room_ref(room: &proto::Room) -> RoomRef {
    let created_at = millis(room.creation_time_ms, room.creation_time);
    RoomRef { name: room.name.clone(), sid: room.sid.clone(), created_at }
}

/// A participant of LiveKit in our words.
pub fn person_ref(person: &proto::ParticipantInfo) -> PersonRef {
    let joined_at = millis(person.joined_at_ms, person.joined_at);
    PersonRef { identity: person.identity.clone(), sid: person.sid.clone(), joined_at }
}

/// Older servers say seconds alone.
fn millis(millis: i64, seconds: i64) -> i64 {
    if millis != 0 { millis } else { seconds.saturating_mul(1000) }
}
