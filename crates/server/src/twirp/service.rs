//! The methods of `RoomService`, and the grants that each needs.

use super::failure::{Failure, NO_PARTICIPANT, NO_ROOM};
use super::{Call, Service};
use crate::rtc::{Command, RoomOptions};
use axum::response::Response;
use livekit_protocol as proto;
use livekit_token::Claims;
use room::server::Act;
use room::server::limits::{check_metadata, check_name};

/// A nonce is a UUID or is not there.
const NONCE_LENGTH: usize = 16;

fn require(allowed: bool) -> Result<(), Failure> {
    if allowed { Ok(()) } else { Err(Failure::PermissionDenied) }
}

fn is_admin_of(claims: &Claims, room: &str) -> Result<(), Failure> {
    require(claims.video.room_admin && claims.video.room == room)
}

impl Service {
    pub(super) async fn call(&self, method: &str, claims: &Claims, call: &Call) -> Result<Response, Failure> {
        match method {
            "CreateRoom" => self.create_room(claims, call).await,
            "ListRooms" => self.list_rooms(claims, call).await,
            "DeleteRoom" => self.delete_room(claims, call).await,
            "ListParticipants" => self.list_participants(claims, call).await,
            "GetParticipant" => self.get_participant(claims, call).await,
            "RemoveParticipant" => self.remove_participant(claims, call).await,
            "MutePublishedTrack" => self.mute_published_track(claims, call).await,
            "UpdateParticipant" => self.update_participant(claims, call).await,
            "UpdateSubscriptions" => self.update_subscriptions(claims, call).await,
            "SendData" => self.send_data(claims, call).await,
            "UpdateRoomMetadata" => self.update_room_metadata(claims, call).await,
            "ForwardParticipant" | "MoveParticipant" | "PerformRpc" => Err(Failure::Unimplemented),
            _ => Err(Failure::BadRoute("no such method")),
        }
    }

    async fn find(&self, room: &str) -> Result<(proto::Room, Vec<proto::ParticipantInfo>), Failure> {
        let rooms = vec![room.to_owned()];
        let found = self.media.ask(|reply| Command::List { rooms, reply }).await?;
        found.into_iter().next().ok_or(NO_ROOM)
    }

    async fn participant(&self, room: &str, identity: &str) -> Result<proto::ParticipantInfo, Failure> {
        let people = self.find(room).await?.1;
        people.into_iter().find(|person| person.identity == identity).ok_or(NO_PARTICIPANT)
    }

    async fn act(&self, room: &str, act: Act) -> Result<(), Failure> {
        let room = room.to_owned();
        let done = self.media.ask(|reply| Command::Act { room, act, reply }).await?;
        Ok(done.ok_or(NO_ROOM)??)
    }

    /// A room that is there already stays as it is.
    async fn create_room(&self, claims: &Claims, call: &Call) -> Result<Response, Failure> {
        require(claims.video.room_create)?;
        let request: proto::CreateRoomRequest = call.read()?;
        if request.name.is_empty() {
            return Err(Failure::InvalidArgument("no room name".to_owned()));
        }
        check_name(&request.name)?;
        check_metadata(&request.metadata)?;
        let proto::CreateRoomRequest { name, empty_timeout, departure_timeout, max_participants, metadata, .. } =
            request;
        let options = RoomOptions::from_wire(empty_timeout, departure_timeout, max_participants, metadata);
        let room = self.media.ask(|reply| Command::Open { room: name, options, reply }).await?;
        Ok(call.answer(&room))
    }

    async fn list_rooms(&self, claims: &Claims, call: &Call) -> Result<Response, Failure> {
        require(claims.video.room_list)?;
        let request: proto::ListRoomsRequest = call.read()?;
        let rooms = request.names;
        let found = self.media.ask(|reply| Command::List { rooms, reply }).await?;
        Ok(call.answer(&proto::ListRoomsResponse { rooms: found.into_iter().map(|(room, _)| room).collect() }))
    }

