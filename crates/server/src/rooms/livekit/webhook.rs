//! LiveKit's webhooks: signed by a token over the body's hash, JSON in LiveKit's own words.

use super::reconciler::News;
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
pub fn read(tokens: &Tokens, authorization: &str, body: &[u8]) -> Result<Option<(proto::Room, News)>, WebhookError> {
    let claims = tokens.verify(authorization).map_err(|_| WebhookError::Unsigned)?;
    if claims.sha256 != STANDARD.encode(Sha256::digest(body)) {
        return Err(WebhookError::Unsigned);
    }
    let event: proto::WebhookEvent = serde_json::from_slice(body).map_err(|_| WebhookError::Malformed)?;
    let news = match (event.event.as_str(), event.participant, event.track) {
        ("room_started", _, _) => News::Started,
        ("room_finished", _, _) => News::Finished,
        ("participant_joined", Some(who), _) => News::Joined(who),
        ("participant_left", Some(who), _) => News::Left(who),
        ("participant_connection_aborted", Some(who), _) => News::Aborted(who),
        ("track_published", Some(who), Some(track)) => News::Published(who, track),
        ("track_unpublished", Some(who), Some(track)) => News::Unpublished(who, track),
        (_, _, _) => return Ok(None),
    };
    let room = event.room.filter(|room| !room.name.is_empty()).ok_or(WebhookError::Malformed)?;
    Ok(Some((room, news)))
}
