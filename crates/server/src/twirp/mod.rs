//! LiveKit's `RoomService` over Twirp: protobuf and JSON bodies, grants by token, Twirp's error codes.
//!
//! Removal and deletion take the same road as everybody's, the [`Rooms`] trait; lists are read from the worker, which
//! alone knows LiveKit's descriptions.

use crate::rooms::{Rooms, RoomsError};
use crate::rtc::{Command, Gone, Media};
use crate::signal::bearer;
use crate::tokens::Tokens;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use livekit_protocol as proto;
use livekit_token::Claims;
use prost::Message;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::sync::Arc;

#[derive(Clone)]
struct Service {
    rooms: Arc<dyn Rooms>,
    media: Media,
    tokens: Arc<Tokens>,
}

/// The routes under `/twirp/livekit.RoomService/`.
pub fn router(rooms: Arc<dyn Rooms>, media: Media, tokens: Arc<Tokens>) -> Router {
    Router::new().route("/twirp/livekit.RoomService/{method}", post(serve)).with_state(Service { rooms, media, tokens })
}

/// A Twirp error (Twirp wire protocol v7, "Error codes").
#[derive(Debug)]
enum Failure {
    Unauthenticated(String),
    PermissionDenied,
    NotFound(&'static str),
    Malformed,
    BadRoute,
    Unavailable(String),
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let (status, code, msg) = match self {
            Self::Unauthenticated(why) => (StatusCode::UNAUTHORIZED, "unauthenticated", why),
            Self::PermissionDenied => {
                (StatusCode::FORBIDDEN, "permission_denied", "the token does not allow this".to_owned())
            }
            Self::NotFound(what) => (StatusCode::NOT_FOUND, "not_found", what.to_owned()),
            Self::Malformed => (StatusCode::BAD_REQUEST, "malformed", "the body cannot be read".to_owned()),
            Self::BadRoute => (StatusCode::NOT_FOUND, "bad_route", "no such method".to_owned()),
            Self::Unavailable(why) => (StatusCode::SERVICE_UNAVAILABLE, "unavailable", why),
        };
        (status, Json(serde_json::json!({ "code": code, "msg": msg }))).into_response()
    }
}

impl From<RoomsError> for Failure {
    fn from(error: RoomsError) -> Self {
        match error {
            RoomsError::NotExist => Self::NotFound("requested room does not exist"),
            RoomsError::NoMember => Self::NotFound("participant does not exist"),
            RoomsError::Unavailable(why) => Self::Unavailable(why),
        }
    }
}

impl From<Gone> for Failure {
    fn from(gone: Gone) -> Self {
        Self::Unavailable(gone.to_string())
    }
}

/// One request's body, and in which of the two forms it and its answer are.
struct Call {
    body: Bytes,
    is_json: bool,
}

impl Call {
    fn read<M: Message + Default + DeserializeOwned>(&self) -> Result<M, Failure> {
        if self.is_json {
            serde_json::from_slice(&self.body).map_err(|_| Failure::Malformed)
        } else {
            M::decode(self.body.clone()).map_err(|_| Failure::Malformed)
        }
    }

    fn answer<M: Message + Serialize>(&self, message: &M) -> Response {
        if self.is_json {
            Json(message).into_response()
        } else {
            ([(header::CONTENT_TYPE, "application/protobuf")], message.encode_to_vec()).into_response()
        }
    }
}

async fn serve(
    State(service): State<Service>,
    Path(method): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Failure> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let is_json = match kind.split(';').next().unwrap_or_default().trim() {
        "application/json" => true,
        "application/protobuf" => false,
        _ => return Err(Failure::BadRoute),
    };
    let token = bearer(&headers).ok_or_else(|| Failure::Unauthenticated("no access token".to_owned()))?;
    let claims = service.tokens.verify(token).map_err(|error| Failure::Unauthenticated(error.to_string()))?;
    let call = Call { body, is_json };
    match method.as_str() {
        "CreateRoom" => service.create_room(&claims, &call).await,
        "ListRooms" => service.list_rooms(&claims, &call).await,
        "DeleteRoom" => service.delete_room(&claims, &call).await,
        "ListParticipants" => service.list_participants(&claims, &call).await,
        "GetParticipant" => service.get_participant(&claims, &call).await,
        "RemoveParticipant" => service.remove_participant(&claims, &call).await,
        _ => Err(Failure::BadRoute),
    }
}

fn require(allowed: bool) -> Result<(), Failure> {
    if allowed { Ok(()) } else { Err(Failure::PermissionDenied) }
}

fn is_admin_of(claims: &Claims, room: &str) -> Result<(), Failure> {
    require(claims.video.room_admin && claims.video.room == room)
}

impl Service {
    async fn find(&self, room: &str) -> Result<(proto::Room, Vec<proto::ParticipantInfo>), Failure> {
        let rooms = vec![room.to_owned()];
        let found = self.media.ask(|reply| Command::List { rooms, reply }).await?;
        found.into_iter().next().ok_or(Failure::NotFound("requested room does not exist"))
    }

    async fn create_room(&self, claims: &Claims, call: &Call) -> Result<Response, Failure> {
        require(claims.video.room_create)?;
        let request: proto::CreateRoomRequest = call.read()?;
        if request.name.is_empty() {
            return Err(Failure::Malformed);
        }
        self.rooms.open(&request.name).await?;
        Ok(call.answer(&self.find(&request.name).await?.0))
    }

    async fn list_rooms(&self, claims: &Claims, call: &Call) -> Result<Response, Failure> {
        require(claims.video.room_list)?;
        let request: proto::ListRoomsRequest = call.read()?;
        let rooms = request.names;
        let found = self.media.ask(|reply| Command::List { rooms, reply }).await?;
        Ok(call.answer(&proto::ListRoomsResponse { rooms: found.into_iter().map(|(room, _)| room).collect() }))
    }

    async fn delete_room(&self, claims: &Claims, call: &Call) -> Result<Response, Failure> {
        require(claims.video.room_create)?;
        let request: proto::DeleteRoomRequest = call.read()?;
        self.rooms.dismiss(&request.room, Some(claims.iss.clone())).await?;
        Ok(call.answer(&proto::DeleteRoomResponse::default()))
    }

    async fn list_participants(&self, claims: &Claims, call: &Call) -> Result<Response, Failure> {
        let request: proto::ListParticipantsRequest = call.read()?;
        is_admin_of(claims, &request.room)?;
        let participants = self.find(&request.room).await?.1;
        Ok(call.answer(&proto::ListParticipantsResponse { participants }))
    }

    async fn participant(&self, room: &str, identity: &str) -> Result<proto::ParticipantInfo, Failure> {
        let people = self.find(room).await?.1;
        let found = people.into_iter().find(|person| person.identity == identity);
        found.ok_or(Failure::NotFound("participant does not exist"))
    }

    async fn get_participant(&self, claims: &Claims, call: &Call) -> Result<Response, Failure> {
        let request: proto::RoomParticipantIdentity = call.read()?;
        is_admin_of(claims, &request.room)?;
        Ok(call.answer(&self.participant(&request.room, &request.identity).await?))
    }

    async fn remove_participant(&self, claims: &Claims, call: &Call) -> Result<Response, Failure> {
        let request: proto::RoomParticipantIdentity = call.read()?;
        is_admin_of(claims, &request.room)?;
        self.participant(&request.room, &request.identity).await?;
        let by = Some(claims.iss.clone());
        self.rooms.remove(&request.room, &request.identity, by).await?;
        Ok(call.answer(&proto::RemoveParticipantResponse::default()))
    }
}