    async fn delete_room(&self, claims: &Claims, call: &Call) -> Result<Response, Failure> {
        require(claims.video.room_create)?;
        let request: proto::DeleteRoomRequest = call.read()?;
        self.rooms.dismiss(&request.room, Some(claims.iss.clone())).await?;
        Ok(call.answer(&proto::DeleteRoomResponse::default()))
    }

    async fn list_participants(&self, claims: &Claims, call: &Call) -> Result<Response, Failure> {
        let request: proto::ListParticipantsRequest = call.read()?;
        is_admin_of(claims, &request.room)?;
        let participants = self.find(&request.room).await?.1;
        Ok(call.answer(&proto::ListParticipantsResponse { participants }))
    }

    async fn get_participant(&self, claims: &Claims, call: &Call) -> Result<Response, Failure> {
        let request: proto::RoomParticipantIdentity = call.read()?;
        is_admin_of(claims, &request.room)?;
        Ok(call.answer(&self.participant(&request.room, &request.identity).await?))
    }

    async fn remove_participant(&self, claims: &Claims, call: &Call) -> Result<Response, Failure> {
        let request: proto::RoomParticipantIdentity = call.read()?;
        is_admin_of(claims, &request.room)?;
        self.participant(&request.room, &request.identity).await?;
        let by = Some(claims.iss.clone());
        self.rooms.remove(&request.room, &request.identity, by).await?;
        Ok(call.answer(&proto::RemoveParticipantResponse::default()))
    }

    async fn mute_published_track(&self, claims: &Claims, call: &Call) -> Result<Response, Failure> {
        let request: proto::MuteRoomTrackRequest = call.read()?;
        is_admin_of(claims, &request.room)?;
        if !request.muted && !self.remote_unmute {
            self.participant(&request.room, &request.identity).await?;
            return Err(Failure::FailedPrecondition("remote unmute not enabled"));
        }
        let proto::MuteRoomTrackRequest { room, identity, track_sid, muted } = request;
        let act = Act::Mute { identity: identity.clone(), track_sid: track_sid.clone(), muted };
        self.act(&room, act).await?;
        let tracks = self.participant(&room, &identity).await?.tracks;
        // `None`: announced and not published yet.
        let track = tracks.into_iter().find(|track| track.sid == track_sid);
        Ok(call.answer(&proto::MuteRoomTrackResponse { track }))
    }

    async fn update_participant(&self, claims: &Claims, call: &Call) -> Result<Response, Failure> {
        let request: proto::UpdateParticipantRequest = call.read()?;
        is_admin_of(claims, &request.room)?;
        let (room, identity) = (request.room.clone(), request.identity.clone());
        self.act(&room, Act::Update(Box::new(request))).await?;
        Ok(call.answer(&self.participant(&room, &identity).await?))
    }

    async fn update_subscriptions(&self, claims: &Claims, call: &Call) -> Result<Response, Failure> {
        let request: proto::UpdateSubscriptionsRequest = call.read()?;
        is_admin_of(claims, &request.room)?;
        self.act(&request.room.clone(), Act::Subscribe(Box::new(request))).await?;
        Ok(call.answer(&proto::UpdateSubscriptionsResponse::default()))
    }

    async fn send_data(&self, claims: &Claims, call: &Call) -> Result<Response, Failure> {
        let request: proto::SendDataRequest = call.read()?;
        is_admin_of(claims, &request.room)?;
        if !request.nonce.is_empty() && request.nonce.len() != NONCE_LENGTH {
            return Err(Failure::InvalidArgument(format!("a nonce has {NONCE_LENGTH} bytes")));
        }
        self.act(&request.room.clone(), Act::Send(Box::new(request))).await?;
        Ok(call.answer(&proto::SendDataResponse::default()))
    }

    async fn update_room_metadata(&self, claims: &Claims, call: &Call) -> Result<Response, Failure> {
        let request: proto::UpdateRoomMetadataRequest = call.read()?;
        is_admin_of(claims, &request.room)?;
        self.act(&request.room, Act::SetMetadata(request.metadata)).await?;
        Ok(call.answer(&self.find(&request.room).await?.0))
    }
}
