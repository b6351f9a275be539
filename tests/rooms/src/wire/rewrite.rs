//! What a wire changes in LiveKit's signalling so that media has to go through its relays: servers are announced under
//! the relays' addresses, and clients not at all.

use anyhow::{Context as _, Result, bail};
use base64::Engine as _;
use base64::engine::general_purpose::{URL_SAFE, URL_SAFE_NO_PAD};
use livekit_protocol as proto;
use prost::Message as _;
use proto::wrapped_join_request::Compression;
use std::collections::BTreeMap;
use std::io::Read as _;
use std::net::SocketAddr;

/// One candidate (RFC 8839 section 5.1): `candidate:<foundation> <component> <transport> <priority> <address> <port> …`.
fn udp_address(line: &str) -> Option<SocketAddr> {
    let mut fields = line.split_once("candidate:")?.1.split(' ').skip(2);
    let is_udp = fields.next()?.eq_ignore_ascii_case("udp");
    let (address, port) = (fields.nth(1)?, fields.next()?);
    is_udp.then(|| format!("{address}:{port}").parse().ok())?
}

/// The addresses of all UDP candidates of a description or a single candidate.
pub(super) fn addresses(text: &str) -> Vec<SocketAddr> {
    text.lines().filter_map(udp_address).collect()
}

/// The same text with every UDP candidate under its relay's address, and no other candidates.
pub(super) fn redirect(text: &str, relays: &BTreeMap<SocketAddr, SocketAddr>) -> String {
    let line = |line: &str| {
        if !line.contains("candidate:") {
            return Some(line.to_owned());
        }
        let address = udp_address(line)?;
        let relay = relays.get(&address)?;
        let old = format!(" {} {} ", address.ip(), address.port());
        Some(line.replacen(&old, &format!(" {} {} ", relay.ip(), relay.port()), 1))
    };
    join(text, line)
}

/// The same description without candidates.
pub(super) fn strip(sdp: &str) -> String {
    join(sdp, |line| (!line.contains("candidate:")).then(|| line.to_owned()))
}

fn join(text: &str, keep: impl Fn(&str) -> Option<String>) -> String {
    let lines: Vec<String> = text.lines().filter_map(keep).collect();
    if text.ends_with('\n') { lines.join("\r\n") + "\r\n" } else { lines.join("\r\n") }
}

/// The head of an HTTP request for LiveKit's signalling.
pub(super) struct Head {
    /// Of the token.
    pub(super) identity: String,
    text: String,
}

impl Head {
    /// Reads it; `None` where it asks for something else.
    pub(super) fn read(head: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(head).ok()?;
        let target = text.split(' ').nth(1)?;
        if !target.starts_with("/rtc") || !text.to_ascii_lowercase().contains("upgrade: websocket") {
            return None;
        }
        let by_header = text.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("authorization").then(|| value.trim().trim_start_matches("Bearer ").to_owned())
        });
        let token = by_header.or_else(|| parameter(target, "access_token"))?;
        let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
        let claims: serde_json::Value = serde_json::from_slice(&claims).ok()?;
        Some(Self { identity: claims["sub"].as_str()?.to_owned(), text: text.to_owned() })
    }

    /// The same request without compression of frames, and without candidates in the join request.
    pub(super) fn rewritten(&self) -> Result<String> {
        let target = self.text.split(' ').nth(1).context("a request has a target")?;
        let plain = |line: &&str| !line.to_ascii_lowercase().starts_with("sec-websocket-extensions:");
        let text = self.text.split("\r\n").filter(plain).collect::<Vec<_>>().join("\r\n");
        match parameter(target, "join_request") {
            Some(request) => Ok(text.replacen(target, &with_join_request(target, &strip_join(&request)?)?, 1)),
            None => Ok(text),
        }
    }
}

fn parse(target: &str) -> Result<url::Url> {
    Ok(url::Url::parse(&format!("http://wire{target}"))?)
}

