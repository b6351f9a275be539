//! One signal socket: protobuf frames between a client and the room's worker.

use super::{Entrant, request};
use crate::rtc::{Command, Entry, Gone, Media, SIGNAL_CAPACITY, Session, SignalSink, ToSocket};
use crate::tokens::Tokens;
use axum::extract::ws::{Message as Frame, WebSocket};
use futures_util::{SinkExt as _, StreamExt as _};
use livekit_protocol as proto;
use livekit_token::Claims;
use prost::Message as _;
use proto::DisconnectReason;
use proto::leave_request::Action;
use proto::signal_response::Message;
use room::server::{JoinRefused, MemberId};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// Tokens that end soon are renewed this often, so that a resume after a long call still finds one that is good.
const RENEWAL_INTERVAL: Duration = Duration::from_secs(100);

/// A client that does not take a frame for this long is cut off.
const SEND_TIMEOUT: Duration = Duration::from_secs(10);

/// By what the client may be here.
struct Pass {
    /// The last token that it was given, or came with.
    token: String,
    claims: Claims,
}

struct Membership {
    room: String,
    member: MemberId,
    session: Session,
}

/// Serves one socket until either side is done with it.
pub(super) async fn serve(mut socket: WebSocket, media: Media, tokens: Arc<Tokens>, mut entrant: Entrant) {
    let (sink, mut outgoing) = mpsc::channel(SIGNAL_CAPACITY);
    let membership = match enter(&media, &mut entrant, sink).await {
        Ok(membership) => membership,
        Err((reason, action)) => return refuse(&mut socket, reason, action).await,
    };
    let mut pass = Pass { token: entrant.token, claims: entrant.claims };
    let was_cut = run(&mut socket, &mut outgoing, &media, &tokens, &mut pass, &membership).await;
    if was_cut {
        let Membership { room, member, session } = membership;
        let _ = media.command(Command::SignalClosed { room, member, session }).await;
    }
    let _ = tokio::time::timeout(SEND_TIMEOUT, socket.close()).await;
}

/// Joins or resumes. An unknown membership is to join anew, and so is whose room ended under their feet; a room that
/// filled up since it was asked stays full.
async fn enter(
    media: &Media,
    entrant: &mut Entrant,
    signal: SignalSink,
) -> Result<Membership, (DisconnectReason, Action)> {
    let options = entrant.room_options();
    let room = entrant.claims.video.room.clone();
    let join = &mut entrant.request.join;
    let entry = Box::new(Entry {
        offer: join.publisher_offer.take(),
        tracks: std::mem::take(&mut join.add_track_requests),
        sync: join.sync_state.take(),
    });
    let (name, reconnect) = (room.clone(), join.reconnect);
    let (member, session) = if reconnect {
        let sid = std::mem::take(&mut join.participant_sid);
        let identity = entrant.claims.sub.clone();
        let resumed = media.ask(|reply| Command::Resume { room: name, sid, identity, entry, signal, reply }).await;
        resumed.ok().flatten().ok_or((DisconnectReason::StateMismatch, Action::Reconnect))?
    } else {
        let joining = entrant.joining.clone();
        let joined = media.ask(|reply| Command::Join { room: name, options, joining, entry, signal, reply }).await;
        match joined {
            Ok(Ok(membership)) => membership,
            Ok(Err(JoinRefused::Full { .. } | JoinRefused::NotMade | JoinRefused::TooLarge(_))) => {
                return Err((DisconnectReason::JoinFailure, Action::Disconnect));
            }
            Ok(Err(JoinRefused::Finished)) | Err(Gone) => {
                return Err((DisconnectReason::JoinFailure, Action::Reconnect));
            }
        }
    };
    Ok(Membership { room, member, session })
}

async fn refuse(socket: &mut WebSocket, reason: DisconnectReason, action: Action) {
    let leave = proto::LeaveRequest { reason: reason.into(), action: action.into(), ..Default::default() };
    let response = proto::SignalResponse { message: Some(Message::Leave(leave)) };
    let _ = send(socket, response).await;
    let _ = tokio::time::timeout(SEND_TIMEOUT, socket.close()).await;
}

/// Carries frames both ways. True: the client's side ended; false: the room's.
async fn run(
    socket: &mut WebSocket,
    outgoing: &mut mpsc::Receiver<ToSocket>,
    media: &Media,
    tokens: &Tokens,
    pass: &mut Pass,
    membership: &Membership,
) -> bool {
    let mut renewal = tokio::time::interval(RENEWAL_INTERVAL);
    renewal.tick().await;
    loop {
        tokio::select! {
            biased;
            response = outgoing.recv() => match response {
                Some(ToSocket::Response(response)) => if !send(socket, *response).await { return true },
                Some(ToSocket::Grants(grants)) => {
                    request::write_grants(&mut pass.claims, *grants);
                    if !renew(socket, tokens, pass).await {
                        return true;
                    }
                }
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
            _ = renewal.tick() => if !renew(socket, tokens, pass).await { return true },
        }
    }
}

/// Sends a fresh token where the old one ends soon. False: the socket is gone.
async fn renew(socket: &mut WebSocket, tokens: &Tokens, pass: &mut Pass) -> bool {
    let Some(token) = tokens.renew(&pass.token, &pass.claims) else { return true };
    pass.token.clone_from(&token);
    send(socket, proto::SignalResponse { message: Some(Message::RefreshToken(token)) }).await
}

async fn send(socket: &mut WebSocket, response: proto::SignalResponse) -> bool {
    let frame = Frame::Binary(response.encode_to_vec().into());
    matches!(tokio::time::timeout(SEND_TIMEOUT, socket.send(frame)).await, Ok(Ok(())))
}
