//! Tickets against the vectors of the official generators, and against what people send by mistake or on purpose.
#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm, reason = "a test that is surprised fails")]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::{Compression, read::ZlibDecoder, write::ZlibEncoder};
use proptest::prelude::*;
use protocol::usersig::{SigError, TICKET_LIMIT, TicketKey};
use protocol::{Code, UnixMillis, UserId};
use serde_json::{Value, json};
use std::io::{Read as _, Write as _};
use std::time::Duration;

const APP: u64 = 1_400_000_000;
const KEY: &str = "5bd2850fff3ecb11d7c805251c51ee463a25727bddc2385f3fa8bfee1bb93b5e";
const ISSUED: UnixMillis = UnixMillis(1_700_000_000_000);

fn user(name: &str) -> UserId {
    UserId::new(name).unwrap()
}

fn vectors() -> Vec<Value> {
    let file: Value = serde_json::from_str(include_str!("usersig.json")).unwrap();
    file["vectors"].as_array().unwrap().clone()
}

fn decode(ticket: &str) -> Value {
    let packed = STANDARD.decode(ticket.replace('*', "+").replace('-', "/").replace('_', "=")).unwrap();
    let mut json = String::new();
    ZlibDecoder::new(packed.as_slice()).read_to_string(&mut json).unwrap();
    serde_json::from_str(&json).unwrap()
}

fn encode(json: &[u8]) -> String {
    let mut zlib = ZlibEncoder::new(Vec::new(), Compression::best());
    zlib.write_all(json).unwrap();
    STANDARD.encode(zlib.finish().unwrap()).replace('+', "*").replace('/', "-").replace('=', "_")
}

fn key_of(vector: &Value) -> TicketKey {
    TicketKey::new(vector["sdkappid"].as_u64().unwrap(), vector["key"].as_str().unwrap())
}

#[test]
fn every_ticket_of_every_generator_is_accepted_while_it_lives() {
    let mut checked = 0;
    for vector in vectors().iter().filter(|vector| vector["kind"] == "usersig") {
        let (key, user) = (key_of(vector), user(vector["user"].as_str().unwrap()));
        let expire = vector["expire"].as_u64().unwrap();
        for ticket in vector["sig_by_generator"].as_object().unwrap().values() {
            let ticket = ticket.as_str().unwrap();
            let expires = ISSUED + Duration::from_secs(expire);
            assert_eq!(key.check(ticket, &user, ISSUED), Ok(expires));
            let last = UnixMillis(expires.0 - 1);
            assert_eq!(key.check(ticket, &user, last), Ok(expires));
            assert_eq!(key.check(ticket, &user, expires), Err(SigError::Expired));
            checked += 1;
        }
    }
    assert_eq!(checked, 9);
}

#[test]
fn what_is_minted_decodes_to_the_vectors_fields() {
    let mut checked = 0;
    for vector in vectors().iter().filter(|vector| vector["kind"] == "usersig") {
        let expire = Duration::from_secs(vector["expire"].as_u64().unwrap());
        let ticket = key_of(vector).mint(&user(vector["user"].as_str().unwrap()), expire, ISSUED);
        assert_eq!(decode(&ticket), vector["decoded_json"]);
        assert_eq!(decode(&ticket)["TLS.sig"], vector["expected_TLS_sig"]);
        checked += 1;
    }
    assert_eq!(checked, 3);
}

#[test]
fn a_private_map_key_signs_nobody_in() {
    let mut checked = 0;
    for vector in vectors().iter().filter(|vector| vector["kind"] != "usersig") {
        for ticket in vector["sig_by_generator"].as_object().unwrap().values() {
            let user = user(vector["user"].as_str().unwrap());
            assert_eq!(key_of(vector).check(ticket.as_str().unwrap(), &user, ISSUED), Err(SigError::IsMapKey));
            checked += 1;
        }
    }
    assert_eq!(checked, 4);
}