fn parameter(target: &str, name: &str) -> Option<String> {
    let url = parse(target).ok()?;
    url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

fn with_join_request(target: &str, request: &str) -> Result<String> {
    let mut url = parse(target)?;
    let pairs: Vec<(String, String)> = url.query_pairs().map(|(k, v)| (k.into_owned(), v.into_owned())).collect();
    url.query_pairs_mut().clear().extend_pairs(
        pairs.iter().map(|(key, value)| (key.as_str(), if key == "join_request" { request } else { value.as_str() })),
    );
    Ok(format!("{}?{}", url.path(), url.query().unwrap_or_default()))
}

fn strip_join(request: &str) -> Result<String> {
    let packed = URL_SAFE.decode(request).or_else(|_| URL_SAFE_NO_PAD.decode(request))?;
    let wrapped = proto::WrappedJoinRequest::decode(packed.as_slice())?;
    let mut plain = Vec::new();
    match wrapped.compression() {
        Compression::None => plain = wrapped.join_request,
        Compression::Gzip => {
            flate2::read::GzDecoder::new(wrapped.join_request.as_slice()).read_to_end(&mut plain)?;
        }
    }
    let mut join = proto::JoinRequest::decode(plain.as_slice())?;
    if let Some(offer) = &mut join.publisher_offer {
        offer.sdp = strip(&offer.sdp);
    }
    let wrapped =
        proto::WrappedJoinRequest { compression: Compression::None.into(), join_request: join.encode_to_vec() };
    Ok(URL_SAFE.encode(wrapped.encode_to_vec()))
}

/// A client's message without candidates; `None` where nothing is left.
pub(super) fn request(bytes: &[u8]) -> Result<Option<Vec<u8>>> {
    use proto::signal_request::Message;
    let mut request = proto::SignalRequest::decode(bytes)?;
    match &mut request.message {
        Some(Message::Offer(description) | Message::Answer(description)) => {
            description.sdp = strip(&description.sdp);
        }
        Some(Message::Trickle(_)) => return Ok(None),
        _ => return Ok(Some(bytes.to_vec())),
    }
    Ok(Some(request.encode_to_vec()))
}

/// The part of a server's message that names addresses.
pub(super) fn text_with_addresses(response: &mut proto::SignalResponse) -> Option<&mut String> {
    use proto::signal_response::Message;
    match &mut response.message {
        Some(Message::Offer(description) | Message::Answer(description)) => Some(&mut description.sdp),
        Some(Message::Trickle(trickle)) => Some(&mut trickle.candidate_init),
        _ => None,
    }
}

/// A trickled candidate is JSON around one candidate; `None` where it cannot be redirected.
pub(super) fn redirect_trickle(init: &str, relays: &BTreeMap<SocketAddr, SocketAddr>) -> Result<Option<String>> {
    let mut init: serde_json::Value = serde_json::from_str(init)?;
    let Some(candidate) = init["candidate"].as_str() else { bail!("a trickle without a candidate") };
    let redirected = redirect(candidate, relays);
    if redirected.is_empty() {
        return Ok(None);
    }
    init["candidate"] = redirected.into();
    Ok(Some(init.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SDP: &str = "v=0\r\na=ice-ufrag:x\r\na=candidate:1 1 udp 2130706431 127.0.0.1 7882 typ host\r\n\
                       a=candidate:2 1 tcp 1671430143 127.0.0.1 7881 typ host tcptype passive\r\na=end-of-candidates\r\n";

    #[test]
    fn servers_are_announced_under_the_relay_and_by_udp_alone() {
        let (server, relay) = ("127.0.0.1:7882".parse().unwrap(), "127.0.0.1:9".parse().unwrap());
        assert_eq!(addresses(SDP), [server]);
        let sdp = redirect(SDP, &BTreeMap::from([(server, relay)]));
        assert!(sdp.contains("a=candidate:1 1 udp 2130706431 127.0.0.1 9 typ host\r\n"), "{sdp}");
        assert!(!sdp.contains("tcp") && sdp.ends_with("a=end-of-candidates\r\n"), "{sdp}");
    }

    #[test]
    fn clients_are_not_announced() {
        let offer = proto::SessionDescription { sdp: SDP.to_owned(), ..Default::default() };
        let join = proto::JoinRequest { publisher_offer: Some(offer), ..Default::default() };
        let wrapped = proto::WrappedJoinRequest { compression: 0, join_request: join.encode_to_vec() };
        let packed = URL_SAFE.encode(wrapped.encode_to_vec());
        let claims = URL_SAFE_NO_PAD.encode(r#"{"sub":"bob"}"#);
        let head = format!(
            "GET /rtc/v1?auto=1&join_request={} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Extensions: permessage-deflate\r\nAuthorization: Bearer a.{claims}.c\r\n\r\n",
            packed.replace('=', "%3D")
        );
        let head = Head::read(head.as_bytes()).unwrap();
        assert_eq!(head.identity, "bob");
        let rewritten = head.rewritten().unwrap();
        assert!(rewritten.starts_with("GET /rtc/v1?auto=1&join_request="), "{rewritten}");
        assert!(!rewritten.contains("Extensions") && rewritten.ends_with("\r\n\r\n"), "{rewritten}");
        let packed = parameter(rewritten.split(' ').nth(1).unwrap(), "join_request").unwrap();
        let wrapped = proto::WrappedJoinRequest::decode(URL_SAFE.decode(packed).unwrap().as_slice()).unwrap();
        let join = proto::JoinRequest::decode(wrapped.join_request.as_slice()).unwrap();
        assert!(addresses(&join.publisher_offer.unwrap().sdp).is_empty());
        assert!(Head::read(b"GET /healthz HTTP/1.1\r\n\r\n").is_none());
    }
}
