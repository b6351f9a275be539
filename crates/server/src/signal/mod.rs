//! LiveKit signalling: who may enter, with what, and the WebSocket that follows.
//!
//! `/rtc/v1` (one peer connection, the whole request in `join_request`) is what clients try first; `/rtc` (two
//! connections, the request in the query) is for older ones. Both have a `validate` beside them, which tells a browser
//! in words what a refused WebSocket cannot.

mod rate;
mod request;
mod socket;

use crate::rtc::{Command, Media, RoomOptions, unix_ms};
use crate::tokens::{TokenError, Tokens};
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::{ConnectInfo, RawQuery, State};
use axum::http::{Extensions, HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Router, body::Body};
use livekit_token::Claims;
use parking_lot::Mutex;
use rate::JoinRate;
use request::{Request, RequestError};
use room::server::limits::{TooLarge, check_name};
use room::server::{JoinRefused, Joining, Wiring};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;
use tower_http::cors::CorsLayer;

/// Largest signal message: an offer with many sections stays far below.
const MESSAGE_LIMIT: usize = 1 << 20;

/// Bytes of a socket's read buffer, about one offer. It is written through at every read, and each member has one.
const READ_BUFFER: usize = 16 * 1024;

#[derive(Clone)]
struct Signals {
    media: Media,
    tokens: Arc<Tokens>,
    rate: Arc<Mutex<JoinRate>>,
}

/// The signalling routes; one address joins at most `join_rate` times in a second (0: any number). Browsers read
/// refusals, so every answer carries CORS headers.
pub fn router(media: Media, tokens: Arc<Tokens>, join_rate: u32) -> Router {
    let rate = Arc::new(Mutex::new(JoinRate::new(join_rate)));
    Router::new()
        .route("/rtc/v1", get(open_one))
        .route("/rtc", get(open_two))
        .route("/rtc/v1/validate", get(validate_one))
        .route("/rtc/validate", get(validate_two))
        .layer(CorsLayer::very_permissive())
        .with_state(Signals { media, tokens, rate })
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
    #[error(transparent)]
    TooLarge(#[from] TooLarge),
    #[error(transparent)]
    Room(#[from] JoinRefused),
    #[error("too many joins from this address: wait a second")]
    TooMany,
    #[error(transparent)]
    Gone(#[from] crate::rtc::Gone),
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response<Body> {
        let status = match &self {
            Self::NoToken | Self::Token(_) | Self::NoJoin => StatusCode::UNAUTHORIZED,
            Self::Request(_) | Self::TooLarge(_) | Self::Room(JoinRefused::TooLarge(_)) => StatusCode::BAD_REQUEST,
            Self::Room(JoinRefused::Full { .. } | JoinRefused::NotMade) => StatusCode::FORBIDDEN,
            Self::TooMany => {
                return (StatusCode::TOO_MANY_REQUESTS, [(header::RETRY_AFTER, "1")], self.to_string()).into_response();
            }
            Self::Room(JoinRefused::Finished) | Self::Gone(_) => StatusCode::SERVICE_UNAVAILABLE,
        };
        (status, self.to_string()).into_response()
    }
}

async fn open_one(
    State(signals): State<Signals>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    extensions: Extensions,
    upgrade: WebSocketUpgrade,
) -> Result<Response, Refusal> {
    signals.open(Knock { wiring: Wiring::One, query, headers, extensions }, upgrade).await
}

async fn open_two(
    State(signals): State<Signals>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    extensions: Extensions,
    upgrade: WebSocketUpgrade,
) -> Result<Response, Refusal> {
    signals.open(Knock { wiring: Wiring::Two, query, headers, extensions }, upgrade).await
}

async fn validate_one(
    State(signals): State<Signals>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    extensions: Extensions,
) -> Result<&'static str, Refusal> {
    signals.check(&Knock { wiring: Wiring::One, query, headers, extensions }).await.map(|_| "success")
}

async fn validate_two(
    State(signals): State<Signals>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    extensions: Extensions,
) -> Result<&'static str, Refusal> {
    signals.check(&Knock { wiring: Wiring::Two, query, headers, extensions }).await.map(|_| "success")
}

/// What comes with a request to enter.
struct Knock {
    wiring: Wiring,
    query: Option<String>,
    headers: HeaderMap,
    extensions: Extensions,
}

/// Somebody who may enter.
struct Entrant {
    token: String,
    claims: Claims,
    request: Request,
    joining: Box<Joining>,
}

impl Entrant {
    /// How the token wants the room, if this one makes it.
    fn room_options(&self) -> RoomOptions {
        let config = self.claims.room_config.clone().unwrap_or_default();
        RoomOptions::from_wire(config.empty_timeout, config.departure_timeout, config.max_participants, config.metadata)
    }
}

impl Signals {
    async fn check(&self, knock: &Knock) -> Result<Entrant, Refusal> {
        if let Some(ConnectInfo(peer)) = knock.extensions.get::<ConnectInfo<SocketAddr>>()
            && !self.rate.lock().allow(rate::asker(*peer, &knock.headers), Instant::now())
        {
            return Err(Refusal::TooMany);
        }
        let query = knock.query.as_deref().unwrap_or_default();
        let token = bearer(&knock.headers).map(str::to_owned).or_else(|| request::parameter(query, "access_token"));
        let token = token.ok_or(Refusal::NoToken)?;
        let claims = self.tokens.verify(&token)?;
        if !claims.video.room_join || claims.video.room.is_empty() || claims.sub.is_empty() {
            return Err(Refusal::NoJoin);
        }
        check_name(&claims.video.room)?;
        let request = match knock.wiring {
            Wiring::One => Request::from_join_request(query)?,
            Wiring::Two => Request::from_query(query),
        };
        let joining = Box::new(request.joining(claims.clone(), knock.wiring, unix_ms()));
        if !request.join.reconnect {
            let (room, joining) = (claims.video.room.clone(), joining.clone());
            self.media.ask(|reply| Command::MayJoin { room, joining, reply }).await??;
        }
        Ok(Entrant { token, claims, request, joining })
    }

    async fn open(self, knock: Knock, upgrade: WebSocketUpgrade) -> Result<Response, Refusal> {
        let entrant = self.check(&knock).await?;
        let upgrade = upgrade.read_buffer_size(READ_BUFFER).max_message_size(MESSAGE_LIMIT);
        Ok(upgrade.on_upgrade(move |socket| async move {
            socket::serve(socket, self.media, self.tokens, entrant).await;
        }))
    }
}

/// The token of an `Authorization: Bearer` header.
pub(crate) fn bearer(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")
}
