//! Every rule of every parameter, in JSON.

use super::*;
use proptest::prelude::*;
use serde_json::{Value, json};

const APP: u64 = 1_400_000_000;
const NOW: u64 = 1_795_000_000;

fn read(api: Api, body: Value) -> Result<Request, Fault> {
    Request::read(api, Parameters::from_json(body.to_string().as_bytes())?, APP, NOW)
}

fn code(api: Api, body: Value) -> String {
    read(api, body).unwrap_err().code().into_owned()
}

fn good(api: Api) -> Value {
    match api {
        Api::RemoveUser => json!({"SdkAppId": APP, "RoomId": 5, "UserIds": ["a", "b"]}),
        Api::RemoveUserByStrRoomId => json!({"SdkAppId": APP, "RoomId": "5", "UserIds": ["a"]}),
        Api::DismissRoom => json!({"SdkAppId": APP, "RoomId": 5}),
        Api::DismissRoomByStrRoomId => json!({"SdkAppId": APP, "RoomId": "5"}),
        Api::SetUserBlocked => json!({"SdkAppId": APP, "RoomId": 5, "UserId": "a", "IsMute": 2}),
        Api::SetUserBlockedByStrRoomId => json!({"SdkAppId": APP, "StrRoomId": "5", "UserId": "a", "IsMute": 2}),
        Api::DescribeRoomInfo => json!({"SdkAppId": APP, "StartTime": NOW - 60, "EndTime": NOW}),
        Api::DescribeUserInfo => {
            json!({"SdkAppId": APP, "CommId": format!("{APP}_5_{NOW}"), "StartTime": NOW - 60, "EndTime": NOW})
        }
    }
}

fn with(api: Api, name: &str, value: Value) -> Value {
    let mut body = good(api);
    body[name] = value;
    body
}

#[test]
fn good_requests_are_read() {
    let users = vec!["a".to_owned(), "b".to_owned()];
    let number = RoomId::number(5).unwrap();
    let text = RoomId::text("5").unwrap();
    assert_eq!(read(Api::RemoveUser, good(Api::RemoveUser)), Ok(Request::Remove { room: number.clone(), users }));
    let users = vec!["a".to_owned()];
    let found = read(Api::RemoveUserByStrRoomId, good(Api::RemoveUserByStrRoomId));
    assert_eq!(found, Ok(Request::Remove { room: text.clone(), users }));
    assert_eq!(read(Api::DismissRoom, good(Api::DismissRoom)), Ok(Request::Dismiss { room: number }));
    let found = read(Api::DismissRoomByStrRoomId, good(Api::DismissRoomByStrRoomId));
    assert_eq!(found, Ok(Request::Dismiss { room: text }));
    let page = Page { number: 0, size: 10 };
    let rooms = RoomsQuery { from: NOW - 60, to: NOW, room: None, page };
    assert_eq!(read(Api::DescribeRoomInfo, good(Api::DescribeRoomInfo)), Ok(Request::Rooms(rooms)));
    let page = Page { number: 0, size: 6 };
    let users = UsersQuery { room: "5".into(), created: NOW, from: NOW - 60, to: NOW, users: vec![], page };
    assert_eq!(read(Api::DescribeUserInfo, good(Api::DescribeUserInfo)), Ok(Request::Users(users)));
}

#[test]
fn every_needed_parameter_is_missed_by_name() {
    for api in Api::ALL {
        let body = good(api);
        for name in body.as_object().unwrap().keys() {
            let mut without = body.clone();
            without.as_object_mut().unwrap().remove(name);
            assert_eq!(code(api, without), format!("MissingParameter.{name}"), "{}", api.name());
            assert_eq!(code(api, with(api, name, Value::Null)), format!("MissingParameter.{name}"), "null is none");
        }
    }
}

#[test]
fn every_parameter_of_a_wrong_kind_is_named() {
    for api in Api::ALL {
        for name in good(api).as_object().unwrap().keys() {
            for wrong in [json!({}), json!(true), json!([[1]]), json!(1.5)] {
                assert_eq!(code(api, with(api, name, wrong)), format!("InvalidParameter.{name}"), "{}", api.name());
            }
        }
    }
    assert_eq!(code(Api::RemoveUser, with(Api::RemoveUser, "RoomId", json!("5"))), "InvalidParameter.RoomId");
    let by_text = Api::RemoveUserByStrRoomId;
    assert_eq!(code(by_text, with(by_text, "RoomId", json!(5))), "InvalidParameter.RoomId");
    assert_eq!(code(Api::RemoveUser, with(Api::RemoveUser, "UserIds", json!("a"))), "InvalidParameter.UserIds");
    assert_eq!(
        code(Api::RemoveUser, with(Api::RemoveUser, "SdkAppId", json!("1400000000"))),
        "InvalidParameter.SdkAppId"
    );
}

