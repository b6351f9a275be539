//! A raw LiveKit signal socket, without media.
#![allow(clippy::wildcard_enum_match_arm, reason = "a test looks for one of many messages")]

use super::PATIENCE;
use futures_util::{SinkExt as _, StreamExt as _};
use livekit_protocol as proto;
use prost::Message as _;
use proto::signal_request::Message as Asked;
use proto::signal_response::Message as Told;
use std::net::SocketAddr;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

pub type Socket = WebSocketStream<MaybeTlsStream<tokio::net::TcpStream>>;

/// Opens the socket of a membership.
pub async fn knock(addr: SocketAddr, token: &str) -> Socket {
    let url = format!("ws://{addr}/rtc?access_token={token}&protocol=16");
    tokio_tungstenite::connect_async(url).await.unwrap().0
}

/// Asks for something.
pub async fn ask(socket: &mut Socket, asked: Asked) {
    let request = proto::SignalRequest { message: Some(asked) };
    socket.send(Message::binary(request.encode_to_vec())).await.unwrap();
}

/// The next message that is wanted.
pub async fn told<T>(socket: &mut Socket, wanted: impl Fn(Told) -> Option<T>) -> T {
    let read = async {
        loop {
            if let Message::Binary(bytes) = socket.next().await.unwrap().unwrap() {
                let response = proto::SignalResponse::decode(bytes).unwrap();
                if let Some(found) = response.message.and_then(&wanted) {
                    return found;
                }
            }
        }
    };
    tokio::time::timeout(PATIENCE, read).await.unwrap()
}

/// The welcome.
pub async fn joined(socket: &mut Socket) -> proto::JoinResponse {
    told(socket, |message| match message {
        Told::Join(join) => Some(join),
        Told::Leave(leave) => panic!("refused: {leave:?}"),
        _ => None,
    })
    .await
}

/// Says goodbye.
pub async fn leave(socket: &mut Socket) {
    ask(socket, Asked::Leave(proto::LeaveRequest::default())).await;
}

/// Waits until the server has closed.
pub async fn closed(socket: &mut Socket) {
    let read = async { while socket.next().await.is_some_and(|message| message.is_ok()) {} };
    tokio::time::timeout(PATIENCE, read).await.unwrap();
}
