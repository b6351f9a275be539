//! Keys for rooms, against the vectors of the official generators and against what people send by mistake or on purpose.
#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm, reason = "a test that is surprised fails")]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::{Compression, read::ZlibDecoder, write::ZlibEncoder};
use proptest::prelude::*;
use protocol::map_key::{MapKeyError, UserBuf};
use protocol::usersig::TicketKey;
use protocol::{Code, Privileges, Refusal, RoomId, UnixMillis, UserId};
use serde_json::Value;
use std::io::{Read as _, Write as _};
use std::time::Duration;

const APP: u64 = 1_400_000_000;
const KEY: &str = "5bd2850fff3ecb11d7c805251c51ee463a25727bddc2385f3fa8bfee1bb93b5e";
const ISSUED: UnixMillis = UnixMillis(1_700_000_000_000);
const LIFE: Duration = Duration::from_secs(300);

fn user(name: &str) -> UserId {
    UserId::new(name).unwrap()
}

fn number(n: u32) -> RoomId {
    RoomId::number(n).unwrap()
}

fn keeper() -> TicketKey {
    TicketKey::new(APP, KEY)
}

/// The vectors of keys: user, room, privileges and the rest.
fn vectors() -> Vec<(UserId, RoomId, Privileges, Value)> {
    let file: Value = serde_json::from_str(include_str!("usersig.json")).unwrap();
    let keys = file["vectors"].as_array().unwrap().iter().filter(|vector| vector["kind"] != "usersig");
    keys.map(|vector| {
        let room = match &vector["room"] {
            Value::String(name) => RoomId::text(name.as_str()).unwrap(),
            room => number(u32::try_from(room.as_u64().unwrap()).unwrap()),
        };
        let privileges = Privileges(u32::try_from(vector["priv"].as_u64().unwrap()).unwrap());
        (user(vector["user"].as_str().unwrap()), room, privileges, vector.clone())
    })
    .collect()
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

fn open(ticket: &str) -> Value {
    let packed = STANDARD.decode(ticket.replace('*', "+").replace('-', "/").replace('_', "=")).unwrap();
    let mut json = String::new();
    ZlibDecoder::new(packed.as_slice()).read_to_string(&mut json).unwrap();
    serde_json::from_str(&json).unwrap()
}

fn seal(json: &Value) -> String {
    let mut zlib = ZlibEncoder::new(Vec::new(), Compression::best());
    zlib.write_all(json.to_string().as_bytes()).unwrap();
    STANDARD.encode(zlib.finish().unwrap()).replace('+', "*").replace('/', "-").replace('=', "_")
}

#[test]
fn every_key_of_every_generator_opens_its_room_while_it_lives() {
    let mut checked = 0;
    for (user, room, privileges, vector) in vectors() {
        for key in vector["sig_by_generator"].as_object().unwrap().values() {
            let check = |now| keeper().check_map_key(key.as_str().unwrap(), &user, &room, now);
            assert_eq!(check(ISSUED), Ok(privileges));
            assert_eq!(check(UnixMillis((ISSUED + LIFE).0 - 1)), Ok(privileges));
            assert_eq!(check(ISSUED + LIFE), Err(MapKeyError::Expired));
            checked += 1;
        }
    }
    assert_eq!(checked, 4);
}

#[test]
fn what_is_minted_has_the_vectors_bytes_and_signature() {
    let vectors = vectors();
    assert_eq!(vectors.len(), 2);
    for (user, room, privileges, vector) in vectors {
        let key = keeper().mint_map_key(&user, &room, privileges, LIFE, ISSUED);
        assert_eq!(open(&key), vector["decoded_json"]);
        let bytes = unhex(vector["userbuf_hex"].as_str().unwrap());
        let inside = UserBuf::decode(&bytes).unwrap();
        assert_eq!(inside.encode(), bytes);
        assert_eq!((&inside.user, &inside.room, inside.privileges), (&user, &room, privileges));
        assert_eq!((u64::from(inside.sdk_app_id), inside.expires), (APP, 1_700_000_300));
    }
}

#[test]
fn the_first_failure_answers() {
    let late = ISSUED + Duration::from_secs(3600);
    let (alice, bob, room, other) = (user("alice"), user("bob"), number(5), number(6));
    let minted = |keeper: &TicketKey| keeper.mint_map_key(&alice, &room, Privileges::ALL, LIFE, ISSUED);
    let ticket = keeper().mint(&alice, LIFE, ISSUED);
    let check = |key: &str, user, room, now| keeper().check_map_key(key, user, room, now);
    // Everything is wrong at once; one fault after the other is mended.
    assert_eq!(check("no key", &bob, &other, late), Err(MapKeyError::Undecodable));
    assert_eq!(check(&minted(&TicketKey::new(1, "x")), &bob, &other, late), Err(MapKeyError::OtherApp));
    assert_eq!(check(&minted(&TicketKey::new(APP, "x")), &bob, &other, late), Err(MapKeyError::Forged));
    assert_eq!(check(&ticket, &bob, &other, late), Err(MapKeyError::IsTicket));
    assert_eq!(check(&minted(&keeper()), &bob, &other, late), Err(MapKeyError::OtherUser));
    assert_eq!(check(&minted(&keeper()), &alice, &other, late), Err(MapKeyError::OtherRoom));
    assert_eq!(check(&minted(&keeper()), &alice, &room, late), Err(MapKeyError::Expired));
    assert_eq!(check(&minted(&keeper()), &alice, &room, ISSUED), Ok(Privileges::ALL));
}

#[test]
fn a_number_and_the_same_name_are_different_rooms() {
    let named = RoomId::text("123").unwrap();
    let key = keeper().mint_map_key(&user("alice"), &named, Privileges::ALL, LIFE, ISSUED);
    assert_eq!(keeper().check_map_key(&key, &user("alice"), &named, ISSUED), Ok(Privileges::ALL));
    assert_eq!(keeper().check_map_key(&key, &user("alice"), &number(123), ISSUED), Err(MapKeyError::OtherRoom));
}

#[test]
fn a_changed_inside_is_forged() {
    let key = keeper().mint_map_key(&user("alice"), &number(5), Privileges::ENTER, LIFE, ISSUED);
    let mut fields = open(&key);
    let mut inside = UserBuf::decode(&STANDARD.decode(fields["TLS.userbuf"].as_str().unwrap()).unwrap()).unwrap();
    inside.privileges = Privileges::ALL;
    fields["TLS.userbuf"] = STANDARD.encode(inside.encode()).into();
    let check = keeper().check_map_key(&seal(&fields), &user("alice"), &number(5), ISSUED);
    assert_eq!(check, Err(MapKeyError::Forged));
}

#[test]
fn every_failure_answers_with_one_code_and_a_sentence_of_its_own() {
    let all = [
        MapKeyError::Undecodable,
        MapKeyError::OtherApp,
        MapKeyError::Forged,
        MapKeyError::IsTicket,
        MapKeyError::OtherUser,
        MapKeyError::OtherRoom,
        MapKeyError::Expired,
    ];
    let refusals: Vec<Refusal> = all.map(Refusal::from).into();
    assert!(refusals.iter().all(|refusal| refusal.known() == Some(Code::NoPrivilege)));
    let sentences: std::collections::BTreeSet<_> = refusals.iter().map(|refusal| &refusal.message).collect();
    assert_eq!(sentences.len(), all.len());
}

#[test]
fn bits_have_their_documented_values() {
    let bits = [
        (Privileges::CREATE, 1),
        (Privileges::ENTER, 2),
        (Privileges::SEND_AUDIO, 4),
        (Privileges::RECEIVE_AUDIO, 8),
        (Privileges::SEND_VIDEO, 16),
        (Privileges::RECEIVE_VIDEO, 32),
        (Privileges::SEND_SCREEN, 64),
        (Privileges::RECEIVE_SCREEN, 128),
    ];
    for (bit, value) in bits {
        assert_eq!(bit.0, value);
        assert!(Privileges::ALL.allow(bit) && !Privileges::NONE.allow(bit));
        assert!(!Privileges(255 - value).allow(bit) && Privileges(255 - value).allow_any(Privileges::ALL));
    }
}

fn rooms() -> impl Strategy<Value = RoomId> {
    let name = "[a-zA-Z0-9 !#$%&()+:;<=.>?@^_{}|~,-]{1,64}".prop_map(|name| RoomId::text(name).unwrap());
    prop_oneof![(1..u32::MAX).prop_map(number), name]
}

proptest! {
    #[test]
    fn no_bytes_make_reading_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        if let Some(inside) = UserBuf::decode(&bytes) {
            // What could be read is what was written, but for fields that mean nothing here.
            prop_assert_eq!(inside.encode().len(), bytes.len());
        }
    }

    #[test]
    fn almost_right_bytes_do_not_panic_either(at in 0usize..43, byte in any::<u8>(), cut in 0usize..43) {
        let room = RoomId::text("abc-Room.1").unwrap();
        let inside = UserBuf { user: user("user_A-1"), sdk_app_id: 7, room, expires: 9, privileges: Privileges(42) };
        let mut bytes = inside.encode();
        prop_assert_eq!(UserBuf::decode(&bytes[..cut]), None);
        bytes[at] = byte;
        let _ = UserBuf::decode(&bytes);
        let _ = UserBuf::decode(&bytes[..cut]);
    }

    #[test]
    fn what_is_written_is_read_back(
        name in "[A-Za-z0-9_-]{1,32}", room in rooms(), sdk_app_id in any::<u32>(), expires in any::<u32>(),
        privileges in any::<u32>(),
    ) {
        let inside = UserBuf { user: user(&name), sdk_app_id, room, expires, privileges: Privileges(privileges) };
        prop_assert_eq!(UserBuf::decode(&inside.encode()), Some(inside));
    }

    #[test]
    fn no_text_makes_the_check_panic(key in "\\PC{0,200}") {
        let _ = keeper().check_map_key(&key, &user("alice"), &number(5), ISSUED);
    }

    #[test]
    fn a_minted_key_opens_for_its_user_and_room_and_nothing_else(
        name in "[A-Za-z0-9_-]{1,32}", other in "[A-Za-z0-9_-]{1,32}", room in rooms(), elsewhere in rooms(),
        privileges in any::<u32>(),
    ) {
        let privileges = Privileges(privileges);
        let key = keeper().mint_map_key(&user(&name), &room, privileges, LIFE, ISSUED);
        prop_assert_eq!(keeper().check_map_key(&key, &user(&name), &room, ISSUED), Ok(privileges));
        if name != other {
            prop_assert_eq!(keeper().check_map_key(&key, &user(&other), &room, ISSUED), Err(MapKeyError::OtherUser));
        }
        if room != elsewhere {
            let check = keeper().check_map_key(&key, &user(&name), &elsewhere, ISSUED);
            prop_assert_eq!(check, Err(MapKeyError::OtherRoom));
        }
    }
}