#[test]
fn what_nobody_knows_is_unknown() {
    for api in Api::ALL {
        assert_eq!(code(api, with(api, "Colour", json!("red"))), "UnknownParameter", "{}", api.name());
    }
    let by_text = Api::DismissRoomByStrRoomId;
    assert_eq!(code(by_text, with(by_text, "StrRoomId", json!("5"))), "UnknownParameter");
}

#[test]
fn another_application_is_not_served() {
    for app in [json!(1), json!(0), json!(-1), json!(1_400_000_001), json!(99_999_999_999_u64)] {
        for api in Api::ALL {
            assert_eq!(code(api, with(api, "SdkAppId", app.clone())), "UnauthorizedOperation.SdkAppId");
        }
    }
}

#[test]
fn room_ids_are_checked() {
    for number in [1_u64, 4_294_967_294] {
        assert!(read(Api::DismissRoom, with(Api::DismissRoom, "RoomId", json!(number))).is_ok());
    }
    for number in [json!(0), json!(-1), json!(4_294_967_295_u64), json!(u64::MAX), json!(1e30)] {
        let api = Api::DismissRoom;
        assert_eq!(code(api, with(api, "RoomId", number.clone())), "InvalidParameterValue.RoomId", "{number}");
    }
    let (long, longest) = ("x".repeat(65), "x".repeat(64));
    for text in ["lobby", "a b!~,", &longest] {
        let api = Api::DismissRoomByStrRoomId;
        assert!(read(api, with(api, "RoomId", json!(text))).is_ok(), "{text}");
    }
    for text in ["", "a/b", "ü", "a\"b", "a*", &long] {
        let api = Api::DismissRoomByStrRoomId;
        assert_eq!(code(api, with(api, "RoomId", json!(text))), "InvalidParameterValue.RoomId", "{text}");
    }
}

#[test]
fn one_to_ten_users() {
    let users = |count: usize| json!((0..count).map(|n| format!("u{n}")).collect::<Vec<_>>());
    for count in [1, 10] {
        assert!(read(Api::RemoveUser, with(Api::RemoveUser, "UserIds", users(count))).is_ok());
    }
    for users in [users(0), users(11), json!([""])] {
        assert_eq!(code(Api::RemoveUser, with(Api::RemoveUser, "UserIds", users)), "InvalidParameter.UserIds");
    }
}

#[test]
fn is_mute_says_what_is_blocked() {
    for (api, room) in [
        (Api::SetUserBlocked, RoomId::number(5).unwrap()),
        (Api::SetUserBlockedByStrRoomId, RoomId::text("5").unwrap()),
    ] {
        for (number, voice, picture) in [(0, false, false), (1, true, true), (2, true, false), (3, false, true)] {
            let found = read(api, with(api, "IsMute", json!(number)));
            let blocked = Blocked { voice, picture };
            assert_eq!(found, Ok(Request::Block { room: room.clone(), user: ["a".to_owned()], blocked }));
        }
        for wrong in [json!(4), json!(-1), json!("1")] {
            assert_eq!(code(api, with(api, "IsMute", wrong)), "InvalidParameter.IsMute");
        }
        assert_eq!(code(api, with(api, "UserId", json!(""))), "InvalidParameter.UserId");
    }
    assert_eq!(
        code(Api::SetUserBlocked, with(Api::SetUserBlocked, "RoomId", json!(0))),
        "InvalidParameterValue.RoomId"
    );
    let api = Api::SetUserBlockedByStrRoomId;
    assert_eq!(code(api, with(api, "StrRoomId", json!("a/b"))), "InvalidParameterValue.RoomId");
    assert_eq!(code(api, with(api, "RoomId", json!("5"))), "UnknownParameter");
}

