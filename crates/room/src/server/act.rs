//! What administrators ask of a room, as LiveKit's RoomService words it: inputs of the same room as everybody's.

use super::limits::{TooLarge, check_metadata};
use super::{Blocked, Output, Room};
use livekit_protocol as proto;
use prost::Message as _;
use proto::DisconnectReason;
use proto::data_packet::Value;
use proto::signal_response::Message;
use std::time::Instant;

/// One deed of an administrator's.
#[derive(Clone, Debug)]
pub enum Act {
    /// Puts somebody out.
    Remove {
        /// Whom.
        identity: String,
    },
    /// Stops or frees somebody's voice and picture.
    Block {
        /// Whose.
        identity: String,
        /// What.
        blocked: Blocked,
    },
    /// Mutes or unmutes a track, as if its owner had: the owner's client is told and follows.
    Mute {
        /// Whose.
        identity: String,
        /// Which.
        track_sid: String,
        /// Muted from now on.
        muted: bool,
    },
    /// Changes somebody's name, metadata, attributes and permission. What is empty stays; attributes with an empty value
    /// go.
    Update(Box<proto::UpdateParticipantRequest>),
    /// Subscribes somebody to tracks, or ends that. Unknown tracks are ignored.
    Subscribe(Box<proto::UpdateSubscriptionsRequest>),
    /// Sends data from nobody, to the named ones or to all.
    Send(Box<proto::SendDataRequest>),
    /// Changes the room's metadata.
    SetMetadata(String),
}

/// Why nothing was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Nobody here has this identity.
    #[error("participant does not exist")]
    NoMember,
    /// They have no such track.
    #[error("track is not found")]
    NoTrack,
    /// More than the room takes.
    #[error(transparent)]
    TooLarge(#[from] TooLarge),
}

impl Room {
    /// Does what an administrator asks. Who may ask is the body's to check.
    pub fn handle_act(&mut self, now: Instant, act: Act) -> Result<(), Refused> {
        let done = match act {
            Act::Remove { identity } => self.handle_remove(now, &identity),
            Act::Block { identity, blocked } => self.handle_block(now, &identity, blocked),
            Act::Mute { identity, track_sid, muted } => return self.mute_by_order(now, &identity, track_sid, muted),
            Act::Update(request) => return self.update(*request),
            Act::Subscribe(request) => self.subscribe_by_order(*request),
            Act::Send(request) => return self.send(*request),
            Act::SetMetadata(metadata) => return self.set_metadata(metadata),
        };
        if done { Ok(()) } else { Err(Refused::NoMember) }
    }

    /// An administrator puts somebody out. False if nobody here has this identity.
    pub fn handle_remove(&mut self, now: Instant, identity: &str) -> bool {
        let Some(id) = self.member_of(identity) else { return false };
        self.leave(now, id, DisconnectReason::ParticipantRemoved, true);
        true
    }

    fn mute_by_order(&mut self, now: Instant, identity: &str, sid: String, muted: bool) -> Result<(), Refused> {
        let id = self.member_of(identity).ok_or(Refused::NoMember)?;
        let request = proto::MuteTrackRequest { sid, muted };
        if !self.mute(now, id, &request) {
            return Err(Refused::NoTrack);
        }
        self.signal(id, Message::Mute(request));
        Ok(())
    }

    fn update(&mut self, request: proto::UpdateParticipantRequest) -> Result<(), Refused> {
        let id = self.member_of(&request.identity).ok_or(Refused::NoMember)?;
        let attributes = request.attributes.into_iter().collect();
        self.describe_anew(id, request.name, request.metadata, attributes)?;
        match request.permission {
            Some(permission) => self.set_permission(id, permission),
            None => self.tell_all(id),
        }
        self.grants_changed(id);
        Ok(())
    }

    fn subscribe_by_order(&mut self, request: proto::UpdateSubscriptionsRequest) -> bool {
        let Some(id) = self.member_of(&request.identity) else { return false };
        let proto::UpdateSubscriptionsRequest { track_sids, participant_tracks, subscribe, .. } = request;
        self.subscribe(id, &proto::UpdateSubscription { track_sids, participant_tracks, subscribe });
        true
    }

    #[allow(deprecated)]
    fn send(&mut self, request: proto::SendDataRequest) -> Result<(), Refused> {
        let kind = request.kind();
        let user = proto::UserPacket {
            payload: request.data,
            destination_sids: request.destination_sids,
            destination_identities: request.destination_identities.clone(),
            topic: request.topic,
            nonce: request.nonce,
            ..Default::default()
        };
        let packet = proto::DataPacket {
            kind: kind.into(),
            destination_identities: request.destination_identities,
            value: Some(Value::User(user)),
            ..Default::default()
        };
        if packet.encoded_len() > super::limits::DATA_LIMIT {
            return Err(TooLarge::Data.into());
        }
        self.deliver(None, kind == proto::data_packet::Kind::Reliable, &packet);
        Ok(())
    }

    fn set_metadata(&mut self, metadata: String) -> Result<(), Refused> {
        check_metadata(&metadata)?;
        self.config.metadata = metadata;
        self.tell_room();
        Ok(())
    }

    /// The body renews the member's token by what it may and is called now.
    pub(super) fn grants_changed(&mut self, id: super::MemberId) {
        let Some(member) = self.members.get_mut(&id) else { return };
        member.has_new_grants = true;
        let grants = Box::new(member.joining.clone());
        self.outputs.push_back(Output::GrantsChanged { member: id, grants });
    }
}
