//! RoomService under this server's own address, as the embedded rooms serve it: scripts need not know who carries the
//! rooms. What puts people out goes through the trait, so that the author is known and old tokens are void; the rest is
//! passed on as it is, and LiveKit checks its token.

use super::super::{Rooms as _, RoomsError};
use super::Deployment;
use super::service::ServiceError;
use crate::signal::bearer;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use livekit_protocol as proto;
use livekit_token::Claims;
use prost::Message;
use serde::de::DeserializeOwned;
use std::sync::Arc;

/// The routes.
pub const PATH: &str = "/twirp/livekit.RoomService/{method}";

/// A Twirp error (wire protocol v7): status, code, sentence.
struct Failure(StatusCode, &'static str, String);

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let Self(status, code, msg) = self;
        (status, axum::Json(serde_json::json!({ "code": code, "msg": msg }))).into_response()
    }
}

impl From<RoomsError> for Failure {
    fn from(error: RoomsError) -> Self {
        match error {
            RoomsError::NotExist => {
                Self(StatusCode::NOT_FOUND, "not_found", "requested room does not exist".to_owned())
            }
            RoomsError::NoMember => Self(StatusCode::NOT_FOUND, "not_found", "participant does not exist".to_owned()),
            RoomsError::Unavailable(why) => Self(StatusCode::SERVICE_UNAVAILABLE, "unavailable", why),
        }
    }
}

impl From<ServiceError> for Failure {
    fn from(error: ServiceError) -> Self {
        RoomsError::from(error).into()
    }
}

/// One method.
pub async fn serve(
    State(deployment): State<Arc<Deployment>>,
    Path(method): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let answer = match method.as_str() {
        "RemoveParticipant" => remove(&deployment, &headers, &body).await,
        "DeleteRoom" => delete(&deployment, &headers, &body).await,
        // It becomes part of an address.
        _ if !method.bytes().all(|byte| byte.is_ascii_alphanumeric()) => {
            Err(Failure(StatusCode::NOT_FOUND, "bad_route", "no such method".to_owned()))
        }
        _ => pass_on(&deployment, &method, &headers, body).await,
    };
    answer.into_response()
}

async fn remove(deployment: &Deployment, headers: &HeaderMap, body: &[u8]) -> Result<Response, Failure> {
    let (claims, request) = read::<proto::RoomParticipantIdentity>(deployment, headers, body)?;
    require(claims.video.room_admin && claims.video.room == request.room)?;
    let members = deployment.list(&request.room).await?;
    if !members.iter().any(|member| member.identity == request.identity) {
        return Err(RoomsError::NoMember.into());
    }
    deployment.remove(&request.room, &request.identity, Some(claims.iss)).await?;
    Ok(nothing(headers))
}

async fn delete(deployment: &Deployment, headers: &HeaderMap, body: &[u8]) -> Result<Response, Failure> {
    let (claims, request) = read::<proto::DeleteRoomRequest>(deployment, headers, body)?;
    require(claims.video.room_create)?;
    deployment.dismiss(&request.room, Some(claims.iss)).await?;
    Ok(nothing(headers))
}

async fn pass_on(deployment: &Deployment, method: &str, headers: &HeaderMap, body: Bytes) -> Result<Response, Failure> {
    let (status, kind, body) = deployment.service.pass_on(method, headers, body).await?;
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
    Ok((status, [(header::CONTENT_TYPE, kind)], body).into_response())
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    kind.split(';').next().unwrap_or_default().trim() == "application/json"
}

fn read<M: Message + Default + DeserializeOwned>(
    deployment: &Deployment,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<(Claims, M), Failure> {
    let unauthenticated = |why: String| Failure(StatusCode::UNAUTHORIZED, "unauthenticated", why);
    let token = bearer(headers).ok_or_else(|| unauthenticated("no access token".to_owned()))?;
    let claims = deployment.tokens.verify(token).map_err(|error| unauthenticated(error.to_string()))?;
    let message = if is_json(headers) { serde_json::from_slice(body).ok() } else { M::decode(body).ok() };
    let malformed = || Failure(StatusCode::BAD_REQUEST, "malformed", "the body cannot be read".to_owned());
    Ok((claims, message.ok_or_else(malformed)?))
}

fn require(allowed: bool) -> Result<(), Failure> {
    let denied = || Failure(StatusCode::FORBIDDEN, "permission_denied", "the token does not allow this".to_owned());
    if allowed { Ok(()) } else { Err(denied()) }
}

/// Both answers are empty messages.
fn nothing(headers: &HeaderMap) -> Response {
    if is_json(headers) {
        axum::Json(serde_json::json!({})).into_response()
    } else {
        ([(header::CONTENT_TYPE, "application/protobuf")], Vec::new()).into_response()
    }
}
