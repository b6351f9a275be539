//! TC3-HMAC-SHA256, the signature of Tencent Cloud API 3.0: made, and checked on a request as it came in.
//!
//! ```text
//! canonical request = METHOD \n / \n QUERY \n name:value\n name:value\n \n names \n hex(sha256(payload))
//! string to sign    = TC3-HMAC-SHA256 \n timestamp \n date/service/tc3_request \n hex(sha256(canonical request))
//! signature         = hex(hmac(hmac(hmac(hmac("TC3" key, date), service), "tc3_request"), string to sign))
//! ```
//!
//! Clients differ in what they sign for the same request: one signs the host with its port and one without, the vendor's
//! own example signs values in lower case and its SDKs do not. Every form that is known is tried; each needs the key.

use crate::utc;
use axum::http::HeaderMap;
use hmac::{Hmac, Mac as _};
use sha2::{Digest as _, Sha256};
use std::fmt::Write as _;

/// The only algorithm that is served.
pub const ALGORITHM: &str = "TC3-HMAC-SHA256";

/// Last part of a credential's scope.
const TERMINATOR: &str = "tc3_request";

/// How far a client's clock may be away, in seconds (documented: five minutes).
pub const CLOCK_SKEW: u64 = 300;

/// Stands in the payload's place where the client does not sign it.
const UNSIGNED: &str = "UNSIGNED-PAYLOAD";

/// Headers that a signature has to cover (documented).
const ALWAYS_SIGNED: [&str; 2] = ["content-type", "host"];

/// Header with the seconds since 1970 at which a request was signed.
const TIMESTAMP: &str = "x-tc-timestamp";

/// Why a request is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// No header, or another algorithm.
    #[error("the request has no Authorization of the kind TC3-HMAC-SHA256")]
    Unsigned,
    /// The header cannot be read.
    #[error(
        "Authorization is written TC3-HMAC-SHA256 Credential=ID/DATE/SERVICE/tc3_request, SignedHeaders=NAMES, Signature=HEX"
    )]
    Malformed,
    /// The signature leaves out what it has to cover.
    #[error("content-type and host must be among the signed headers")]
    HeadersMissing,
    /// A header in the list is not in the request.
    #[error("a signed header is not in the request, or is there twice")]
    HeaderAbsent,
    /// No number in X-TC-Timestamp.
    #[error("X-TC-Timestamp must be the seconds since 1970")]
    Timestamp,
    /// The clocks are too far apart, or somebody repeats an old request.
    #[error("X-TC-Timestamp is more than five minutes away from the server's clock")]
    Expired,
    /// The scope's date is not the timestamp's.
    #[error("the date in Credential is not the UTC date of X-TC-Timestamp")]
    Date,
    /// Another key, or a changed request.
    #[error("the signature does not match the request")]
    Mismatch,
}

/// What an `Authorization` header says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authorization<'a> {
    /// Whose key.
    pub secret_id: &'a str,
    date: &'a str,
    service: &'a str,
    /// In lower case, in the order given.
    signed_headers: &'a str,
    signature: [u8; 32],
}

impl<'a> Authorization<'a> {
    /// Reads the header.
    pub fn parse(header: &'a str) -> Result<Self, SignatureError> {
        let parts = header.strip_prefix(ALGORITHM).and_then(|rest| rest.strip_prefix(' '));
        let (mut credential, mut signed_headers, mut signature) = (None, None, None);
        for part in parts.ok_or(SignatureError::Unsigned)?.split(',') {
            let (name, value) = part.trim().split_once('=').ok_or(SignatureError::Malformed)?;
            let place = match name {
                "Credential" => &mut credential,
                "SignedHeaders" => &mut signed_headers,
                "Signature" => &mut signature,
                _ => return Err(SignatureError::Malformed),
            };
            if place.replace(value).is_some() {
                return Err(SignatureError::Malformed);
            }
        }
        let scope: Vec<&str> = credential.unwrap_or_default().split('/').collect();
        let &[secret_id, date, service, TERMINATOR] = scope.as_slice() else {
            return Err(SignatureError::Malformed);
        };
        let signature = signature.and_then(from_hex).ok_or(SignatureError::Malformed)?;
        let signed_headers = signed_headers.filter(|names| !names.is_empty()).ok_or(SignatureError::Malformed)?;
        if secret_id.is_empty() || service.is_empty() {
            return Err(SignatureError::Malformed);
        }
        Ok(Self { secret_id, date, service, signed_headers, signature })
    }
}

/// A request as it came in.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// In capitals.
    pub method: &'a str,
    /// As sent, without the question mark.
    pub query: &'a str,
    /// All of them.
    pub headers: &'a HeaderMap,
    /// As sent.
    pub body: &'a [u8],
}

