//! RoomService over Twirp: grants, codes, both forms of bodies, and what people in the room are told.

use super::member::Member;
use super::{House, entry, sign};
use livekit_protocol as proto;
use livekit_token::VideoGrants;
use prost::Message as _;
use proto::signal_response::Message as Response;
use reqwest::header::CONTENT_TYPE;
use serde_json::{Value, json};
use server::config::RoomRules;

const METHODS: [&str; 11] = [
    "CreateRoom",
    "ListRooms",
    "DeleteRoom",
    "ListParticipants",
    "GetParticipant",
    "RemoveParticipant",
    "MutePublishedTrack",
    "UpdateParticipant",
    "UpdateSubscriptions",
    "SendData",
    "UpdateRoomMetadata",
];

fn admin() -> String {
    let room = "hall".to_owned();
    sign("admin", VideoGrants { room_admin: true, room_create: true, room_list: true, room, ..VideoGrants::default() })
}

impl House {
    async fn post(&self, method: &str, token: Option<&str>, kind: &str, body: Vec<u8>) -> (u16, Value) {
        let url = format!("{}/twirp/livekit.RoomService/{method}", self.url("http"));
        let mut request = reqwest::Client::new().post(url).header(CONTENT_TYPE, kind).body(body);
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        let kind = response.headers().get(CONTENT_TYPE).unwrap().to_str().unwrap().to_owned();
        assert_eq!(kind, "application/json", "{method}");
        (status, response.json().await.unwrap())
    }

    /// Asks as an administrator of the room "hall".
    async fn ask(&self, method: &str, body: Value) -> (u16, Value) {
        self.post(method, Some(&admin()), "application/json", body.to_string().into_bytes()).await
    }

    /// The same, and it is done.
    async fn done(&self, method: &str, body: Value) -> Value {
        let (status, answer) = self.ask(method, body).await;
        assert_eq!(status, 200, "{method}: {answer}");
        answer
    }

    async fn refused(&self, method: &str, body: Value) -> (u16, String) {
        let (status, answer) = self.ask(method, body).await;
        assert!(answer["msg"].as_str().is_some_and(|msg| !msg.is_empty()), "{answer}");
        (status, answer["code"].as_str().unwrap_or_default().to_owned())
    }
}

