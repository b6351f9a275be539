//! What a client asks when it connects, from either form of the address.

use crate::tokens::PRIVILEGES_ATTRIBUTE;
use base64::Engine as _;
use base64::engine::general_purpose::{URL_SAFE, URL_SAFE_NO_PAD};
use flate2::read::GzDecoder;
use livekit_protocol as proto;
use livekit_token::Claims;
use prost::Message as _;
use proto::wrapped_join_request::Compression;
use protocol::Privileges;
use room::server::{Joining, Wiring};
use std::io::Read as _;

/// Largest join request after unpacking: an offer with hundreds of sections. More is an attack.
const REQUEST_LIMIT: u64 = 1 << 20;

/// Why a join request cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum RequestError {
    #[error("join_request is missing")]
    Missing,
    #[error("join_request is not base64")]
    Base64,
    #[error("join_request cannot be unpacked")]
    Compression,
    #[error("join_request is not a JoinRequest")]
    Protobuf,
}

/// A join or a resume.
#[derive(Debug, Default)]
pub(super) struct Request {
    pub join: proto::JoinRequest,
    pub auto_subscribe: bool,
}

/// The first value of a query parameter, decoded.
pub(super) fn parameter(query: &str, name: &str) -> Option<String> {
    url::form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

impl Request {
    /// `/rtc/v1`: a `WrappedJoinRequest` in url-safe base64.
    pub fn from_join_request(query: &str) -> Result<Self, RequestError> {
        let text = parameter(query, "join_request").ok_or(RequestError::Missing)?;
        let text = text.trim_end_matches('=');
        let wrapped =
            URL_SAFE_NO_PAD.decode(text).or_else(|_| URL_SAFE.decode(text)).map_err(|_| RequestError::Base64)?;
        let wrapped = proto::WrappedJoinRequest::decode(wrapped.as_slice()).map_err(|_| RequestError::Protobuf)?;
        let plain = match wrapped.compression() {
            Compression::None => wrapped.join_request,
            Compression::Gzip => unpack(&wrapped.join_request)?,
        };
        let join = proto::JoinRequest::decode(plain.as_slice()).map_err(|_| RequestError::Protobuf)?;
        let auto_subscribe = join.connection_settings.as_ref().is_none_or(|settings| settings.auto_subscribe);
        Ok(Self { join, auto_subscribe })
    }

    /// `/rtc`: query parameters.
    pub fn from_query(query: &str) -> Self {
        let is_on = |name: &str| parameter(query, name).is_some_and(|value| value == "1" || value == "true");
        let number = |name: &str| parameter(query, name).and_then(|value| value.parse().ok()).unwrap_or_default();
        let client_info = proto::ClientInfo { protocol: number("protocol"), ..Default::default() };
        let join = proto::JoinRequest {
            client_info: Some(client_info),
            reconnect: is_on("reconnect"),
            participant_sid: parameter(query, "sid").unwrap_or_default(),
            ..Default::default()
        };
        Self { join, auto_subscribe: parameter(query, "auto_subscribe").is_none() || is_on("auto_subscribe") }
    }

    /// Who comes in, as the token says, and with what client. Metadata of the request counts where the token lets its
    /// holder change it.
    pub fn joining(&self, claims: Claims, wiring: Wiring, unix_ms: i64) -> Joining {
        let privileges = privileges(&claims);
        let permission = permission(&claims, privileges);
        let mut metadata = claims.metadata;
        let mut attributes: std::collections::BTreeMap<String, String> = claims.attributes.into_iter().collect();
        attributes.remove(PRIVILEGES_ATTRIBUTE);
        if permission.can_update_metadata {
            if !self.join.metadata.is_empty() {
                metadata.clone_from(&self.join.metadata);
            }
            attributes.extend(self.join.participant_attributes.clone());
        }
        Joining {
            identity: claims.sub,
            name: claims.name,
            metadata,
            attributes,
            permission,
            privileges,
            kind: kind(&claims.kind),
            wiring,
            auto_subscribe: self.auto_subscribe,
            client_protocol: self.join.client_info.as_ref().map_or(0, |client| client.protocol),
            unix_ms,
        }
    }
}

fn unpack(packed: &[u8]) -> Result<Vec<u8>, RequestError> {
    let mut plain = Vec::new();
    let mut decoder = GzDecoder::new(packed).take(REQUEST_LIMIT + 1);
    decoder.read_to_end(&mut plain).map_err(|_| RequestError::Compression)?;
    if plain.len() as u64 > REQUEST_LIMIT {
        return Err(RequestError::Compression);
    }
    Ok(plain)
}

/// What a key for the room allows. A number that cannot be read allows nothing.
fn privileges(claims: &Claims) -> Privileges {
    let written = claims.attributes.get(PRIVILEGES_ATTRIBUTE);
    written.map_or(Privileges::ALL, |number| number.parse().map_or(Privileges::NONE, Privileges))
}
/// LiveKit's names of sources in tokens.
const SOURCES: [(&str, proto::TrackSource); 4] = [
    ("camera", proto::TrackSource::Camera),
    ("microphone", proto::TrackSource::Microphone),
    ("screen_share", proto::TrackSource::ScreenShare),
    ("screen_share_audio", proto::TrackSource::ScreenShareAudio),
];

#[allow(deprecated)]
fn permission(claims: &Claims, privileges: Privileges) -> proto::ParticipantPermission {
    let video = &claims.video;
    let source = |name: &String| {
        let named = SOURCES.iter().find(|(known, _)| known == name);
        i32::from(named.map_or(proto::TrackSource::Unknown, |(_, source)| *source))
    };
    proto::ParticipantPermission {
        can_subscribe: can_subscribe(claims, privileges),
        can_publish: video.can_publish(),
        can_publish_data: video.can_publish_data(),
        can_publish_sources: video.can_publish_sources.iter().map(source).collect(),
        hidden: video.hidden,
        can_update_metadata: video.can_update_own_metadata(),
        recorder: video.recorder,
        agent: video.agent,
        ..Default::default()
    }
}

const RECEIVE: Privileges = Privileges(8 | 32 | 128);

/// A key says kind by kind what LiveKit's grant can only say of everything.
fn can_subscribe(claims: &Claims, privileges: Privileges) -> bool {
    if claims.attributes.contains_key(PRIVILEGES_ATTRIBUTE) {
        return privileges.allow_any(RECEIVE);
    }
    claims.video.can_subscribe()
}

/// Writes what a member may and is called now into the claims of its next token. That token lives as long as one of
/// ours, so from now on it has to be renewed, however long the first one was good for.
#[allow(deprecated)]
pub(super) fn write_grants(claims: &mut Claims, joining: Joining) {
    let permission = joining.permission;
    let name = |source: &i32| SOURCES.iter().find(|(_, known)| i32::from(*known) == *source).map(|(name, _)| *name);
    let video = &mut claims.video;
    video.can_publish = Some(permission.can_publish);
    video.can_publish_data = Some(permission.can_publish_data);
    video.can_subscribe = Some(permission.can_subscribe);
    video.can_publish_sources = permission.can_publish_sources.iter().filter_map(name).map(str::to_owned).collect();
    video.can_update_own_metadata = Some(permission.can_update_metadata);
    video.hidden = permission.hidden;
    video.recorder = permission.recorder;
    video.agent = permission.agent;
    claims.name = joining.name;
    claims.metadata = joining.metadata;
    let had_key = claims.attributes.contains_key(PRIVILEGES_ATTRIBUTE);
    claims.attributes = joining.attributes.into_iter().collect();
    if had_key {
        let receives = if permission.can_subscribe { RECEIVE } else { Privileges::NONE };
        let left = joining.privileges.0 & !RECEIVE.0 | joining.privileges.0 & receives.0;
        claims.attributes.insert(PRIVILEGES_ATTRIBUTE.to_owned(), left.to_string());
    }
    claims.exp = 0;
}

fn kind(name: &str) -> proto::participant_info::Kind {
    use proto::participant_info::Kind;
    match name {
        "agent" => Kind::Agent,
        "egress" => Kind::Egress,
        "ingress" => Kind::Ingress,
        "sip" => Kind::Sip,
        _ => Kind::Standard,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Write as _;

    fn query(join: &proto::JoinRequest, gzip: bool) -> String {
        let plain = join.encode_to_vec();
        let (compression, join_request) = if gzip {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(&plain).unwrap();
            (Compression::Gzip, encoder.finish().unwrap())
        } else {
            (Compression::None, plain)
        };
        let wrapped = proto::WrappedJoinRequest { compression: compression.into(), join_request };
        format!("join_request={}", URL_SAFE.encode(wrapped.encode_to_vec()))
    }

    #[test]
    fn a_join_request_is_read_packed_and_plain() {
        let join = proto::JoinRequest { participant_sid: "PA_1".into(), reconnect: true, ..Default::default() };
        for gzip in [true, false] {
            assert_eq!(Request::from_join_request(&query(&join, gzip)).unwrap().join, join);
        }
    }

    #[test]
    fn damaged_and_oversized_requests_are_refused() {
        assert_eq!(Request::from_join_request("").unwrap_err(), RequestError::Missing);
        assert_eq!(Request::from_join_request("join_request=***").unwrap_err(), RequestError::Base64);
        let bomb = proto::JoinRequest { metadata: "x".repeat(2 << 20), ..Default::default() };
        assert_eq!(Request::from_join_request(&query(&bomb, true)).unwrap_err(), RequestError::Compression);
    }

    #[test]
    fn the_query_form_knows_a_resume() {
        let request = Request::from_query("protocol=16&auto_subscribe=0&reconnect=1&sid=PA_x");
        assert!(request.join.reconnect && !request.auto_subscribe);
        assert_eq!(request.join.participant_sid, "PA_x");
        assert!(Request::from_query("").auto_subscribe);
    }

    #[test]
    fn changed_grants_are_those_of_the_next_token() {
        let mut claims = Claims { sub: "anna".into(), exp: usize::MAX, ..Claims::default() };
        claims.video.can_publish_sources = vec!["microphone".into(), "screen_share".into()];
        let mut joining = Request::default().joining(claims.clone(), Wiring::One, 0);
        joining.permission.can_subscribe = false;
        joining.permission.can_publish_sources.retain(|source| *source == i32::from(proto::TrackSource::Microphone));
        joining.attributes.insert("hand".into(), "up".into());
        write_grants(&mut claims, joining.clone());
        let next = Request::default().joining(claims.clone(), Wiring::One, 0);
        assert_eq!((next.permission, next.attributes), (joining.permission, joining.attributes));
        assert_eq!(claims.exp, 0, "ends soon: is renewed");
    }

    proptest! {
        #[test]
        fn no_query_panics(text in "join_request=[A-Za-z0-9_=%&-]{0,64}") {
            let _ = Request::from_join_request(&text);
            let _ = Request::from_query(&text);
        }
    }
}
