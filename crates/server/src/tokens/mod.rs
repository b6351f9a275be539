//! Room tokens: LiveKit access tokens, minted for members of calls and checked for everyone who knocks.
//!
//! A token is refused once its membership was ended by an administrator ([`Tokens::void`]): every token seen or minted
//! for that room and identity until then is void, one minted later is not (removal is no ban).

mod grants;
mod ledger;

pub use grants::{Grants, PRIVILEGES_ATTRIBUTE};

use ledger::Ledger;
use livekit_token::{AccessToken, Claims, TokenVerifier};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How long a minted token opens its room. It is used within a second; minutes forgive a slow machine, and a longer
/// life would outlast the call.
pub const TOKEN_TTL: Duration = Duration::from_secs(300);

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
    ledger: Mutex<Ledger>,
}

impl Tokens {
    /// Signs with `own`; accepts `own` and all of `others`. What was made void is forgotten with the process.
    #[must_use]
    pub fn new(own: ApiKey, others: &[ApiKey]) -> Self {
        Self::with(own, others, Ledger::default())
    }

    /// The same, and what was made void is kept in `data_dir`.
    pub fn open(own: ApiKey, others: &[ApiKey], data_dir: &Path) -> anyhow::Result<Self> {
        Ok(Self::with(own, others, Ledger::open(data_dir)?))
    }

    fn with(own: ApiKey, others: &[ApiKey], ledger: Ledger) -> Self {
        let verifiers = std::iter::once(&own)
            .chain(others)
            .map(|pair| (pair.key.clone(), TokenVerifier::with_api_key(&pair.key, &pair.secret)))
            .collect();
        Self { own, verifiers, ledger: Mutex::new(ledger) }
    }

    /// A token with which `identity` enters `room` within [`TOKEN_TTL`].
    pub fn mint(&self, room: &str, identity: &str, grants: Grants) -> Result<String, TokenError> {
        let token = AccessToken::with_api_key(&self.own.key, &self.own.secret)
            .with_ttl(TOKEN_TTL)
            .with_identity(identity)
            .with_name(identity)
            .with_grants(grants.video(room))
            .with_attributes(grants.attributes())
            // A nonce: a token minted within the second in which another was made void must differ from it. Of the
            // claims this is the one that nobody else in the room gets to see.
            .with_sha256(&format!("{:016x}", rand::random::<u64>()))
            .to_jwt()
            .map_err(|_| TokenError::Invalid)?;
        self.remember(room, identity, &token);
        Ok(token)
    }

    /// A fresh token for a membership that holds `old`, which ends soon: with these claims, and void with all others after
    /// a removal. `None` while the old one is good for longer than a minted one, and where it is void.
    #[must_use]
    pub fn renew(&self, old: &str, claims: &Claims) -> Option<String> {
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
        let mut ledger = self.ledger.lock();
        if ledger.is_void(old) {
            return None;
        }
        ledger.remember(&claims.video.room, &claims.sub, &token, soon, now());
        Some(token)
    }

    fn remember(&self, room: &str, identity: &str, token: &str) {
        self.ledger.lock().remember(room, identity, token, now() + TOKEN_TTL.as_secs(), now());
    }

    /// Checks a token against all configured keys.
    pub fn verify(&self, token: &str) -> Result<Claims, TokenError> {
        let issuer = Claims::from_unverified(token).map_err(|_| TokenError::Invalid)?.iss;
        let verifier = self.verifiers.get(&issuer).ok_or(TokenError::Invalid)?;
        // The only reasons left for a token of a known issuer: the signature or its times.
        let mut claims = verifier.verify(token).map_err(|error| {
            let text = error_chain(&error);
            if text.contains("ExpiredSignature") || text.contains("ImmatureSignature") {
                TokenError::Expired
            } else {
                TokenError::Invalid
            }
        })?;
        let mut ledger = self.ledger.lock();
        if ledger.is_void(token) {
            return Err(TokenError::Void);
        }
        if claims.video.room_join && !claims.video.room.is_empty() {
            ledger.remember(&claims.video.room, &claims.sub, token, claims.exp as u64, now());
        }
        if claims.iss != self.own.key {
            // Ours alone to write: others say in grants what they allow.
            claims.attributes.remove(PRIVILEGES_ATTRIBUTE);
        }
        Ok(claims)
    }

    /// Closes the file: the server stops, and the next one of the same directory may start while somebody still holds
    /// this.
    pub(crate) fn close(&self) {
        self.ledger.lock().close();
    }

    /// Makes every token void that was seen or minted so far for this membership.
    pub fn void(&self, room: &str, identity: &str) {
        self.ledger.lock().void(room, identity);
    }
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
    use livekit_token::VideoGrants;

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
    fn what_a_key_withholds_is_written_by_us_alone_and_outlives_a_renewal() {
        let tokens = Tokens::new(pair("own"), &[pair("devkey")]);
        let grants = Grants { privileges: protocol::Privileges(42), admin: false };
        let minted = tokens.mint("r", "alice", grants).unwrap();
        let claims = tokens.verify(&minted).unwrap();
        let renewed = tokens.verify(&tokens.renew(&minted, &claims).unwrap()).unwrap();
        for claims in [claims, renewed] {
            assert_eq!(claims.attributes.get(PRIVILEGES_ATTRIBUTE), Some(&"42".to_owned()));
            assert!(!claims.video.can_publish() && claims.video.can_subscribe());
        }
        let grants = VideoGrants { room_join: true, room: "r".to_owned(), ..VideoGrants::default() };
        let attributes = [(PRIVILEGES_ATTRIBUTE, "255"), ("seat", "4")];
        let devkey = pair("devkey");
        let foreign = AccessToken::with_api_key(&devkey.key, &devkey.secret).with_identity("bob").with_grants(grants);
        let claims = tokens.verify(&foreign.with_attributes(attributes).to_jwt().unwrap()).unwrap();
        assert_eq!(claims.attributes.into_iter().collect::<Vec<_>>(), [("seat".to_owned(), "4".to_owned())]);
    }

    #[test]
    fn whoever_was_put_out_gets_no_fresh_token() {
        let tokens = Tokens::new(pair("own"), &[]);
        let minted = tokens.mint("r", "alice", Grants::MEMBER).unwrap();
        let claims = tokens.verify(&minted).unwrap();
        let renewed = tokens.renew(&minted, &claims).unwrap();
        tokens.void("r", "alice");
        // The socket may still have a change of grants to work off.
        assert_eq!((tokens.renew(&minted, &claims), tokens.renew(&renewed, &claims)), (None, None));
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