impl Request<'_> {
    /// What a header says, if it is there once and readable.
    fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.get_all(name).iter();
        let value = values.next()?.to_str().ok()?;
        values.next().is_none().then(|| value.trim())
    }

    fn payload(&self) -> &[u8] {
        if self.header("x-tc-content-sha256") == Some(UNSIGNED) {
            UNSIGNED.as_bytes()
        } else if self.method == "GET" {
            b""
        } else {
            self.body
        }
    }

    /// With `host` in place of what the header says; values in lower case where `lower` is set.
    fn canonical(&self, signed_headers: &str, host: &str, lower: bool) -> Result<String, SignatureError> {
        let mut headers = String::new();
        for name in signed_headers.split(';') {
            let value = if name == "host" { Some(host) } else { self.header(name) };
            let value = value.ok_or(SignatureError::HeaderAbsent)?;
            let value = if lower { value.to_lowercase() } else { value.to_owned() };
            // Writing to a String cannot fail.
            let _ = writeln!(headers, "{name}:{value}");
        }
        Ok(canonical(self.method, self.query, &headers, signed_headers, self.payload()))
    }
}

/// Checks the signature of `request` by the key whose id it names. `hosts` are names of this server beside the one in the
/// Host header, for proxies that replace it; `now` is in seconds since 1970.
pub fn verify(
    request: Request<'_>,
    authorization: &Authorization<'_>,
    secret_key: &str,
    hosts: &[String],
    now: u64,
) -> Result<(), SignatureError> {
    let signed_headers = authorization.signed_headers.to_ascii_lowercase();
    if !ALWAYS_SIGNED.iter().all(|always| signed_headers.split(';').any(|name| name == *always)) {
        return Err(SignatureError::HeadersMissing);
    }
    let timestamp = request.header(TIMESTAMP).ok_or(SignatureError::Timestamp)?;
    let seconds: u64 = timestamp.parse().map_err(|_| SignatureError::Timestamp)?;
    if seconds.abs_diff(now) > CLOCK_SKEW {
        return Err(SignatureError::Expired);
    }
    if utc::date(seconds) != authorization.date {
        return Err(SignatureError::Date);
    }
    let host = request.header("host").ok_or(SignatureError::HeaderAbsent)?;
    let key = signing_key(secret_key, authorization.date, authorization.service);
    for host in std::iter::once(host).chain(hosts.iter().map(String::as_str)) {
        for host in [host, without_port(host)] {
            for lower in [false, true] {
                let canonical = request.canonical(&signed_headers, host, lower)?;
                let text = string_to_sign(timestamp, authorization.date, authorization.service, &canonical);
                // Compares in constant time.
                if hmac(&key, text.as_bytes()).verify_slice(&authorization.signature).is_ok() {
                    return Ok(());
                }
            }
        }
    }
    Err(SignatureError::Mismatch)
}

/// The `Authorization` of a request of ours. `headers` are those to be signed, by name in lower case and in order.
#[must_use]
pub fn authorize(
    (secret_id, secret_key): (&str, &str),
    (method, query): (&str, &str),
    headers: &[(&str, &str)],
    payload: &[u8],
    (service, seconds): (&str, u64),
) -> String {
    let date = utc::date(seconds);
    let names = headers.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(";");
    let lines: String = headers.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
    let canonical = canonical(method, query, &lines, &names, payload);
    let text = string_to_sign(&seconds.to_string(), &date, service, &canonical);
    let signature = hex(&hmac(&signing_key(secret_key, &date, service), text.as_bytes()).finalize().into_bytes());
    format!(
        "{ALGORITHM} Credential={secret_id}/{date}/{service}/{TERMINATOR}, SignedHeaders={names}, Signature={signature}"
    )
}

fn canonical(method: &str, query: &str, headers: &str, signed_headers: &str, payload: &[u8]) -> String {
    format!("{method}\n/\n{query}\n{headers}\n{signed_headers}\n{}", hex(&Sha256::digest(payload)))
}

fn string_to_sign(timestamp: &str, date: &str, service: &str, canonical: &str) -> String {
    format!("{ALGORITHM}\n{timestamp}\n{date}/{service}/{TERMINATOR}\n{}", hex(&Sha256::digest(canonical)))
}

fn signing_key(secret_key: &str, date: &str, service: &str) -> Vec<u8> {
    let mut key = format!("TC3{secret_key}").into_bytes();
    for part in [date, service, TERMINATOR] {
        key = hmac(&key, part.as_bytes()).finalize().into_bytes().to_vec();
    }
    key
}

fn hmac(key: &[u8], text: &[u8]) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    mac.update(text);
    mac
}

/// A host without `:port`. An IPv6 address has its colons in brackets.
fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        Some(_) | None => host,
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn from_hex(text: &str) -> Option<[u8; 32]> {
    let digits = text.as_bytes();
    if digits.len() != 64 || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(bytes)
}
