//! Identifiers: what is allowed, and that rooms come back from both of their written forms.
#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm, reason = "a test that is surprised fails")]

use proptest::prelude::*;
use protocol::{RoomId, UserId};

#[test]
fn users_have_1_to_32_plain_characters() {
    for good in ["a", "A-Z_09", &"x".repeat(32)] {
        assert!(UserId::new(good).is_ok(), "{good}");
    }
    for bad in ["", "a b", "ä", "a/b", &"x".repeat(33)] {
        assert!(UserId::new(bad).is_err(), "{bad}");
    }
}

#[test]
fn the_number_123_and_the_text_123_are_two_rooms() {
    let (number, text) = (RoomId::number(123).unwrap(), RoomId::text("123").unwrap());
    assert_ne!(number, text);
    assert_eq!((number.wire_name().as_str(), text.wire_name().as_str()), ("n:123", "s:123"));
    assert!(RoomId::number(0).is_err() && RoomId::number(u32::MAX).is_err());
    assert!(RoomId::text("a/b").is_err() && RoomId::text("").is_err() && RoomId::text("x".repeat(65)).is_err());
}

proptest! {
    #[test]
    fn a_room_comes_back_from_wire_and_json(n in 1u32..u32::MAX, text in "[ -~]{1,64}") {
        for room in [RoomId::number(n), RoomId::text(text)].into_iter().flatten() {
            prop_assert_eq!(RoomId::from_wire_name(&room.wire_name()), Ok(room.clone()));
            let json = serde_json::to_string(&room).unwrap();
            prop_assert_eq!(serde_json::from_str::<RoomId>(&json).unwrap(), room);
        }
    }

    #[test]
    fn no_text_makes_the_parsers_panic(text in "\\PC{0,100}") {
        let _ = (UserId::new(text.as_str()), RoomId::text(text.as_str()), RoomId::from_wire_name(&text));
    }
}
