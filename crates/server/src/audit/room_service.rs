//! RoomService's acts, written down as they pass by on their way to the rooms.

use super::{Audit, Entry, OK, Plane};
use crate::request_id;
use crate::signal::bearer;
use crate::tokens::Tokens;
use crate::twirp;
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

/// Methods that do something to people or rooms.
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
    let Ok(body) = to_bytes(body, BODY_LIMIT).await else { return twirp::too_large() };
    let kind = parts.headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let about = About::read(act, kind.starts_with("application/json"), &body);
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
            room: about.room,
            users: about.user.into_iter().collect(),
            detail: None,
            result,
        };
        watch.audit.write(entry).await;
        response
    });
    done.await.unwrap_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response())
}

/// Whom and what a request is about, as far as it can be read: nothing else of it belongs into the log.
#[derive(Default)]
struct About {
    room: Option<String>,
    user: Option<String>,
}

impl About {
    fn read(act: &str, is_json: bool, body: &Bytes) -> Self {
        let of_a_person = ["RemoveParticipant", "MutePublishedTrack", "UpdateParticipant", "UpdateSubscriptions"];
        let (room, user) = if is_json {
            let fields: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
            let text = |name: &str| fields[name].as_str().unwrap_or_default().to_owned();
            let room = if act == "CreateRoom" { text("name") } else { text("room") };
            (room, if of_a_person.contains(&act) { text("identity") } else { String::new() })
        } else if of_a_person.contains(&act) {
            // All of these begin alike.
            let about = proto::RoomParticipantIdentity::decode(body.clone()).unwrap_or_default();
            (about.room, about.identity)
        } else {
            let room = match act {
                "CreateRoom" => proto::CreateRoomRequest::decode(body.clone()).map(|request| request.name),
                "SendData" => proto::SendDataRequest::decode(body.clone()).map(|request| request.room),
                "UpdateRoomMetadata" => {
                    proto::UpdateRoomMetadataRequest::decode(body.clone()).map(|request| request.room)
                }
                _ => proto::DeleteRoomRequest::decode(body.clone()).map(|request| request.room),
            };
            (room.unwrap_or_default(), String::new())
        };
        let some = |text: String| Some(text).filter(|text| !text.is_empty());
        Self { room: some(room), user: some(user) }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_send_is_not_taken_for_whom_it_is_about() {
        let room = "hall".to_owned();
        let data = proto::SendDataRequest { room: room.clone(), data: b"secret".to_vec(), ..Default::default() };
        let theme = proto::UpdateRoomMetadataRequest { room: room.clone(), metadata: "secret".into() };
        let made = proto::CreateRoomRequest { name: room.clone(), empty_timeout: 9, ..Default::default() };
        let gone = proto::RoomParticipantIdentity { room, identity: "anna".into(), ..Default::default() };
        for (act, body, user) in [
            ("SendData", data.encode_to_vec(), None),
            ("UpdateRoomMetadata", theme.encode_to_vec(), None),
            ("CreateRoom", made.encode_to_vec(), None),
            ("RemoveParticipant", gone.encode_to_vec(), Some("anna")),
        ] {
            let about = About::read(act, false, &body.into());
            assert_eq!((about.room.as_deref(), about.user.as_deref()), (Some("hall"), user), "{act}");
        }
        let json = |act, text: &'static str| About::read(act, true, &Bytes::from_static(text.as_bytes()));
        assert_eq!(json("CreateRoom", r#"{"name":"hall","identity":"x"}"#).room.as_deref(), Some("hall"));
        assert_eq!(json("UpdateSubscriptions", r#"{"room":"hall","identity":"anna"}"#).user.as_deref(), Some("anna"));
        assert!(json("SendData", "{").room.is_none());
    }
}
