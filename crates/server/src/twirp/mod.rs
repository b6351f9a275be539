//! LiveKit's `RoomService` over Twirp: protobuf and JSON bodies, grants by token, Twirp's error codes.
//!
//! Removal and deletion take the same road as everybody's, the [`Rooms`] trait; all else is LiveKit's own and asked of the
//! worker, which alone knows LiveKit's descriptions.

mod failure;
mod service;

use crate::rooms::Rooms;
use crate::rtc::Media;
use crate::signal::bearer;
use crate::tokens::Tokens;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Method, header};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use axum::{Json, Router};
use failure::Failure;
use prost::Message;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::sync::Arc;

/// What `RoomService` works with.
#[derive(Clone)]
pub struct Service {
    /// The rooms behind the trait.
    pub rooms: Arc<dyn Rooms>,
    /// The same rooms' worker.
    pub media: Media,
    /// Who may ask.
    pub tokens: Arc<Tokens>,
    /// Unmuting is not refused.
    pub remote_unmute: bool,
}

impl std::fmt::Debug for Service {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Service").field("remote_unmute", &self.remote_unmute).finish_non_exhaustive()
    }
}

/// The routes under `/twirp/`.
pub fn router(service: Service) -> Router {
    Router::new()
        .route("/twirp/livekit.RoomService/{method}", any(serve))
        .route("/twirp/{*path}", any(async || Failure::BadRoute("no such service")))
        .with_state(service)
}

/// The answer to a body beyond every limit.
pub(crate) fn too_large() -> Response {
    Failure::Malformed("it is too large".to_owned()).into_response()
}

/// One request's body, and in which of the two forms it and its answer are.
struct Call {
    body: Bytes,
    is_json: bool,
}

impl Call {
    fn read<M: Message + Default + DeserializeOwned>(&self) -> Result<M, Failure> {
        if self.is_json {
            serde_json::from_slice(&self.body).map_err(|error| Failure::Malformed(error.to_string()))
        } else {
            M::decode(self.body.clone()).map_err(|error| Failure::Malformed(error.to_string()))
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
    verb: Method,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Failure> {
    if verb != Method::POST {
        return Err(Failure::BadRoute("a request is a POST"));
    }
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let is_json = match kind.split(';').next().unwrap_or_default().trim() {
        "application/json" => true,
        "application/protobuf" => false,
        _ => return Err(Failure::BadRoute("a body is application/json or application/protobuf")),
    };
    let token = bearer(&headers).ok_or_else(|| Failure::Unauthenticated("no access token".to_owned()))?;
    let claims = service.tokens.verify(token).map_err(|error| Failure::Unauthenticated(error.to_string()))?;
    let body = body.map_err(|error| Failure::Malformed(error.body_text()))?;
    service.call(&method, &claims, &Call { body, is_json }).await
}
