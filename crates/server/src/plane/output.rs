//! Carries out what the switchboard wants.

use super::{Body, Frame, Input, RELEASE_GRACE};
use crate::rooms::RoomsError;
use crate::tokens::Grants;
use call::switchboard::{ConnId, Output, RoomsEvent, page};
use protocol::{Code, Push, RoomAccess, RoomId, ServerMessage, UserId};
use std::sync::Arc;

impl Body {
    pub(super) fn carry_out(&mut self, output: Output) {
        match output {
            Output::Send { conn, mut message, access } => {
                if let Some((room, user)) = access {
                    fill(&mut message, self.admit(conn, &room, &user));
                }
                self.send(conn, &message);
            }
            Output::Close { conn } => {
                self.peers.remove(&conn);
            }
            Output::OpenRoom(room) => self.open(room),
            Output::Release { room, user } => self.release(room, user),
            Output::ReadRecords { conn, id, user, filter, running } => {
                let stored = match self.store.records(&user, &filter) {
                    Ok(stored) => stored,
                    Err(error) => {
                        tracing::error!(%error, "records cannot be read");
                        let refusal = Code::Signalling.into();
                        self.send(conn, &ServerMessage::Error { id: Some(id), refusal });
                        return;
                    }
                };
                self.board.handle_records(conn, id, page(&filter, running, stored));
            }
        }
    }

    fn send(&mut self, conn: ConnId, message: &ServerMessage) {
        let Some(peer) = self.peers.get(&conn) else { return };
        let event = if let ServerMessage::Event { seq, .. } = message { Some(*seq) } else { None };
        if peer.frames.try_send(Frame { text: message.to_text(), event }).is_err() {
            // Full: the client does not read. Closed: its Closed is on the way. Either way the socket ends here, and
            // says so itself.
            self.peers.remove(&conn);
        }
    }

    fn admit(&self, conn: ConnId, room: &RoomId, user: &UserId) -> Option<RoomAccess> {
        let peer = self.peers.get(&conn)?;
        let grants = Grants { privileges: self.board.privileges(room, user), admin: false };
        match self.rooms.admit(&room.wire_name(), user.as_str(), grants) {
            Ok(admission) => {
                let url = admission.url.unwrap_or_else(|| peer.reached.clone());
                Some(RoomAccess { url, token: admission.token })
            }
            Err(error) => {
                tracing::error!(%error, "a room token could not be made");
                None
            }
        }
    }

    fn open(&self, room: RoomId) {
        let (rooms, input) = (Arc::clone(&self.rooms), self.input.clone());
        tokio::spawn(async move {
            if let Err(error) = rooms.open(&room.wire_name()).await {
                tracing::error!(%error, "a room could not be opened");
                // Refused only when the server stops.
                let _ = input.send(Input::Rooms(RoomsEvent::Failed { room })).await;
            }
        });
    }

    fn release(&self, room: RoomId, user: UserId) {
        self.rooms.revoke(&room.wire_name(), user.as_str());
        let input = self.input.clone();
        tokio::spawn(async move {
            tokio::time::sleep(RELEASE_GRACE).await;
            let _ = input.send(Input::Evict { room, user }).await;
        });
    }

    pub(super) fn evict(&self, room: &RoomId, user: &UserId) {
        let (rooms, room, user) = (Arc::clone(&self.rooms), room.wire_name(), user.clone());
        tokio::spawn(async move {
            let present = rooms.list(&room).await.unwrap_or_default();
            if present.iter().any(|member| member.identity == user.as_str()) {
                match rooms.remove(&room, user.as_str(), None).await {
                    Ok(()) | Err(RoomsError::NotExist) => {}
                    Err(error) => tracing::warn!(%error, "somebody who left a call could not be put out of its room"),
                }
            }
        });
    }
}

/// Puts the way in where the message has a place for it.
fn fill(message: &mut ServerMessage, way: Option<RoomAccess>) {
    match message {
        ServerMessage::Reply { answer, .. } => answer.access = way,
        ServerMessage::Event { push: Push::Begun { access, .. }, .. } => *access = way,
        ServerMessage::Welcome(_)
        | ServerMessage::Error { .. }
        | ServerMessage::Event { .. }
        | ServerMessage::Cards { .. }
        | ServerMessage::Kicked {}
        | ServerMessage::TicketExpired {}
        | ServerMessage::Ping {}
        | ServerMessage::Pong {} => {}
    }
}
