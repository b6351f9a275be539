//! LiveKit's `RoomService` as its client: Twirp over HTTP, protobuf bodies, a short-lived token for each request.

use super::super::RoomsError;
use crate::tokens::ApiKey;
use axum::body::Bytes;
use axum::http::{HeaderMap, header};
use livekit_protocol as proto;
use livekit_token::{AccessToken, VideoGrants};
use prost::Message;
use std::time::Duration;
use url::Url;

/// A deployment that does not answer within this time counts as unreachable: whoever waits is a person or another
/// server.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// The same for the connection alone.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// A token is made for one request.
const TOKEN_TTL: Duration = Duration::from_secs(60);

/// Why a request was not answered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ServiceError {
    /// It does not know the room or the participant.
    #[error("LiveKit does not know it")]
    NotFound,
    /// It does not accept the API key.
    #[error("LiveKit refuses the API key \"{0}\"")]
    KeyRefused(String),
    /// It says no.
    #[error("LiveKit answers: {0}")]
    Failed(String),
    /// Nobody answers, or something that is no LiveKit.
    #[error("LiveKit cannot be reached: {0}")]
    Unreachable(String),
}

impl From<ServiceError> for RoomsError {
    fn from(error: ServiceError) -> Self {
        match error {
            ServiceError::NotFound => Self::NotExist,
            ServiceError::KeyRefused(_) | ServiceError::Failed(_) | ServiceError::Unreachable(_) => {
                Self::Unavailable(error.to_string())
            }
        }
    }
}

/// What Twirp answers in place of a result (wire protocol v7).
#[derive(serde::Deserialize)]
struct TwirpError {
    code: String,
    #[serde(default)]
    msg: String,
}

/// The client of one deployment.
#[derive(Clone, Debug)]
pub struct Service {
    http: reqwest::Client,
    base: Url,
    key: ApiKey,
}

impl Service {
    /// `base` is `http(s)://host[:port]`.
    pub fn new(base: Url, key: ApiKey) -> reqwest::Result<Self> {
        let http = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(REQUEST_TIMEOUT)
            // The deployment is an address that somebody configured; a proxy for the web is not the way to it.
            .no_proxy()
            .build()?;
        Ok(Self { http, base, key })
    }

    /// Makes sure that a room exists.
    pub async fn create_room(&self, request: proto::CreateRoomRequest) -> Result<proto::Room, ServiceError> {
        self.call("CreateRoom", VideoGrants { room_create: true, ..VideoGrants::default() }, &request).await
    }

    /// The rooms of these names; all where there is none.
    pub async fn list_rooms(&self, names: Vec<String>) -> Result<Vec<proto::Room>, ServiceError> {
        let grants = VideoGrants { room_list: true, ..VideoGrants::default() };
        let found: proto::ListRoomsResponse =
            self.call("ListRooms", grants, &proto::ListRoomsRequest { names }).await?;
        Ok(found.rooms)
    }

    /// Deletes a room with everyone in it.
    pub async fn delete_room(&self, room: &str) -> Result<(), ServiceError> {
        let grants = VideoGrants { room_create: true, ..VideoGrants::default() };
        let request = proto::DeleteRoomRequest { room: room.to_owned() };
        self.call::<_, proto::DeleteRoomResponse>("DeleteRoom", grants, &request).await?;
        Ok(())
    }

