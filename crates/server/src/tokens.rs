//! Room tokens: LiveKit access tokens, minted for members of calls and checked for everyone who knocks.
//!
//! A token is refused once its membership was ended by an administrator ([`Tokens::void`]): every token seen or minted
//! for that room and identity until then is void, one minted later is not (removal is no ban).

use livekit_token::{AccessToken, Claims, TokenVerifier, VideoGrants};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How long a minted token opens its room. It is used within a second; minutes forgive a slow machine, and a longer
/// life would outlast the call.
pub const TOKEN_TTL: Duration = Duration::from_secs(300);

/// Between two sweeps of expired entries.
const SWEEP_INTERVAL: Duration = Duration::from_secs(60);

/// The clock difference that the verifier forgives: void entries live as long as it could still accept their token.
const LEEWAY_SECONDS: u64 = 120;

/// What a token allows in its room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grants {
    /// Send audio, video and data.
    pub publish: bool,
    /// Receive.
    pub subscribe: bool,
    /// Remove others, change the room.
    pub admin: bool,
}

impl Grants {
    /// A member of a call.
    pub const MEMBER: Self = Self { publish: true, subscribe: true, admin: false };
}

/// Why a token is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// No configured key signed it, or it is damaged.
    #[error("the token is not valid")]
    Invalid,
    /// Too old (or not yet valid).
    #[error("the token has expired")]
    Expired,
    /// Its membership was ended.
    #[error("the token is void: its user was removed from the room")]
    Void,
}

/// One key pair, as LiveKit has them.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// Name of the key, the issuer in tokens.
    pub key: String,
    /// Never printed.
    pub secret: String,
}

impl std::fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ApiKey").field("key", &self.key).finish_non_exhaustive()
    }
}

/// Mints and checks room tokens.
#[derive(Debug)]
pub struct Tokens {
    own: ApiKey,
    verifiers: BTreeMap<String, TokenVerifier>,
    memory: Mutex<Memory>,
}

/// Signatures of tokens, with their expiry in seconds since 1970.
#[derive(Debug, Default)]
struct Memory {
    known: BTreeMap<(String, String), BTreeMap<String, u64>>,
    void: BTreeMap<String, u64>,
    swept: u64,
}

impl Tokens {
    /// Signs with `own`; accepts `own` and all of `others`.
    #[must_use]
    pub fn new(own: ApiKey, others: &[ApiKey]) -> Self {
        let verifiers = std::iter::once(&own)
            .chain(others)
            .map(|pair| (pair.key.clone(), TokenVerifier::with_api_key(&pair.key, &pair.secret)))
            .collect();
        Self { own, verifiers, memory: Mutex::default() }
    }

    /// A token with which `identity` enters `room` within [`TOKEN_TTL`].
    pub fn mint(&self, room: &str, identity: &str, grants: Grants) -> Result<String, TokenError> {
        let video = VideoGrants {
            room_join: true,
            room: room.to_owned(),
            room_admin: grants.admin,
            can_publish: Some(grants.publish),
            can_publish_data: Some(grants.publish),
            can_subscribe: Some(grants.subscribe),
            ..VideoGrants::default()
        };
        let token = AccessToken::with_api_key(&self.own.key, &self.own.secret)
            .with_ttl(TOKEN_TTL)
            .with_identity(identity)
            .with_name(identity)
            .with_grants(video)
            // A nonce: a token minted within the second in which another was made void must differ from it. Of the
            // claims this is the one that nobody else in the room gets to see.
            .with_sha256(&format!("{:016x}", rand::random::<u64>()))
            .to_jwt()
            .map_err(|_| TokenError::Invalid)?;
        let mut memory = self.memory.lock();
        memory.remember(room, identity, &token, now() + TOKEN_TTL.as_secs());
        Ok(token)
    }

    /// A fresh token for a membership whose own ends soon: same claims, and void with all others after a removal.
    /// `None` while the old one is good for longer than a minted one.
    #[must_use]
    pub fn renew(&self, claims: &Claims) -> Option<String> {
        let soon = now() + TOKEN_TTL.as_secs();
        if claims.exp as u64 > soon && claims.iss != self.own.key {
            return None;
        }
        let token = AccessToken::with_api_key(&self.own.key, &self.own.secret)
            .with_ttl(TOKEN_TTL)
            .with_identity(&claims.sub)
            .with_name(&claims.name)
            .with_kind(&claims.kind)
            .with_metadata(&claims.metadata)
            .with_attributes(&claims.attributes)
            .with_grants(claims.video.clone())
            .with_sha256(&format!("{:016x}", rand::random::<u64>()))
            .to_jwt()
            .ok()?;
        self.memory.lock().remember(&claims.video.room, &claims.sub, &token, now() + TOKEN_TTL.as_secs());
        Some(token)
    }

    /// Checks a token against all configured keys.
    pub fn verify(&self, token: &str) -> Result<Claims, TokenError> {
        let issuer = Claims::from_unverified(token).map_err(|_| TokenError::Invalid)?.iss;
        let verifier = self.verifiers.get(&issuer).ok_or(TokenError::Invalid)?;
        // The only reasons left for a token of a known issuer: the signature or its times.
        let claims = verifier.verify(token).map_err(|error| {
            let text = error_chain(&error);
            if text.contains("ExpiredSignature") || text.contains("ImmatureSignature") {
                TokenError::Expired
            } else {
                TokenError::Invalid
            }
        })?;
        let mut memory = self.memory.lock();
        if memory.void.contains_key(signature(token)) {
            return Err(TokenError::Void);
        }
        if claims.video.room_join && !claims.video.room.is_empty() {
            memory.remember(&claims.video.room, &claims.sub, token, claims.exp as u64);
        }
        Ok(claims)
    }

