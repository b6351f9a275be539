//! One signal socket: protobuf frames between a client and the room's worker.

use super::request::Request;
use crate::rtc::{Command, Entry, Media, SIGNAL_CAPACITY, Session, unix_ms};
use crate::tokens::Tokens;
use axum::extract::ws::{Message as Frame, WebSocket};
use futures_util::{SinkExt as _, StreamExt as _};
use livekit_protocol as proto;
use livekit_token::Claims;
use prost::Message as _;
use proto::DisconnectReason;
use proto::leave_request::Action;
use proto::signal_response::Message;
use room::server::{MemberId, Wiring};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// Tokens that end soon are renewed this often, so that a resume after a long call still finds one that is good.
const RENEWAL_INTERVAL: Duration = Duration::from_secs(100);

/// A client that does not take a frame for this long is cut off.
const SEND_TIMEOUT: Duration = Duration::from_secs(10);

struct Membership {
    room: String,
    member: MemberId,
    session: Session,
}

/// Serves one socket until either side is done with it.
pub(super) async fn serve(
    mut socket: WebSocket,
    media: Media,
    tokens: Arc<Tokens>,
    wiring: Wiring,
    claims: Claims,
    mut request: Request,
) {
    let (sink, mut outgoing) = mpsc::channel(SIGNAL_CAPACITY);
    let room = claims.video.room.clone();
    let entry = Entry {
        offer: request.join.publisher_offer.take(),
        tracks: std::mem::take(&mut request.join.add_track_requests),
        sync: request.join.sync_state.take(),
    };
    let entry = Box::new(entry);
    let joined = if request.join.reconnect {
        let sid = std::mem::take(&mut request.join.participant_sid);
        let identity = claims.sub.clone();
        let room = room.clone();
        media.ask(|reply| Command::Resume { room, sid, identity, entry, signal: sink, reply }).await.ok().flatten()
    } else {
        let joining = Box::new(request.joining(claims.clone(), wiring, unix_ms()));
        let room = room.clone();
        media.ask(|reply| Command::Join { room, joining, entry, signal: sink, reply }).await.ok()
    };
    let Some((member, session)) = joined else {
        return refuse(&mut socket, request.join.reconnect).await;
    };
    let membership = Membership { room, member, session };
    let was_cut = run(&mut socket, &mut outgoing, &media, &tokens, &claims, &membership).await;
    if was_cut {
        let Membership { room, member, session } = membership;
        let _ = media.command(Command::SignalClosed { room, member, session }).await;
    }
    let _ = tokio::time::timeout(SEND_TIMEOUT, socket.close()).await;
}

/// An unknown membership is to join anew; a room that ended under the client's feet is over.
async fn refuse(socket: &mut WebSocket, was_resume: bool) {
    let (reason, action) = if was_resume {
        (DisconnectReason::StateMismatch, Action::Reconnect)
    } else {
        (DisconnectReason::JoinFailure, Action::Reconnect)
    };
    let leave = proto::LeaveRequest { reason: reason.into(), action: action.into(), ..Default::default() };
    let response = proto::SignalResponse { message: Some(Message::Leave(leave)) };
    let _ = send(socket, response).await;
    let _ = tokio::time::timeout(SEND_TIMEOUT, socket.close()).await;
}

/// Carries frames both ways. True: the client's side ended; false: the room's.
async fn run(
    socket: &mut WebSocket,
    outgoing: &mut mpsc::Receiver<proto::SignalResponse>,
    media: &Media,
    tokens: &Tokens,
    claims: &Claims,
    membership: &Membership,
) -> bool {
    let mut renewal = tokio::time::interval(RENEWAL_INTERVAL);
    renewal.tick().await;
    loop {
        tokio::select! {
            biased;
            response = outgoing.recv() => match response {
                Some(response) => if !send(socket, response).await { return true },
                None => return false,
            },
            frame = socket.next() => match frame {
                Some(Ok(Frame::Binary(bytes))) => {
                    if let Some(asked) = proto::SignalRequest::decode(bytes).ok().and_then(|request| request.message) {
                        let Membership { room, member, session } = membership;
                        let (room, asked) = (room.clone(), Box::new(asked));
                        let command = Command::Request { room, member: *member, session: *session, asked };
                        if media.command(command).await.is_err() {
                            return false;
                        }
                    }
                }
                Some(Ok(Frame::Text(_) | Frame::Ping(_) | Frame::Pong(_))) => {}
                Some(Ok(Frame::Close(_)) | Err(_)) | None => return true,
            },
            _ = renewal.tick() => {
                if let Some(token) = tokens.renew(claims) {
                    let response = proto::SignalResponse { message: Some(Message::RefreshToken(token)) };
                    if !send(socket, response).await {
                        return true;
                    }
                }
            }
        }
    }
}

async fn send(socket: &mut WebSocket, response: proto::SignalResponse) -> bool {
    let frame = Frame::Binary(response.encode_to_vec().into());
    matches!(tokio::time::timeout(SEND_TIMEOUT, socket.send(frame)).await, Ok(Ok(())))
}
