//! RoomService's acts, written down as they pass by on their way to the rooms.

use super::{Audit, Entry, OK, Plane};
use crate::request_id;
use crate::signal::bearer;
use crate::tokens::Tokens;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use livekit_protocol as proto;
use prost::Message as _;
use std::sync::Arc;
use std::time::SystemTime;

const PATH: &str = "/twirp/livekit.RoomService/";

/// Methods that do something to people or rooms. Their requests all have the room as field 1 and the person as field 2,
/// where they have one.
const ACTS: [&str; 8] = [
    "CreateRoom",
    "DeleteRoom",
    "MutePublishedTrack",
    "RemoveParticipant",
    "SendData",
    "UpdateParticipant",
    "UpdateRoomMetadata",
    "UpdateSubscriptions",
];

/// Larger requests are refused by the service, too.
const BODY_LIMIT: usize = 2 << 20;

/// What the layer needs.
#[derive(Clone, Debug)]
pub struct Watch {
    /// Where to write.
    pub audit: Audit,
    /// Who asked.
    pub tokens: Arc<Tokens>,
}

/// A layer around the routes of RoomService; all others pass untouched.
pub async fn watch(State(watch): State<Watch>, request: Request, next: Next) -> Response {
    let act = request.uri().path().strip_prefix(PATH).and_then(|method| ACTS.into_iter().find(|act| *act == method));
    let claims = bearer(request.headers()).and_then(|token| watch.tokens.verify(token).ok());
    // One who is not believed does nothing that is worth a line.
    let (Some(act), Some(claims)) = (act, claims) else { return next.run(request).await };
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, BODY_LIMIT).await else { return StatusCode::PAYLOAD_TOO_LARGE.into_response() };
    let kind = parts.headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let about = about(kind.starts_with("application/json"), &body);
    let request = Request::from_parts(parts, Body::from(body));
    // On a task of its own: an act that has begun is carried out and written down even where the client hangs up.
    let done = tokio::spawn(async move {
        let (response, result) = outcome(next.run(request).await).await;
        let entry = Entry {
            at: SystemTime::now().into(),
            request_id: request_id(),
            by: claims.iss,
            api: Plane::Twirp,
            act: act.to_owned(),
            room: about.as_ref().map(|about| about.room.clone()),
            users: about.map(|about| about.identity).filter(|identity| !identity.is_empty()).into_iter().collect(),
            detail: None,
            result,
        };
        watch.audit.write(entry).await;
        response
    });
    done.await.unwrap_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response())
}

fn about(is_json: bool, body: &Bytes) -> Option<proto::RoomParticipantIdentity> {
    if is_json {
        let fields: serde_json::Value = serde_json::from_slice(body).ok()?;
        let text = |name: &str| fields[name].as_str().unwrap_or_default().to_owned();
        Some(proto::RoomParticipantIdentity { room: text("room"), identity: text("identity"), ..Default::default() })
    } else {
        proto::RoomParticipantIdentity::decode(body.clone()).ok()
    }
}

/// The answer, and Twirp's code where it is a refusal.
async fn outcome(response: Response) -> (Response, String) {
    let status = response.status();
    if status.is_success() {
        return (response, OK.to_owned());
    }
    let (parts, body) = response.into_parts();
    let body = to_bytes(body, BODY_LIMIT).await.unwrap_or_default();
    let code = serde_json::from_slice::<serde_json::Value>(&body).ok();
    let code = code.and_then(|answer| Some(answer["code"].as_str()?.to_owned()));
    let result = code.unwrap_or_else(|| status.as_u16().to_string());
    (Response::from_parts(parts, Body::from(body)), result)
}