fn error(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

#[tokio::test]
async fn without_a_good_token_every_method_is_refused_and_without_the_grant_denied() {
    let house = House::start(RoomRules::default()).await;
    let guest = entry("hall", "guest");
    let elsewhere = sign("admin", VideoGrants { room_admin: true, room: "other".to_owned(), ..VideoGrants::default() });
    for method in METHODS {
        for token in [None, Some("no.token.atall")] {
            let (status, answer) = house.post(method, token, "application/json", b"{}".to_vec()).await;
            assert_eq!((status, answer["code"].as_str()), (401, Some("unauthenticated")), "{method}");
        }
        for token in [&guest, &elsewhere] {
            let body = json!({ "room": "hall", "name": "hall" }).to_string().into_bytes();
            let (status, answer) = house.post(method, Some(token), "application/json", body).await;
            assert_eq!((status, answer["code"].as_str()), (403, Some("permission_denied")), "{method}");
        }
    }
}

#[tokio::test]
async fn what_twirp_cannot_read_or_does_not_know_has_its_codes() {
    let house = House::start(RoomRules::default()).await;
    let token = admin();
    let post = async |method: &str, kind: &str, body: &[u8]| {
        let (status, answer) = house.post(method, Some(&token), kind, body.to_vec()).await;
        (status, answer["code"].as_str().unwrap().to_owned())
    };
    assert_eq!(post("ListRooms", "application/json", b"{").await, error(400, "malformed"));
    assert_eq!(post("ListRooms", "application/json", br#"{"names": 5}"#).await, error(400, "malformed"));
    assert_eq!(post("ListRooms", "application/protobuf", b"\xff\xff").await, error(400, "malformed"));
    assert_eq!(post("ListRooms", "text/plain", b"").await, error(404, "bad_route"));
    assert_eq!(post("Dance", "application/json", b"{}").await, error(404, "bad_route"));
    assert_eq!(post("MoveParticipant", "application/json", b"{}").await, error(501, "unimplemented"));
    assert_eq!(post("SendData", "application/json", &vec![b' '; 3 << 20]).await, error(400, "malformed"));
    let url = format!("{}/twirp/livekit.RoomService/ListRooms", house.url("http"));
    let got: Value = reqwest::get(url).await.unwrap().json().await.unwrap();
    assert_eq!(got["code"], "bad_route");
    let url = format!("{}/twirp/livekit.Egress/ListEgress", house.url("http"));
    let got: Value = reqwest::get(url).await.unwrap().json().await.unwrap();
    assert_eq!(got["code"], "bad_route");
}

#[tokio::test]
async fn rooms_are_made_listed_and_deleted_in_json_and_in_protobuf() {
    let house = House::start(RoomRules::default()).await;
    let options = json!({"name": "hall", "emptyTimeout": 7, "departure_timeout": 9, "maxParticipants": 2,
                         "metadata": "theme", "fieldOfTheFuture": true});
    let made = house.done("CreateRoom", options).await;
    assert!(made["sid"].as_str().unwrap().starts_with("RM_"), "{made}");
    let made_again = house.done("CreateRoom", json!({"name": "hall", "metadata": "other"})).await;
    assert_eq!(made_again, made, "who is there already stays as it is");
    let request = proto::ListRoomsRequest { names: vec!["hall".into(), "attic".into()] }.encode_to_vec();
    let url = format!("{}/twirp/livekit.RoomService/ListRooms", house.url("http"));
    let response = reqwest::Client::new().post(url).header(CONTENT_TYPE, "application/protobuf").body(request);
    let response = response.bearer_auth(admin()).send().await.unwrap();
    assert_eq!(response.headers().get(CONTENT_TYPE).unwrap(), "application/protobuf");
    let listed = proto::ListRoomsResponse::decode(response.bytes().await.unwrap()).unwrap();
    let [room] = listed.rooms.as_slice() else { panic!("{listed:?}") };
    assert_eq!((room.empty_timeout, room.departure_timeout, room.max_participants), (7, 9, 2));
    assert_eq!(room.metadata, "theme");
    house.done("DeleteRoom", json!({"room": "hall"})).await;
    assert_eq!(house.done("ListRooms", json!({})).await, json!({}));
    assert_eq!(house.refused("DeleteRoom", json!({"room": "hall"})).await, error(404, "not_found"));
    assert_eq!(house.refused("CreateRoom", json!({})).await, error(400, "invalid_argument"));
    let long = json!({"name": "x".repeat(257)});
    assert_eq!(house.refused("CreateRoom", long).await, error(400, "invalid_argument"));
}

#[tokio::test]
async fn a_room_that_nobody_enters_ends_by_its_own_timeout() {
    let house = House::start(RoomRules::default()).await;
    house.done("CreateRoom", json!({"name": "hall", "emptyTimeout": 1})).await;
    tokio::time::timeout(super::PATIENCE, async {
        while house.done("ListRooms", json!({})).await != json!({}) {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    })
    .await
    .expect("the room ends");
}

#[tokio::test]
async fn what_is_not_there_is_not_found_and_what_does_not_fit_is_invalid() {
    let house = House::start(RoomRules::default()).await;
    let about = |identity: &str| json!({"room": "hall", "identity": identity, "trackSid": "TR_x", "muted": true});
    for method in &METHODS[3..] {
        assert_eq!(house.refused(method, about("anna")).await, error(404, "not_found"), "{method} without a room");
    }
    let _anna = Member::enter(&house, &entry("hall", "anna")).await;
    for method in &METHODS[4..9] {
        assert_eq!(house.refused(method, about("nobody")).await, error(404, "not_found"), "{method} without a person");
    }
    assert_eq!(house.refused("MutePublishedTrack", about("anna")).await, error(404, "not_found"), "no such track");
    let unmute = json!({"room": "hall", "identity": "anna", "trackSid": "TR_x", "muted": false});
    assert_eq!(house.refused("MutePublishedTrack", unmute).await, error(412, "failed_precondition"));
    let invalid = |method: &'static str, more: Value| {
        let mut body = json!({"room": "hall", "identity": "anna"});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        (method, body)
    };
    for (method, body) in [
        invalid("UpdateParticipant", json!({"metadata": "x".repeat(600 << 10)})),
        invalid("UpdateParticipant", json!({"attributes": {"k": "x".repeat(70 << 10)}})),
        invalid("UpdateParticipant", json!({"name": "x".repeat(300)})),
        invalid("UpdateRoomMetadata", json!({"metadata": "x".repeat(600 << 10)})),
        invalid("SendData", json!({"data": "AAAA".repeat(30_000)})),
        invalid("SendData", json!({"nonce": "AAAA"})),
    ] {
        assert_eq!(house.refused(method, body).await, error(400, "invalid_argument"), "{method}");
    }
}

#[tokio::test]
async fn people_are_told_what_is_done_to_them_and_to_their_room() {
    let house = House::start(RoomRules::default()).await;
    let mut anna = Member::enter(&house, &entry("hall", "anna")).await;
    let mut boris = Member::enter(&house, &entry("hall", "boris")).await;
    let room = house.done("UpdateRoomMetadata", json!({"room": "hall", "metadata": "theme"})).await;
    assert_eq!((&room["metadata"], &room["numParticipants"]), (&json!("theme"), &json!(2)));
    let told = boris.told(|message| match message {
        Response::RoomUpdate(update) => update.room.filter(|room| !room.metadata.is_empty()),
        _ => None,
    });
    assert_eq!(told.await.metadata, "theme");

    let change = json!({"room": "hall", "identity": "anna", "name": "Queen", "metadata": "m",
                        "attributes": {"hand": "up"}, "permission": {"canSubscribe": true, "canPublishData": true}});
    let info = house.done("UpdateParticipant", change).await;
    assert_eq!((&info["name"], &info["attributes"]["hand"]), (&json!("Queen"), &json!("up")));
    let seen = boris.sees("anna", |info| info.name == "Queen").await;
    assert_eq!((seen.metadata.as_str(), seen.permission.unwrap().can_publish), ("m", false));
    let token = anna.told(|message| match message {
        Response::RefreshToken(token) => Some(token),
        _ => None,
    });
    let claims = livekit_token::Claims::from_unverified(&token.await).unwrap();
    assert_eq!((claims.name.as_str(), claims.video.can_publish()), ("Queen", false));
    assert_eq!((claims.video.can_subscribe(), claims.attributes["hand"].as_str()), (true, "up"));

    let people = house.done("ListParticipants", json!({"room": "hall"})).await;
    assert_eq!(people["participants"].as_array().map(Vec::len), Some(2), "{people}");
    let one = house.done("GetParticipant", json!({"room": "hall", "identity": "anna"})).await;
    assert_eq!(one["sid"], anna.joined.participant.as_ref().unwrap().sid);

    house.done("RemoveParticipant", json!({"room": "hall", "identity": "boris"})).await;
    assert_eq!(boris.leave_reason().await, proto::DisconnectReason::ParticipantRemoved);
    let left = anna.sees("boris", |info| info.state() == proto::participant_info::State::Disconnected).await;
    assert_eq!(left.disconnect_reason(), proto::DisconnectReason::ParticipantRemoved);
    house.done("DeleteRoom", json!({"room": "hall"})).await;
    assert_eq!(anna.leave_reason().await, proto::DisconnectReason::RoomDeleted);
}

#[tokio::test]
async fn an_announced_track_is_muted_and_unmuted_where_that_is_allowed() {
    let house = House::start(RoomRules { remote_unmute: true, ..RoomRules::default() }).await;
    let mut anna = Member::enter(&house, &entry("hall", "anna")).await;
    let request = proto::AddTrackRequest { cid: "mic".into(), ..Default::default() };
    anna.ask(proto::signal_request::Message::AddTrack(request)).await;
    let track = anna.told(|message| match message {
        Response::TrackPublished(published) => published.track,
        _ => None,
    });
    let sid = track.await.sid;
    for muted in [true, false] {
        let order = json!({"room": "hall", "identity": "anna", "trackSid": sid, "muted": muted});
        house.done("MutePublishedTrack", order).await;
        let told = anna.told(|message| match message {
            Response::Mute(mute) => Some(mute),
            _ => None,
        });
        assert_eq!(told.await, proto::MuteTrackRequest { sid: sid.clone(), muted });
    }
}
