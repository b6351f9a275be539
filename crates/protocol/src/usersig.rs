//! UserSig (TLSSigAPIv2): the ticket with which a user signs in (behaviour 2.2).
//!
//! A ticket is base64 (with `*`, `-`, `_` for `+`, `/`, `=`) of zlib of a JSON object whose `TLS.sig` is an HMAC-SHA256
//! over its other fields. Generators differ in JSON spacing, field order and zlib level: tickets are never compared as
//! text.

use crate::codes::{Code, Refusal};
use crate::ids::UserId;
use crate::time::UnixMillis;
use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig, general_purpose::STANDARD};
use flate2::{Compression, read::ZlibDecoder, write::ZlibEncoder};
use hmac::{Hmac, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::time::Duration;

/// How long the official generators let a ticket live.
pub const DEFAULT_EXPIRE: Duration = Duration::from_secs(180 * 86_400);

/// Characters of a ticket. Real ones have about 300; a larger bound costs memory before anybody has signed in.
pub const TICKET_LIMIT: usize = 4096;

/// Bytes after inflating: bounds what a small hostile ticket can blow up to.
const INFLATED_LIMIT: u64 = 8192;

/// Padding may be missing: some proxies strip it.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Why a ticket does not open the door, in the order of the checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SigError {
    /// Not base64, not zlib, not JSON, or a field is missing (-70003).
    #[error("damaged or incomplete")]
    Undecodable,
    /// `TLS.sdkappid` is another one (-70014).
    #[error("of another application")]
    OtherApp,
    /// The HMAC does not match (-70009).
    #[error("signed with another key")]
    Forged,
    /// A PrivateMapKey, which opens a room and signs nobody in (-70052).
    #[error("a PrivateMapKey")]
    IsMapKey,
    /// `TLS.identifier` is another one (-70013).
    #[error("of another user")]
    OtherUser,
    /// `TLS.time + TLS.expire` is not after now (-70001).
    #[error("expired")]
    Expired,
}

impl SigError {
    /// The documented code.
    #[must_use]
    pub fn code(self) -> Code {
        match self {
            Self::Undecodable => Code::SigUndecodable,
            Self::OtherApp => Code::SigOtherApp,
            Self::Forged => Code::SigForged,
            Self::IsMapKey => Code::SigIsMapKey,
            Self::OtherUser => Code::SigOtherUser,
            Self::Expired => Code::SigExpired,
        }
    }
}

impl From<SigError> for Refusal {
    fn from(error: SigError) -> Self {
        error.code().into()
    }
}

/// What is inside of a ticket. A PrivateMapKey ([`crate::map_key`]) is one with a `TLS.userbuf`.
#[derive(Serialize, Deserialize)]
pub(crate) struct Fields {
    #[serde(rename = "TLS.ver")]
    ver: String,
    #[serde(rename = "TLS.identifier")]
    pub(crate) identifier: String,
    #[serde(rename = "TLS.sdkappid")]
    sdk_app_id: u64,
    /// Seconds after `time`.
    #[serde(rename = "TLS.expire")]
    expire: u64,
    /// Seconds since 1970.
    #[serde(rename = "TLS.time")]
    time: u64,
    #[serde(rename = "TLS.userbuf", skip_serializing_if = "Option::is_none")]
    pub(crate) userbuf: Option<String>,
    #[serde(rename = "TLS.sig")]
    sig: String,
}

impl Fields {
    /// Seconds since 1970 from which on the ticket is worth nothing.
    pub(crate) fn expires(&self) -> u64 {
        self.time.saturating_add(self.expire)
    }

    /// The keyed hash over the signed text.
    fn mac(&self, key: &str) -> Hmac<Sha256> {
        let mut text = format!(
            "TLS.identifier:{}\nTLS.sdkappid:{}\nTLS.time:{}\nTLS.expire:{}\n",
            self.identifier, self.sdk_app_id, self.time, self.expire
        );
        if let Some(userbuf) = &self.userbuf {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "TLS.userbuf:{userbuf}");
        }
        let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).expect("HMAC takes a key of any length");
        mac.update(text.as_bytes());
        mac
    }
}

