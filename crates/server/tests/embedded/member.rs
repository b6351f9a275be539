//! A client that signals by hand on `/rtc`, which needs no offer to join.

use super::{House, PATIENCE};
use futures_util::{SinkExt as _, StreamExt as _};
use livekit_protocol as proto;
use prost::Message as _;
use proto::signal_request::Message as Request;
use proto::signal_response::Message as Response;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message as Frame;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

pub struct Member {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    pub joined: proto::JoinResponse,
}

impl Member {
    /// Enters, and waits for the JoinResponse.
    pub async fn enter(house: &House, token: &str) -> Self {
        let mut member = Self { socket: Self::open(house, token, "").await.unwrap(), joined: Default::default() };
        let join = member.told(|message| match message {
            Response::Join(join) => Some(join),
            _ => None,
        });
        member.joined = join.await;
        member
    }

    pub async fn open(
        house: &House,
        token: &str,
        more: &str,
    ) -> Result<WebSocketStream<MaybeTlsStream<TcpStream>>, tokio_tungstenite::tungstenite::Error> {
        let url = format!("{}/rtc?access_token={token}&protocol=16{more}", house.url("ws"));
        Ok(tokio_tungstenite::connect_async(url).await?.0)
    }

    /// Another socket for the same membership, in place of the old one.
    pub async fn resume(&mut self, house: &House, token: &str) {
        let sid = &self.joined.participant.as_ref().unwrap().sid;
        self.socket = Self::open(house, token, &format!("&reconnect=1&sid={sid}")).await.unwrap();
    }

    pub async fn ask(&mut self, request: Request) {
        let request = proto::SignalRequest { message: Some(request) };
        self.socket.send(Frame::binary(request.encode_to_vec())).await.unwrap();
    }

    /// The next message; `None`: the server has closed the socket.
    pub async fn next(&mut self) -> Option<Response> {
        loop {
            let frame = tokio::time::timeout(PATIENCE, self.socket.next()).await.expect("the server says something");
            match frame {
                Some(Ok(Frame::Binary(bytes))) => {
                    if let Some(message) = proto::SignalResponse::decode(bytes).unwrap().message {
                        return Some(message);
                    }
                }
                Some(Ok(Frame::Close(_)) | Err(_)) | None => return None,
                Some(Ok(_)) => {}
            }
        }
    }

    /// Waits for the message that is looked for; others are passed over.
    pub async fn told<T>(&mut self, mut find: impl FnMut(Response) -> Option<T>) -> T {
        loop {
            let message = self.next().await.expect("told before the socket is closed");
            if let Some(found) = find(message) {
                return found;
            }
        }
    }

    /// Waits until somebody looks as wanted.
    pub async fn sees(
        &mut self,
        identity: &str,
        wanted: impl Fn(&proto::ParticipantInfo) -> bool,
    ) -> proto::ParticipantInfo {
        self.told(|message| match message {
            Response::Update(update) => {
                update.participants.into_iter().find(|info| info.identity == identity && wanted(info))
            }
            _ => None,
        })
        .await
    }

    /// Waits for the goodbye, and for the socket to be closed after it.
    pub async fn leave_reason(&mut self) -> proto::DisconnectReason {
        let leave = self.told(|message| match message {
            Response::Leave(leave) => Some(leave),
            _ => None,
        });
        let leave = leave.await;
        while self.next().await.is_some() {}
        leave.reason()
    }
}
