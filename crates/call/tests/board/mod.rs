//! A switchboard of its own, who signs in to it, and what it wants done.
#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm, reason = "a test that is surprised fails")]
#![allow(dead_code, reason = "each test file uses its part")]

use call::Switchboard;
use call::switchboard::{Output, Settings, SignIn};
use protocol::message::{PlaceCall, Resume};
use protocol::{CallMediaType, DeviceId, Request, ServerMessage, UnixMillis, UserId};

pub const T0: UnixMillis = UnixMillis(1_000_000);

pub fn user(name: &str) -> UserId {
    UserId::new(name).unwrap()
}

pub fn hello(name: &str, resume: Option<Resume>, ticket_expires: UnixMillis) -> SignIn {
    SignIn { user: user(name), device: DeviceId::new("desk").unwrap(), resume, ticket_expires }
}

pub fn board() -> Switchboard {
    Switchboard::new(Settings::default(), [5; 32])
}

/// What goes to a connection, and to whom the way into which room is given with it.
pub fn drain(board: &mut Switchboard) -> (Vec<(u64, ServerMessage, bool)>, Vec<Output>) {
    let (mut sent, mut rest) = (Vec::new(), Vec::new());
    while let Some(output) = board.poll_output() {
        match output {
            Output::Send { conn, message, access } => sent.push((conn, message, access.is_some())),
            other @ (Output::Close { .. }
            | Output::OpenRoom(_)
            | Output::Release { .. }
            | Output::ReadRecords { .. }) => rest.push(other),
        }
    }
    (sent, rest)
}

pub fn sign_in(board: &mut Switchboard, conn: u64, name: &str) -> String {
    board.handle_hello(conn, hello(name, None, UnixMillis(u64::MAX)), T0);
    let (sent, _) = drain(board);
    match &sent[0].1 {
        ServerMessage::Welcome(welcome) => welcome.session.clone(),
        other => panic!("{other:?}"),
    }
}

pub fn place(callees: &[&str]) -> Request {
    Request::Call(PlaceCall {
        callee_id_list: callees.iter().map(|name| user(name)).collect(),
        call_media_type: CallMediaType::Voice,
        user_data: String::new(),
        timeout: None,
        room_id: None,
        group_id: String::new(),
    })
}

pub fn codes(sent: &[(u64, ServerMessage, bool)]) -> Vec<i32> {
    let code = |message: &ServerMessage| match message {
        ServerMessage::Error { refusal, .. } => Some(refusal.code),
        _ => None,
    };
    sent.iter().filter_map(|(_, message, _)| code(message)).collect()
}