/// Mints and checks the tickets of one application.
#[derive(Clone)]
pub struct TicketKey {
    sdk_app_id: u64,
    /// Taken as text: the hexadecimal digits of the usual keys are not decoded.
    key: String,
}

impl std::fmt::Debug for TicketKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TicketKey").field("sdk_app_id", &self.sdk_app_id).finish_non_exhaustive()
    }
}

impl TicketKey {
    /// The key of application `sdk_app_id`.
    pub fn new(sdk_app_id: u64, key: impl Into<String>) -> Self {
        Self { sdk_app_id, key: key.into() }
    }

    /// The application that this key belongs to.
    #[must_use]
    pub fn sdk_app_id(&self) -> u64 {
        self.sdk_app_id
    }

    /// A ticket for `user`, valid for `expire` from `now` on.
    #[must_use]
    pub fn mint(&self, user: &UserId, expire: Duration, now: UnixMillis) -> String {
        self.seal(user, expire, now, None)
    }

    /// Signs and packs the fields.
    pub(crate) fn seal(&self, user: &UserId, expire: Duration, now: UnixMillis, userbuf: Option<String>) -> String {
        let mut fields = Fields {
            ver: "2.0".to_owned(),
            identifier: user.as_str().to_owned(),
            sdk_app_id: self.sdk_app_id,
            expire: expire.as_secs(),
            time: now.seconds(),
            userbuf,
            sig: String::new(),
        };
        fields.sig = STANDARD.encode(fields.mac(&self.key).finalize().into_bytes());
        let json = serde_json::to_vec(&fields).expect("strings and numbers always serialise");
        let mut zlib = ZlibEncoder::new(Vec::new(), Compression::default());
        zlib.write_all(&json).expect("writing to a Vec cannot fail");
        let packed = zlib.finish().expect("writing to a Vec cannot fail");
        STANDARD.encode(packed).replace('+', "*").replace('/', "-").replace('=', "_")
    }

    /// Checks a ticket of `user`; the first failure answers, in the order of [`SigError`]. Gives back when it expires.
    pub fn check(&self, ticket: &str, user: &UserId, now: UnixMillis) -> Result<UnixMillis, SigError> {
        let fields = self.open(ticket)?;
        if fields.userbuf.is_some() {
            return Err(SigError::IsMapKey);
        }
        if fields.identifier != user.as_str() {
            return Err(SigError::OtherUser);
        }
        let expires = fields.expires();
        if expires <= now.seconds() {
            return Err(SigError::Expired);
        }
        Ok(UnixMillis(expires.saturating_mul(1000)))
    }

    /// The fields of a ticket that this key has signed.
    pub(crate) fn open(&self, ticket: &str) -> Result<Fields, SigError> {
        let fields = decode(ticket).ok_or(SigError::Undecodable)?;
        if fields.sdk_app_id != self.sdk_app_id {
            return Err(SigError::OtherApp);
        }
        let sig = STANDARD.decode(&fields.sig).map_err(|_| SigError::Forged)?;
        // Constant time: `verify_slice` does not stop at the first wrong byte.
        fields.mac(&self.key).verify_slice(&sig).map_err(|_| SigError::Forged)?;
        Ok(fields)
    }
}

fn decode(ticket: &str) -> Option<Fields> {
    if ticket.len() > TICKET_LIMIT {
        return None;
    }
    let base64 = ticket.trim().replace('*', "+").replace('-', "/").replace('_', "=");
    let packed = LENIENT.decode(base64).ok()?;
    let mut json = Vec::new();
    ZlibDecoder::new(packed.as_slice()).take(INFLATED_LIMIT + 1).read_to_end(&mut json).ok()?;
    if json.len() as u64 > INFLATED_LIMIT {
        return None;
    }
    let fields: Fields = serde_json::from_slice(&json).ok()?;
    (fields.ver == "2.0").then_some(fields)
}