    /// Makes every token void that was seen or minted so far for this membership.
    pub fn void(&self, room: &str, identity: &str) {
        let mut memory = self.memory.lock();
        if let Some(tokens) = memory.known.remove(&(room.to_owned(), identity.to_owned())) {
            memory.void.extend(tokens);
        }
    }
}

impl Memory {
    fn remember(&mut self, room: &str, identity: &str, token: &str, expires: u64) {
        self.sweep(now());
        let tokens = self.known.entry((room.to_owned(), identity.to_owned())).or_default();
        tokens.insert(signature(token).to_owned(), expires);
    }

    fn sweep(&mut self, now: u64) {
        if now < self.swept + SWEEP_INTERVAL.as_secs() {
            return;
        }
        self.swept = now;
        let alive = |expires: &u64| expires.saturating_add(LEEWAY_SECONDS) > now;
        self.void.retain(|_, expires| alive(expires));
        self.known.retain(|_, tokens| {
            tokens.retain(|_, expires| alive(expires));
            !tokens.is_empty()
        });
    }
}

/// The part of a token that nobody without the secret can make up.
fn signature(token: &str) -> &str {
    token.rsplit('.').next().unwrap_or_default()
}

fn error_chain(error: &dyn std::error::Error) -> String {
    let mut text = format!("{error:?}");
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(&format!(" {cause:?}"));
        source = cause.source();
    }
    text
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(key: &str) -> ApiKey {
        ApiKey { key: key.to_owned(), secret: format!("{key}-secret-of-more-than-32-characters") }
    }

    fn foreign(key: &ApiKey, ttl: i64) -> String {
        let grants = VideoGrants { room_join: true, room: "r".to_owned(), ..VideoGrants::default() };
        let claims = AccessToken::with_api_key(&key.key, &key.secret).with_identity("bob").with_grants(grants);
        if ttl >= 0 {
            return claims.with_ttl(Duration::from_secs(ttl.unsigned_abs())).to_jwt().unwrap();
        }
        // The builder cannot look back: sign an expired claim set by hand.
        use base64::Engine as _;
        use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
        use hmac::{Hmac, Mac};
        let expired = now().saturating_sub(ttl.unsigned_abs());
        let body = format!(r#"{{"exp":{expired},"nbf":0,"iss":"{}","sub":"bob"}}"#, key.key);
        let text = format!("{}.{}", B64.encode(r#"{"alg":"HS256","typ":"JWT"}"#), B64.encode(body));
        let mut mac = Hmac::<sha2::Sha256>::new_from_slice(key.secret.as_bytes()).unwrap();
        mac.update(text.as_bytes());
        format!("{text}.{}", B64.encode(mac.finalize().into_bytes()))
    }

    #[test]
    fn own_and_configured_keys_open_and_others_do_not() {
        let tokens = Tokens::new(pair("own"), &[pair("devkey")]);
        let minted = tokens.mint("n:1", "alice", Grants::MEMBER).unwrap();
        let claims = tokens.verify(&minted).unwrap();
        assert_eq!((claims.sub.as_str(), claims.video.room.as_str()), ("alice", "n:1"));
        assert!(claims.video.room_join && claims.video.can_publish() && !claims.video.room_admin);
        assert_eq!(tokens.verify(&foreign(&pair("devkey"), 60)).unwrap().sub, "bob");
        assert_eq!(tokens.verify(&foreign(&pair("stranger"), 60)), Err(TokenError::Invalid));
        let wrong_secret = ApiKey { key: "devkey".to_owned(), secret: "x".repeat(40) };
        assert_eq!(tokens.verify(&foreign(&wrong_secret, 60)), Err(TokenError::Invalid));
        assert_eq!(tokens.verify("no.token.atall"), Err(TokenError::Invalid));
    }

    #[test]
    fn an_expired_token_says_so() {
        let tokens = Tokens::new(pair("own"), &[pair("devkey")]);
        assert_eq!(tokens.verify(&foreign(&pair("devkey"), -3600)), Err(TokenError::Expired));
    }

    #[test]
    fn removal_voids_seen_and_unseen_tokens_and_no_later_one() {
        let tokens = Tokens::new(pair("own"), &[pair("devkey")]);
        let unseen = tokens.mint("r", "bob", Grants::MEMBER).unwrap();
        let seen = foreign(&pair("devkey"), 60);
        tokens.verify(&seen).unwrap();
        let other = tokens.mint("r", "carol", Grants::MEMBER).unwrap();
        tokens.void("r", "bob");
        assert_eq!(tokens.verify(&unseen), Err(TokenError::Void));
        assert_eq!(tokens.verify(&seen), Err(TokenError::Void));
        assert!(tokens.verify(&other).is_ok());
        assert!(tokens.verify(&tokens.mint("r", "bob", Grants::MEMBER).unwrap()).is_ok());
    }
}
