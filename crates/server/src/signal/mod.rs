//! LiveKit signalling: who may enter, with what, and the WebSocket that follows.
//!
//! `/rtc/v1` (one peer connection, the whole request in `join_request`) is what clients try first; `/rtc` (two
//! connections, the request in the query) is for older ones. Both have a `validate` beside them, which tells a browser
//! in words what a refused WebSocket cannot.

mod request;
mod socket;

use crate::rtc::Media;
use crate::tokens::{TokenError, Tokens};
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Router, body::Body};
use livekit_token::Claims;
use request::{Request, RequestError};
use room::server::Wiring;
use std::sync::Arc;
use tower_http::cors::CorsLayer;

/// Largest signal message: an offer with many sections stays far below.
const MESSAGE_LIMIT: usize = 1 << 20;

#[derive(Clone)]
struct Signals {
    media: Media,
    tokens: Arc<Tokens>,
}

/// The signalling routes. Browsers read refusals, so every answer carries CORS headers.
pub fn router(media: Media, tokens: Arc<Tokens>) -> Router {
    Router::new()
        .route("/rtc/v1", get(open_one))
        .route("/rtc", get(open_two))
        .route("/rtc/v1/validate", get(validate_one))
        .route("/rtc/validate", get(validate_two))
        .layer(CorsLayer::very_permissive())
        .with_state(Signals { media, tokens })
}

/// Why nobody gets in.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error("no access token")]
    NoToken,
    #[error(transparent)]
    Token(#[from] TokenError),
    #[error("the token does not allow to join a room")]
    NoJoin,
    #[error(transparent)]
    Request(#[from] RequestError),
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response<Body> {
        let status = match &self {
            Self::NoToken | Self::Token(_) | Self::NoJoin => StatusCode::UNAUTHORIZED,
            Self::Request(_) => StatusCode::BAD_REQUEST,
        };
        (status, self.to_string()).into_response()
    }
}

async fn open_one(
    State(signals): State<Signals>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    upgrade: WebSocketUpgrade,
) -> Result<Response, Refusal> {
    signals.open(Wiring::One, query.as_deref(), &headers, upgrade)
}

async fn open_two(
    State(signals): State<Signals>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    upgrade: WebSocketUpgrade,
) -> Result<Response, Refusal> {
    signals.open(Wiring::Two, query.as_deref(), &headers, upgrade)
}

async fn validate_one(
    State(signals): State<Signals>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<&'static str, Refusal> {
    signals.check(Wiring::One, query.as_deref(), &headers).map(|_| "success")
}

async fn validate_two(
    State(signals): State<Signals>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<&'static str, Refusal> {
    signals.check(Wiring::Two, query.as_deref(), &headers).map(|_| "success")
}

impl Signals {
    fn check(&self, wiring: Wiring, query: Option<&str>, headers: &HeaderMap) -> Result<(Claims, Request), Refusal> {
        let query = query.unwrap_or_default();
        let token = bearer(headers).map(str::to_owned).or_else(|| request::parameter(query, "access_token"));
        let claims = self.tokens.verify(&token.ok_or(Refusal::NoToken)?)?;
        if !claims.video.room_join || claims.video.room.is_empty() || claims.sub.is_empty() {
            return Err(Refusal::NoJoin);
        }
        let request = match wiring {
            Wiring::One => Request::from_join_request(query)?,
            Wiring::Two => Request::from_query(query),
        };
        Ok((claims, request))
    }

    fn open(
        self,
        wiring: Wiring,
        query: Option<&str>,
        headers: &HeaderMap,
        upgrade: WebSocketUpgrade,
    ) -> Result<Response, Refusal> {
        let (claims, request) = self.check(wiring, query, headers)?;
        let upgrade = upgrade.max_message_size(MESSAGE_LIMIT);
        Ok(upgrade.on_upgrade(move |socket| async move {
            socket::serve(socket, self.media, self.tokens, wiring, claims, request).await;
        }))
    }
}

/// The token of an `Authorization: Bearer` header.
pub(crate) fn bearer(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")
}
