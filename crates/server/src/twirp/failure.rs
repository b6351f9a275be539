//! Twirp's errors (Twirp wire protocol v7, "Error codes"), as LiveKit uses them.

use crate::rooms::RoomsError;
use crate::rtc::Gone;
use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use room::server::Refused;
use room::server::limits::TooLarge;

/// Why a request is refused.
#[derive(Debug)]
pub(super) enum Failure {
    /// No token, or one that no key signed, or an old one.
    Unauthenticated(String),
    /// A good token that does not allow this.
    PermissionDenied,
    /// What is named does not exist.
    NotFound(&'static str),
    /// A value that its field does not take.
    InvalidArgument(String),
    /// Not now, or not here.
    FailedPrecondition(&'static str),
    /// The body cannot be read.
    Malformed(String),
    /// No such method, or not asked as Twirp asks.
    BadRoute(&'static str),
    /// LiveKit's own server does not do it either.
    Unimplemented,
    /// The rooms are gone.
    Unavailable(String),
}

pub(super) const NO_ROOM: Failure = Failure::NotFound("requested room does not exist");
pub(super) const NO_PARTICIPANT: Failure = Failure::NotFound("participant does not exist");

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let (status, code, msg) = match self {
            Self::Unauthenticated(why) => (StatusCode::UNAUTHORIZED, "unauthenticated", why),
            Self::PermissionDenied => {
                (StatusCode::FORBIDDEN, "permission_denied", "the token does not allow this".to_owned())
            }
            Self::NotFound(what) => (StatusCode::NOT_FOUND, "not_found", what.to_owned()),
            Self::InvalidArgument(why) => (StatusCode::BAD_REQUEST, "invalid_argument", why),
            Self::FailedPrecondition(why) => (StatusCode::PRECONDITION_FAILED, "failed_precondition", why.to_owned()),
            Self::Malformed(why) => (StatusCode::BAD_REQUEST, "malformed", format!("the body cannot be read: {why}")),
            Self::BadRoute(why) => (StatusCode::NOT_FOUND, "bad_route", why.to_owned()),
            Self::Unimplemented => {
                (StatusCode::NOT_IMPLEMENTED, "unimplemented", "this is not offered here".to_owned())
            }
            Self::Unavailable(why) => (StatusCode::SERVICE_UNAVAILABLE, "unavailable", why),
        };
        (status, Json(serde_json::json!({ "code": code, "msg": msg }))).into_response()
    }
}

impl From<RoomsError> for Failure {
    fn from(error: RoomsError) -> Self {
        match error {
            RoomsError::NotExist => NO_ROOM,
            RoomsError::NoMember => NO_PARTICIPANT,
            RoomsError::Unavailable(why) => Self::Unavailable(why),
        }
    }
}

impl From<Gone> for Failure {
    fn from(gone: Gone) -> Self {
        Self::Unavailable(gone.to_string())
    }
}

impl From<Refused> for Failure {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::NoMember => NO_PARTICIPANT,
            Refused::NoTrack => Self::NotFound("track is not found"),
            Refused::TooLarge(what) => what.into(),
        }
    }
}

impl From<TooLarge> for Failure {
    fn from(what: TooLarge) -> Self {
        Self::InvalidArgument(what.to_string())
    }
}
