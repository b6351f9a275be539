//! What goes wrong with a request, with the codes that Tencent Cloud documents.

use super::signature::SignatureError;
use crate::records::RecordsGone;
use crate::rooms::RoomsError;
use std::borrow::Cow;

/// Why a request is refused. Its text is the `Message` of the answer: one sentence for people.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Neither GET nor POST, or a body that is no JSON.
    #[error("{0}")]
    Protocol(&'static str),
    /// More bytes than any request needs.
    #[error("The request is too large.")]
    TooLarge,
    /// Not believed.
    #[error("The request is refused: {0}.")]
    Signature(#[from] SignatureError),
    /// A key id that cannot be one.
    #[error("A SecretId has 1 to 64 characters of A-Z a-z 0-9 _ and -.")]
    SecretId,
    /// No such key.
    #[error("There is no key with this SecretId.")]
    SecretIdUnknown,
    /// A token of temporary keys.
    #[error("There are no temporary keys here: leave out X-TC-Token.")]
    Token,
    /// Another version of the API.
    #[error("X-TC-Version must be {version}.", version = super::VERSION)]
    Version,
    /// No such API.
    #[error("There is no such action here.")]
    Action,
    /// Too many requests of one API by one key.
    #[error("More requests than allowed: at most {0} a second for each action and key.")]
    Limit(u32),
    /// The body is no JSON object.
    #[error("The body must be one JSON object.")]
    Body,
    /// A needed parameter is not there.
    #[error("The parameter {0} is missing.")]
    Missing(&'static str),
    /// A parameter of the wrong kind.
    #[error("The parameter {0} must be {1}.")]
    Invalid(&'static str, &'static str),
    /// A documented code for a broken rule.
    #[error("{1}")]
    Rule(&'static str, &'static str),
    /// No room can have this id.
    #[error("The room id is wrong: {0}.")]
    Room(#[from] protocol::ids::IdError),
    /// A parameter that the action does not have.
    #[error("There is no parameter {0}.")]
    Unknown(String),
    /// Another application.
    #[error("SdkAppId is not the application of this server.")]
    OtherApp,
    /// No such room now.
    #[error("There is no such room.")]
    NoRoom,
    /// Not in the room now.
    #[error("This user is not in the room.")]
    NoUser,
    /// Ours.
    #[error("The server could not do it: {0}.")]
    Internal(String),
}

impl Fault {
    /// The documented code.
    #[must_use]
    pub fn code(&self) -> Cow<'static, str> {
        match self {
            Self::Protocol(_) => "UnsupportedProtocol".into(),
            Self::TooLarge => "RequestSizeLimitExceeded".into(),
            Self::Signature(SignatureError::Expired) => "AuthFailure.SignatureExpire".into(),
            Self::Signature(
                SignatureError::Unsigned
                | SignatureError::Malformed
                | SignatureError::HeadersMissing
                | SignatureError::HeaderAbsent
                | SignatureError::Timestamp
                | SignatureError::Date
                | SignatureError::Mismatch,
            ) => "AuthFailure.SignatureFailure".into(),
            Self::SecretId => "AuthFailure.InvalidSecretId".into(),
            Self::SecretIdUnknown => "AuthFailure.SecretIdNotFound".into(),
            Self::Token => "AuthFailure.TokenFailure".into(),
            Self::Version => "NoSuchVersion".into(),
            Self::Action => "InvalidAction".into(),
            Self::Limit(_) => "RequestLimitExceeded".into(),
            Self::Body => "InvalidParameter".into(),
            Self::Missing(field) => format!("MissingParameter.{field}").into(),
            Self::Invalid(field, _) => format!("InvalidParameter.{field}").into(),
            Self::Rule(code, _) => (*code).into(),
            Self::Room(_) => "InvalidParameterValue.RoomId".into(),
            Self::Unknown(_) => "UnknownParameter".into(),
            Self::OtherApp => "UnauthorizedOperation.SdkAppId".into(),
            Self::NoRoom => "FailedOperation.RoomNotExist".into(),
            Self::NoUser => "FailedOperation.UserNotExist".into(),
            Self::Internal(_) => "InternalError".into(),
        }
    }
}

impl From<RoomsError> for Fault {
    fn from(error: RoomsError) -> Self {
        match error {
            RoomsError::NotExist => Self::NoRoom,
            RoomsError::NoMember => Self::NoUser,
            RoomsError::Unavailable(why) => Self::Internal(why),
        }
    }
}

impl From<RecordsGone> for Fault {
    fn from(gone: RecordsGone) -> Self {
        Self::Internal(gone.to_string())
    }
}
