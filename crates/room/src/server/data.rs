//! Data packets: stamped with their sender, passed on once, to whom they are addressed.

use super::limits::DATA_LIMIT;
use super::{MemberId, Output, Room};
use livekit_protocol as proto;
use prost::Message as _;
use proto::data_packet::Value;
use std::collections::VecDeque;

/// So many packets back a repeated nonce is recognised.
const NONCES: usize = 256;

/// The nonces of the last packets: senders that try again must not be heard twice.
#[derive(Clone, Debug, Default)]
pub(super) struct Nonces(VecDeque<Vec<u8>>);

impl Nonces {
    /// False if this one was here lately. An empty nonce is none.
    fn is_new(&mut self, nonce: &[u8]) -> bool {
        if nonce.is_empty() {
            return true;
        }
        if self.0.iter().any(|known| known == nonce) {
            return false;
        }
        if self.0.len() == NONCES {
            self.0.pop_front();
        }
        self.0.push_back(nonce.to_vec());
        true
    }
}

impl Room {
    /// A data packet: stamped with its sender and sent to whom it is addressed, or to everybody else. Damaged and
    /// oversized ones and those without permission are dropped.
    pub fn handle_data(&mut self, id: MemberId, reliable: bool, packet: &[u8]) {
        let Some(member) = self.members.get(&id) else { return };
        if !member.joining.permission.can_publish_data || packet.len() > DATA_LIMIT {
            return;
        }
        let Ok(mut packet) = proto::DataPacket::decode(packet) else { return };
        if stamp(&mut packet, reliable, &member.joining.identity, &member.sid) {
            self.deliver(Some(id), reliable, &packet);
        }
    }

    /// Sends a packet to everybody, or to whom it names, never to `from`.
    pub(super) fn deliver(&mut self, from: Option<MemberId>, reliable: bool, packet: &proto::DataPacket) {
        if let Some(Value::User(user)) = &packet.value
            && !self.nonces.is_new(&user.nonce)
        {
            return;
        }
        let wanted = destinations(packet);
        let named =
            |identity: &str, sid: &str| wanted.is_empty() || wanted.iter().any(|name| name == identity || name == sid);
        let to: Vec<MemberId> = self
            .members
            .values()
            .filter(|other| Some(other.id) != from && named(&other.joining.identity, &other.sid))
            .map(|other| other.id)
            .collect();
        if !to.is_empty() {
            self.outputs.push_back(Output::Data { to, reliable, packet: packet.encode_to_vec() });
        }
    }
}

/// Writes the true sender and the true channel into a packet, which clients tell from it and not all write. False for kinds
/// that members may not send.
#[allow(deprecated)]
fn stamp(packet: &mut proto::DataPacket, reliable: bool, identity: &str, sid: &str) -> bool {
    let kind = if reliable { proto::data_packet::Kind::Reliable } else { proto::data_packet::Kind::Lossy };
    packet.kind = kind.into();
    packet.participant_identity = identity.into();
    packet.participant_sid = sid.into();
    match &mut packet.value {
        Some(Value::User(user)) => {
            user.participant_sid = sid.into();
            user.participant_identity = identity.into();
            true
        }
        Some(
            Value::SipDtmf(_)
            | Value::Transcription(_)
            | Value::ChatMessage(_)
            | Value::RpcRequest(_)
            | Value::RpcAck(_)
            | Value::RpcResponse(_)
            | Value::StreamHeader(_)
            | Value::StreamChunk(_)
            | Value::StreamTrailer(_)
            | Value::EncryptedPacket(_),
        ) => true,
        // Who speaks is the room's to say, and metrics are nobody's here.
        Some(Value::Speaker(_) | Value::Metrics(_)) | None => false,
    }
}

#[allow(deprecated)]
fn destinations(packet: &proto::DataPacket) -> Vec<String> {
    let mut wanted = packet.destination_identities.clone();
    if let Some(Value::User(user)) = &packet.value {
        wanted.extend(user.destination_identities.iter().cloned());
        wanted.extend(user.destination_sids.iter().cloned());
    }
    wanted
}