    /// Who is in a room. A room that does not exist has nobody in it.
    pub async fn list_participants(&self, room: &str) -> Result<Vec<proto::ParticipantInfo>, ServiceError> {
        let request = proto::ListParticipantsRequest { room: room.to_owned() };
        let found: Result<proto::ListParticipantsResponse, _> =
            self.call("ListParticipants", admin(room), &request).await;
        match found {
            Ok(found) => Ok(found.participants),
            Err(ServiceError::NotFound) => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    /// Puts somebody out.
    pub async fn remove_participant(&self, room: &str, identity: &str) -> Result<(), ServiceError> {
        let request = proto::RoomParticipantIdentity {
            room: room.to_owned(),
            identity: identity.to_owned(),
            ..Default::default()
        };
        self.call::<_, proto::RemoveParticipantResponse>("RemoveParticipant", admin(room), &request).await?;
        Ok(())
    }

    /// Changes what somebody may do from now on; LiveKit ends tracks that may not be published any more.
    pub async fn set_permission(
        &self,
        room: &str,
        identity: &str,
        permission: proto::ParticipantPermission,
    ) -> Result<(), ServiceError> {
        let request = proto::UpdateParticipantRequest {
            room: room.to_owned(),
            identity: identity.to_owned(),
            permission: Some(permission),
            ..Default::default()
        };
        self.call::<_, proto::ParticipantInfo>("UpdateParticipant", admin(room), &request).await?;
        Ok(())
    }

    /// Passes a request on with its own token; gives status, content type and body back.
    pub async fn pass_on(
        &self,
        method: &str,
        headers: &HeaderMap,
        body: Bytes,
    ) -> Result<(u16, String, Bytes), ServiceError> {
        let mut request = self.http.post(self.address(method)).body(body);
        for name in [header::CONTENT_TYPE, header::AUTHORIZATION] {
            if let Some(value) = headers.get(&name) {
                request = request.header(name, value);
            }
        }
        let answer = request.send().await.map_err(|error| unreachable(&error))?;
        let kind = answer.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let (status, kind) = (answer.status().as_u16(), kind.unwrap_or("application/json").to_owned());
        Ok((status, kind, answer.bytes().await.map_err(|error| unreachable(&error))?))
    }

    fn address(&self, method: &str) -> String {
        format!("{}/twirp/livekit.RoomService/{method}", self.base.as_str().trim_end_matches('/'))
    }

    async fn call<Q: Message, A: Message + Default>(
        &self,
        method: &str,
        grants: VideoGrants,
        request: &Q,
    ) -> Result<A, ServiceError> {
        let token = AccessToken::with_api_key(&self.key.key, &self.key.secret)
            .with_ttl(TOKEN_TTL)
            .with_grants(grants)
            .to_jwt()
            .map_err(|error| ServiceError::Failed(error.to_string()))?;
        let request = self
            .http
            .post(self.address(method))
            .bearer_auth(token)
            .header(header::CONTENT_TYPE, "application/protobuf")
            .body(request.encode_to_vec());
        let answer = request.send().await.map_err(|error| unreachable(&error))?;
        let status = answer.status();
        let body = answer.bytes().await.map_err(|error| unreachable(&error))?;
        if status.is_success() {
            return A::decode(body).map_err(|_| ServiceError::Unreachable("what answers is no LiveKit".to_owned()));
        }
        let Ok(error) = serde_json::from_slice::<TwirpError>(&body) else {
            let why = if status.as_u16() == 401 { return Err(self.refused()) } else { status };
            return Err(ServiceError::Unreachable(format!("what answers is no LiveKit ({why})")));
        };
        Err(match error.code.as_str() {
            "not_found" => ServiceError::NotFound,
            "unauthenticated" | "permission_denied" => self.refused(),
            "unavailable" | "deadline_exceeded" => ServiceError::Unreachable(error.msg),
            code => ServiceError::Failed(format!("{code}: {}", error.msg)),
        })
    }

    fn refused(&self) -> ServiceError {
        ServiceError::KeyRefused(self.key.key.clone())
    }
}

fn admin(room: &str) -> VideoGrants {
    VideoGrants { room_admin: true, room: room.to_owned(), ..VideoGrants::default() }
}

/// The innermost cause: the outer ones name the address alone.
fn unreachable(error: &reqwest::Error) -> ServiceError {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    ServiceError::Unreachable(if error.is_timeout() { "no answer in time".to_owned() } else { cause.to_string() })
}