#[test]
fn times_of_queries_are_bounded() {
    let rooms = |from: u64, to: u64| json!({"SdkAppId": APP, "StartTime": from, "EndTime": to});
    let users = |from: u64, to: u64| json!({"SdkAppId": APP, "CommId": format!("{APP}_5_{NOW}"), "StartTime": from, "EndTime": to});
    let (day, hour) = (86_400, 3600);
    assert!(read(Api::DescribeRoomInfo, rooms(NOW - day, NOW)).is_ok());
    assert!(read(Api::DescribeRoomInfo, rooms(NOW - 14 * day, NOW - 13 * day)).is_ok());
    assert!(read(Api::DescribeRoomInfo, rooms(NOW, NOW)).is_ok());
    assert!(read(Api::DescribeUserInfo, users(NOW - 4 * hour, NOW)).is_ok());
    for (api, body, expected) in [
        (Api::DescribeRoomInfo, rooms(NOW - day - 1, NOW), "InvalidParameter.QueryScaleOversize"),
        (Api::DescribeRoomInfo, rooms(NOW, NOW - 1), "InvalidParameter.EndTs"),
        (Api::DescribeRoomInfo, rooms(NOW - 15 * day, NOW - 14 * day), "InvalidParameter.StartTimeExpire"),
        (Api::DescribeRoomInfo, rooms(0, u64::MAX), "InvalidParameter.QueryScaleOversize"),
        (Api::DescribeUserInfo, users(NOW - 4 * hour - 1, NOW), "InvalidParameter.QueryScaleOversize"),
        (Api::DescribeUserInfo, users(NOW - 15 * day, NOW - 15 * day), "InvalidParameter.StartTimeExpire"),
    ] {
        assert_eq!(code(api, body), expected);
    }
}

#[test]
fn pages_and_comm_ids_are_checked() {
    let api = Api::DescribeRoomInfo;
    assert_eq!(code(api, with(api, "PageSize", json!(101))), "InvalidParameter.PageSizeOversize");
    assert_eq!(code(api, with(api, "PageSize", json!(0))), "InvalidParameter.PageSize");
    assert_eq!(code(api, with(api, "PageNumber", json!("1"))), "InvalidParameter.PageNumber");
    let Ok(Request::Rooms(query)) = read(api, with(api, "PageNumber", json!(7))) else { panic!("a query") };
    assert_eq!(query.page, Page { number: 7, size: 10 });
    let api = Api::DescribeUserInfo;
    for comm in ["", "5", "1400000001_5_1795000000", "1400000000_5_x"] {
        assert_eq!(code(api, with(api, "CommId", json!(comm))), "InvalidParameter.CommId", "{comm}");
    }
    let many: Vec<String> = (0..101).map(|n| n.to_string()).collect();
    assert_eq!(code(api, with(api, "UserIds", json!(many))), "InvalidParameter.UserIds");
    assert!(read(api, with(api, "UserIds", json!([]))).is_ok());
}

#[test]
fn names_are_the_documented_ones() {
    for api in Api::ALL {
        assert_eq!(Api::from_name(api.name()), Some(api));
        assert_eq!(format!("{api:?}"), api.name());
    }
    for name in ["", "removeUser", "RemoveUsers", "StartCloudRecording"] {
        assert_eq!(Api::from_name(name), None);
    }
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
        Just(json!(APP)),
        Just(json!(NOW)),
    ];
    leaf.prop_recursive(2, 8, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::hash_map(".{0,4}", inner, 0..3)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    /// Whatever a body holds, it is either a request within the rules or a documented refusal.
    #[test]
    fn nothing_outside_the_rules_gets_through(
        api in prop::sample::select(Api::ALL.to_vec()),
        changes in proptest::collection::vec((prop::sample::select(
            vec!["SdkAppId", "RoomId", "UserIds", "StartTime", "EndTime", "CommId", "PageSize", "PageNumber", "UserId", "IsMute", "Other"],
        ), value()), 0..4),
    ) {
        let mut body = good(api);
        for (name, value) in changes {
            body[name] = value;
        }
        match read(api, body) {
            Ok(Request::Remove { users, .. }) => prop_assert!((1..=10).contains(&users.len())),
            Ok(Request::Dismiss { .. } | Request::Block { .. }) => {}
            Ok(Request::Rooms(query)) => {
                prop_assert!(query.to - query.from <= 86_400 && (1..=100).contains(&query.page.size));
            }
            Ok(Request::Users(query)) => {
                prop_assert!(query.to - query.from <= 14_400 && (1..=100).contains(&query.page.size));
            }
            Err(fault) => {
                let code = fault.code();
                let known = ["MissingParameter.", "InvalidParameter.", "InvalidParameterValue.RoomId", "UnknownParameter",
                    "UnauthorizedOperation.SdkAppId"];
                prop_assert!(known.iter().any(|known| code.starts_with(known)), "{}", code);
            }
        }
    }
}