#[test]
fn the_first_failure_answers() {
    let key = TicketKey::new(APP, KEY);
    let (bob, late) = (user("bob"), ISSUED + Duration::from_secs(7200));
    let minted = |key: &TicketKey| key.mint(&user("alice"), Duration::from_secs(3600), ISSUED);
    // Everything is wrong at once; one fault after the other is mended.
    let other_app = minted(&TicketKey::new(1, "x"));
    assert_eq!(key.check("not a ticket", &bob, late), Err(SigError::Undecodable));
    assert_eq!(key.check(&other_app, &bob, late), Err(SigError::OtherApp));
    assert_eq!(key.check(&minted(&TicketKey::new(APP, "x")), &bob, late), Err(SigError::Forged));
    assert_eq!(key.check(&minted(&key), &bob, late), Err(SigError::OtherUser));
    assert_eq!(key.check(&minted(&key), &user("alice"), late), Err(SigError::Expired));
    assert!(key.check(&minted(&key), &user("alice"), ISSUED).is_ok());
}

#[test]
fn every_missing_field_and_every_wrong_type_is_undecodable() {
    let key = TicketKey::new(APP, KEY);
    let whole = decode(&key.mint(&user("alice"), Duration::from_secs(60), ISSUED));
    assert!(key.check(&encode(whole.to_string().as_bytes()), &user("alice"), ISSUED).is_ok());
    for field in whole.as_object().unwrap().keys() {
        let mut without = whole.clone();
        without.as_object_mut().unwrap().remove(field);
        let mut wrong = whole.clone();
        wrong[field] = json!([]);
        for damaged in [without, wrong] {
            let ticket = encode(damaged.to_string().as_bytes());
            assert_eq!(key.check(&ticket, &user("alice"), ISSUED), Err(SigError::Undecodable), "{field}");
        }
    }
}

#[test]
fn each_signed_field_is_covered_by_the_signature() {
    let key = TicketKey::new(APP, KEY);
    let whole = decode(&key.mint(&user("alice"), Duration::from_secs(60), ISSUED));
    let changes = [("TLS.identifier", json!("bob")), ("TLS.expire", json!(61)), ("TLS.time", json!(1_700_000_001))];
    for (field, value) in changes {
        let mut changed = whole.clone();
        changed[field] = value;
        let ticket = encode(changed.to_string().as_bytes());
        assert_eq!(key.check(&ticket, &user("alice"), ISSUED), Err(SigError::Forged), "{field}");
    }
}

#[test]
fn a_small_ticket_cannot_blow_up() {
    let bomb = encode(&vec![b' '; 2_000_000]);
    assert!(bomb.len() < TICKET_LIMIT);
    assert_eq!(TicketKey::new(APP, KEY).check(&bomb, &user("alice"), ISSUED), Err(SigError::Undecodable));
}

#[test]
fn a_ticket_that_never_expires_does_not_overflow() {
    let key = TicketKey::new(APP, KEY);
    let ticket = key.mint(&user("alice"), Duration::from_secs(u64::MAX), ISSUED);
    assert_eq!(key.check(&ticket, &user("alice"), ISSUED), Ok(UnixMillis(u64::MAX)));
}

#[test]
fn errors_have_their_documented_codes() {
    let codes = [
        (SigError::Undecodable, -70003),
        (SigError::OtherApp, -70014),
        (SigError::Forged, -70009),
        (SigError::OtherUser, -70013),
        (SigError::Expired, -70001),
        (SigError::IsMapKey, -70052),
    ];
    for (error, number) in codes {
        assert_eq!(error.code().number(), number);
        assert_eq!(Code::from_number(number), Some(error.code()));
    }
}

proptest! {
    #[test]
    fn no_text_makes_the_check_panic(ticket in "\\PC{0,200}") {
        let _ = TicketKey::new(APP, KEY).check(&ticket, &user("alice"), ISSUED);
    }

    #[test]
    fn no_packed_json_makes_the_check_panic(json in "[ -~]{0,200}") {
        let _ = TicketKey::new(APP, KEY).check(&encode(json.as_bytes()), &user("alice"), ISSUED);
    }

    #[test]
    fn a_minted_ticket_opens_for_its_user_and_nobody_else(
        name in "[A-Za-z0-9_-]{1,32}", other in "[A-Za-z0-9_-]{1,32}", key in "\\PC{0,80}",
        app in 1u64..=u64::from(u32::MAX), expire in 1u64..10_000_000, now in 0u64..4_000_000_000_000,
    ) {
        let (keeper, now) = (TicketKey::new(app, key), UnixMillis(now));
        let ticket = keeper.mint(&user(&name), Duration::from_secs(expire), now);
        prop_assert!(keeper.check(&ticket, &user(&name), now).is_ok());
        if name != other {
            prop_assert_eq!(keeper.check(&ticket, &user(&other), now), Err(SigError::OtherUser));
        }
    }
}
