//! TC3-HMAC-SHA256 against requests captured from the official SDKs, and against everything that was tampered with.
#![allow(clippy::unwrap_used, reason = "a test that is surprised fails")]

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use proptest::prelude::*;
use serde_json::Value;
use server::tc3::signature::{Authorization, CLOCK_SKEW, Request, SignatureError, authorize, verify};

const KEY: (&str, &str) = ("AKIDexample", "secretexample");
const NOW: u64 = 1_795_198_874;

/// A request that owns what it says.
#[derive(Clone, Debug)]
struct Owned {
    method: String,
    query: String,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Owned {
    fn new(method: &str, query: &str, headers: &[(&str, &str)], body: &[u8]) -> Self {
        let mut owned =
            Self { method: method.into(), query: query.into(), headers: HeaderMap::new(), body: body.to_vec() };
        headers.iter().for_each(|(name, value)| owned.set(name, value));
        owned
    }

    fn set(&mut self, name: &str, value: &str) {
        let name = HeaderName::from_bytes(name.to_ascii_lowercase().as_bytes()).unwrap();
        self.headers.insert(name, HeaderValue::from_str(value).unwrap());
    }

    fn captured(vector: &Value) -> Self {
        let path = vector["path"].as_str().unwrap();
        let mut owned = Self::new(
            vector["method"].as_str().unwrap(),
            path.split_once('?').map_or("", |(_, query)| query),
            &[],
            vector["body"].as_str().unwrap().as_bytes(),
        );
        for (name, value) in vector["headers"].as_object().unwrap() {
            owned.set(name, value.as_str().unwrap());
        }
        owned
    }

    /// A request signed over `signed`, as sent to `127.0.0.1:80`.
    fn signed(method: &str, query: &str, signed: &[(&str, &str)], body: &[u8]) -> Self {
        let payload: &[u8] = if method == "GET" { b"" } else { body };
        let authorization = authorize(KEY, (method, query), signed, payload, ("trtc", NOW));
        let mut owned = Self::new(method, query, signed, body);
        owned.set("host", "127.0.0.1:80");
        owned.set("x-tc-timestamp", &NOW.to_string());
        owned.set("authorization", &authorization);
        owned
    }

    fn check(&self, secret: &str, hosts: &[String], now: u64) -> Result<(), SignatureError> {
        let header = self.headers.get("authorization").map_or("", |value| value.to_str().unwrap());
        let request = Request { method: &self.method, query: &self.query, headers: &self.headers, body: &self.body };
        verify(request, &Authorization::parse(header)?, secret, hosts, now)
    }
}

fn vectors() -> Vec<Value> {
    serde_json::from_str(include_str!("tc3.json")).unwrap()
}

fn time(vector: &Value) -> u64 {
    vector["headers"]["X-TC-Timestamp"].as_str().unwrap().parse().unwrap()
}

#[test]
fn requests_of_the_official_sdks_are_believed() {
    for vector in vectors() {
        let (request, now) = (Owned::captured(&vector), time(&vector));
        let secret = vector["secretKey"].as_str().unwrap();
        for clock in [now - CLOCK_SKEW, now, now + CLOCK_SKEW] {
            assert_eq!(request.check(secret, &[], clock), Ok(()), "{}", vector["client"]);
        }
        for clock in [now - CLOCK_SKEW - 1, now + CLOCK_SKEW + 1, 0] {
            assert_eq!(request.check(secret, &[], clock), Err(SignatureError::Expired));
        }
        assert_eq!(request.check("secretexamplf", &[], now), Err(SignatureError::Mismatch));
    }
}

#[test]
fn ours_are_the_same_as_the_official_ones() {
    for vector in vectors() {
        let request = Owned::captured(&vector);
        let kind = vector["headers"]["Content-Type"].as_str().unwrap();
        let signed = [("content-type", kind), ("host", vector["signed_host"].as_str().unwrap())];
        let service = vector["credential_scope"].as_str().unwrap().split('/').nth(1).unwrap();
        let key = (vector["secretId"].as_str().unwrap(), vector["secretKey"].as_str().unwrap());
        let ours = authorize(key, (&request.method, &request.query), &signed, &request.body, (service, time(&vector)));
        assert_eq!(ours, vector["headers"]["Authorization"].as_str().unwrap());
        assert!(ours.ends_with(vector["signature"].as_str().unwrap()));
    }
}

#[test]
fn each_captured_request_is_refused_when_anything_signed_changes() {
    for vector in vectors() {
        let (request, now) = (Owned::captured(&vector), time(&vector));
        let check = |change: &dyn Fn(&mut Owned)| {
            let mut changed = request.clone();
            change(&mut changed);
            changed.check("secretexample", &[], now)
        };
        assert_eq!(check(&|r| r.method = "PUT".into()), Err(SignatureError::Mismatch));
        assert_eq!(check(&|r| r.query.push('x')), Err(SignatureError::Mismatch));
        assert_eq!(check(&|r| r.set("host", "127.0.0.2:18999")), Err(SignatureError::Mismatch));
        assert_eq!(check(&|r| r.set("content-type", "text/plain")), Err(SignatureError::Mismatch));
        assert_eq!(check(&|r| r.set("x-tc-content-sha256", "UNSIGNED-PAYLOAD")), Err(SignatureError::Mismatch));
        assert_eq!(check(&|r| r.set("x-tc-timestamp", &(now + 1).to_string())), Err(SignatureError::Mismatch));
        assert_eq!(check(&|r| r.set("x-tc-timestamp", "soon")), Err(SignatureError::Timestamp));
        assert_eq!(check(&|r| drop(r.headers.remove("x-tc-timestamp"))), Err(SignatureError::Timestamp));
        assert_eq!(check(&|r| drop(r.headers.remove("authorization"))), Err(SignatureError::Unsigned));
        assert_eq!(check(&|r| drop(r.headers.remove("content-type"))), Err(SignatureError::HeaderAbsent));
        if request.method == "POST" {
            assert_eq!(check(&|r| r.body.push(b' ')), Err(SignatureError::Mismatch), "white space counts");
        }
    }
}

#[test]
fn any_list_of_signed_headers_is_rebuilt() {
    let signed = [
        ("content-type", "application/json; charset=utf-8"),
        ("host", "127.0.0.1:80"),
        ("x-tc-action", "RemoveUser"),
        ("x-tc-version", "2019-07-22"),
    ];
    let request = Owned::signed("POST", "", &signed, b"{}");
    assert_eq!(request.check(KEY.1, &[], NOW), Ok(()));
    let mut other_action = request.clone();
    other_action.set("x-tc-action", "DismissRoom");
    assert_eq!(other_action.check(KEY.1, &[], NOW), Err(SignatureError::Mismatch));
    let mut absent = request;
    absent.headers.remove("x-tc-action");
    assert_eq!(absent.check(KEY.1, &[], NOW), Err(SignatureError::HeaderAbsent));
    let mut twice = Owned::signed("POST", "", &signed, b"{}");
    twice.headers.append("x-tc-action", HeaderValue::from_static("RemoveUser"));
    assert_eq!(twice.check(KEY.1, &[], NOW), Err(SignatureError::HeaderAbsent));
    let too_few = Owned::signed("POST", "", &[("host", "127.0.0.1:80")], b"{}");
    assert_eq!(too_few.check(KEY.1, &[], NOW), Err(SignatureError::HeadersMissing));
}

#[test]
fn values_signed_in_lower_case_are_believed() {
    // The example in the vendor's documentation signs `x-tc-action:removeuser`; the header itself has capitals.
    let signed = [("content-type", "application/json"), ("host", "127.0.0.1:80"), ("x-tc-action", "removeuser")];
    let mut request = Owned::signed("POST", "", &signed, b"{}");
    request.set("x-tc-action", "RemoveUser");
    assert_eq!(request.check(KEY.1, &[], NOW), Ok(()));
}

#[test]
fn the_host_may_come_without_its_port_or_be_the_public_one() {
    for host in ["127.0.0.1", "127.0.0.1:80", "admin.example.org", "admin.example.org:8443"] {
        let signed = [("content-type", "application/json"), ("host", host)];
        let request = Owned::signed("POST", "", &signed, b"{}");
        let public = ["admin.example.org:8443".to_owned()];
        assert_eq!(request.check(KEY.1, &public, NOW), Ok(()), "{host}");
        let is_own = host.starts_with("127");
        assert_eq!(request.check(KEY.1, &[], NOW).is_ok(), is_own, "{host}");
    }
    for (sent, signed) in [("[::1]:80", "[::1]"), ("[::1]", "[::1]"), ("trtc.localhost:80", "trtc.localhost")] {
        let mut request = Owned::signed("POST", "", &[("content-type", "application/json"), ("host", signed)], b"{}");
        request.set("host", sent);
        assert_eq!(request.check(KEY.1, &[], NOW), Ok(()), "{sent}");
    }
}

#[test]
fn an_unsigned_payload_is_believed_whatever_it_is() {
    let signed = [("content-type", "application/json"), ("host", "127.0.0.1:80")];
    for (method, body) in [("POST", "{\"SdkAppId\": 1}"), ("GET", "")] {
        let header = authorize(KEY, (method, "a=b"), &signed, b"UNSIGNED-PAYLOAD", ("trtc", NOW));
        let mut request = Owned::signed(method, "a=b", &signed, body.as_bytes());
        request.set("authorization", &header);
        assert_eq!(request.check(KEY.1, &[], NOW), Err(SignatureError::Mismatch));
        request.set("x-tc-content-sha256", "UNSIGNED-PAYLOAD");
        assert_eq!(request.check(KEY.1, &[], NOW), Ok(()));
    }
}

#[test]
fn the_scope_s_date_is_the_timestamp_s() {
    let signed = [("content-type", "application/json"), ("host", "127.0.0.1:80")];
    let mut request = Owned::signed("POST", "", &signed, b"{}");
    let header = request.headers["authorization"].to_str().unwrap().replace("2026-11-20", "2026-11-21");
    request.set("authorization", &header);
    assert_eq!(request.check(KEY.1, &[], NOW), Err(SignatureError::Date));
}

#[test]
fn headers_that_cannot_be_read_are_refused_as_such() {
    let hex = "0".repeat(64);
    let good =
        format!("TC3-HMAC-SHA256 Credential=id/2026-11-20/trtc/tc3_request, SignedHeaders=host, Signature={hex}");
    assert!(Authorization::parse(&good).is_ok());
    assert!(Authorization::parse(&good.replace(", ", ",")).is_ok());
    for (from, to, error) in [
        ("TC3-HMAC-SHA256", "HmacSHA256", SignatureError::Unsigned),
        ("TC3-HMAC-SHA256 ", "TC3-HMAC-SHA256", SignatureError::Unsigned),
        ("TC3-HMAC-SHA256 ", "Bearer ", SignatureError::Unsigned),
        ("id/", "/", SignatureError::Malformed),
        ("id/", "", SignatureError::Malformed),
        ("/trtc/", "//", SignatureError::Malformed),
        ("tc3_request", "tc4_request", SignatureError::Malformed),
        ("SignedHeaders=host", "SignedHeaders=", SignatureError::Malformed),
        (", SignedHeaders=host", "", SignatureError::Malformed),
        ("Signature=0", "Signature=", SignatureError::Malformed),
        ("Signature=0", "Signature=g", SignatureError::Malformed),
        ("SignedHeaders", "Signature", SignatureError::Malformed),
        ("SignedHeaders", "Extra", SignatureError::Malformed),
    ] {
        assert_eq!(Authorization::parse(&good.replacen(from, to, 1)), Err(error), "{from:?} -> {to:?}");
    }
}

proptest! {
    #[test]
    fn no_header_makes_the_parser_panic(text in ".*") {
        let _ = Authorization::parse(&text);
        let _ = Authorization::parse(&format!("TC3-HMAC-SHA256 {text}"));
    }

    #[test]
    fn what_is_signed_is_believed_and_nothing_else(
        body in proptest::collection::vec(any::<u8>(), 0..200),
        query in "[a-z0-9.=&%_-]{0,40}",
        get in any::<bool>(),
        position in any::<prop::sample::Index>(),
        flip in 1_u8..,
    ) {
        let method = if get { "GET" } else { "POST" };
        let signed = [("content-type", "application/json"), ("host", "127.0.0.1:80")];
        let request = Owned::signed(method, &query, &signed, &body);
        prop_assert_eq!(request.check(KEY.1, &[], NOW), Ok(()));
        let mut changed = request.clone();
        if get {
            changed.query.push('&');
        } else if changed.body.is_empty() {
            changed.body.push(flip);
        } else {
            let at = position.index(changed.body.len());
            changed.body[at] ^= flip;
        }
        prop_assert_eq!(changed.check(KEY.1, &[], NOW), Err(SignatureError::Mismatch));
        let mut signature = request.headers["authorization"].to_str().unwrap().to_owned();
        let at = signature.len() - 1 - position.index(64);
        let digit = if signature.as_bytes()[at] == b'0' { "1" } else { "0" };
        signature.replace_range(at..=at, digit);
        let mut forged = request;
        forged.set("authorization", &signature);
        prop_assert_eq!(forged.check(KEY.1, &[], NOW), Err(SignatureError::Mismatch));
    }
}
