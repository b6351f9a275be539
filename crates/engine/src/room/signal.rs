//! The signal socket: the only module that knows `livekit-signaling`.
//!
//! The crate's `send()` returns nothing and drops offers while offline, so whoever sends an offer forgets it when the
//! socket closes. Its errors may carry the token: only their kind leaves this module.

#![expect(clippy::wildcard_enum_match_arm, reason = "the library's errors grow; an unknown one is a network's")]

use crate::api::Secret;
use livekit_protocol as proto;
use livekit_signaling::{SignalClient, SignalError, SignalEvent, SignalEvents, SignalOptions};
use std::sync::Arc;

pub(crate) use proto::signal_request::Message as Request;
pub(crate) use proto::signal_response::Message as Response;

/// The highest protocol that needs no negotiated data channels; 18 asks for them.
const PROTOCOL_VERSION: u32 = 16;

/// Why the server could not be joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum JoinError {
    /// The server does not accept the token.
    #[error("the room server refused the token ({0})")]
    Refused(u16),
    /// With a code: the room is full or may not be made, or the call plane gives no fresh token.
    #[error("this user may not enter the room ({0})")]
    NotAllowed(i32),
    /// It does not speak `/rtc/v1`.
    #[error("the room server is too old")]
    TooOld,
    /// Nobody answered, or not in time.
    #[error("the room server cannot be reached")]
    Unreachable,
}

/// Why a session could not be resumed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ResumeError {
    /// The server has forgotten it.
    #[error("the room server does not know the session any more")]
    Unknown,
    /// Nobody answered.
    #[error("the room server cannot be reached")]
    Unreachable,
}

/// The sending half of a signal session. Cloning shares it.
#[derive(Clone)]
pub(crate) struct Signal {
    client: Arc<SignalClient>,
}

/// The receiving half; it outlives cut sockets of the same session.
pub(crate) struct SignalInputs(SignalEvents);

impl SignalInputs {
    /// The next thing from the server.
    pub(crate) async fn next(&mut self) -> SignalInput {
        match self.0.recv().await {
            Some(SignalEvent::Message(message)) => SignalInput::Message(message),
            Some(SignalEvent::Close(_)) | None => SignalInput::Closed,
        }
    }
}

/// What comes from the server.
pub(crate) enum SignalInput {
    /// A message.
    Message(Box<Response>),
    /// The socket is gone.
    Closed,
}

impl Signal {
    /// Joins; `offer` travels in the join request, so that the answer comes with the first response.
    pub(crate) async fn join(
        url: &url::Url,
        token: &Secret,
        offer: Option<String>,
    ) -> Result<(Self, SignalInputs, proto::JoinResponse), JoinError> {
        let mut options = SignalOptions::default();
        options.single_peer_connection = true;
        options.region_failover = false;
        options.protocol_version = PROTOCOL_VERSION;
        options.client_capabilities = Vec::new();
        let offer = offer.map(|sdp| description("offer", sdp));
        match SignalClient::connect(url.as_str(), &token.0, options, offer).await {
            Ok((client, _, _)) if !client.is_single_pc_mode_active() => {
                client.close().await;
                Err(JoinError::TooOld)
            }
            Ok((client, join, events)) => Ok((Self { client: Arc::new(client) }, SignalInputs(events), join)),
            Err(error) => Err(join_error(&error)),
        }
    }

    /// Sends; while the socket is down offers and candidates are dropped, all else is kept.
    pub(crate) async fn send(&self, request: Request) {
        self.client.send(request).await;
    }

    /// Sends the offer.
    pub(crate) async fn send_offer(&self, sdp: String) {
        self.send(Request::Offer(description("offer", sdp))).await;
    }

    /// Reopens the socket of the same session. What was kept goes out only after [`Signal::resumed`].
    pub(crate) async fn resume(&self) -> Result<proto::ReconnectResponse, ResumeError> {
        self.client.restart(proto::ReconnectReason::RrSignalDisconnected).await.map_err(|error| match error {
            SignalError::LeaveRequest { .. } | SignalError::Client(..) | SignalError::InvalidState(_) => {
                ResumeError::Unknown
            }
            SignalError::Handshake { status } if status.is_client_error() => ResumeError::Unknown,
            _ => ResumeError::Unreachable,
        })
    }

    /// SyncState is out: everything that was kept may follow.
    pub(crate) async fn resumed(&self) {
        self.client.set_reconnected().await;
    }

    /// The newest token: the server renews it from time to time.
    pub(crate) fn token(&self) -> Secret {
        Secret(self.client.token())
    }

    /// Our own name in the server's updates.
    pub(crate) fn own_sid(&self) -> String {
        self.client.join_response().participant.map(|participant| participant.sid).unwrap_or_default()
    }

    /// Our own identity.
    pub(crate) fn own_identity(&self) -> String {
        self.client.join_response().participant.map(|participant| participant.identity).unwrap_or_default()
    }

    /// Closes the socket.
    pub(crate) async fn close(&self) {
        self.client.close().await;
    }
}

/// A description as the wire has it.
pub(crate) fn description(kind: &str, sdp: String) -> proto::SessionDescription {
    proto::SessionDescription { r#type: kind.to_owned(), sdp, ..Default::default() }
}

fn join_error(error: &SignalError) -> JoinError {
    match error {
        SignalError::Client(status, body) if status.as_u16() == 403 => {
            code_in(body).map_or(JoinError::Refused(403), JoinError::NotAllowed)
        }
        SignalError::Client(status, _) | SignalError::Handshake { status } if status.is_client_error() => {
            JoinError::Refused(status.as_u16())
        }
        SignalError::TokenFormat => JoinError::Refused(401),
        _ => JoinError::Unreachable,
    }
}

/// The code that an Ahoy server writes in brackets behind its sentence; LiveKit's own has none.
fn code_in(body: &str) -> Option<i32> {
    let (_, rest) = body.rsplit_once('(')?;
    let number = rest.split_once(')')?.0.parse().ok()?;
    protocol::Code::from_number(number).map(|code| code.number())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_behind_a_sentence_is_read_and_anything_else_is_none() {
        assert_eq!(code_in("the room is full: it takes 2 (-102052)"), Some(-102_052));
        for other in ["", "no permissions", "(", "()", "(-102052", "a (b) c", "it takes (2)", "(99999999999999)"] {
            assert_eq!(code_in(other), None, "{other}");
        }
    }
}
