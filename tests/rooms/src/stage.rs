//! Where a row of the table plays: a server, the back end that carries its rooms, and a wire to that.

use crate::{LiveKit, Wire};
use anyhow::{Context as _, Result};
use engine::api::{Intent, Secret};
use livekit_token::{AccessToken, VideoGrants};
use protocol::RoomId;
use server::config::RoomsKind;
use server::tokens::ApiKey;
use std::net::SocketAddr;
use std::time::Duration;
use tests_calls::{House, Person};

/// Who carries the rooms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// The server itself.
    Embedded,
    /// LiveKit's own server.
    LiveKit,
}

/// Everything that a row needs.
pub struct Stage {
    /// Who carries the rooms.
    pub backend: Backend,
    /// The server with the call plane.
    pub house: House,
    /// The way to the rooms.
    pub wire: Wire,
    livekit: Option<LiveKit>,
}

/// The path of the webhooks.
const WEBHOOK: &str = "/livekit/webhook";

impl Stage {
    /// Starts everything.
    pub async fn open(backend: Backend) -> Result<Self> {
        match backend {
            Backend::Embedded => {
                let house = House::open().await?;
                let wire = Wire::open(house.address()).await?;
                Ok(Self { backend, house, wire, livekit: None })
            }
            Backend::LiveKit => Self::open_livekit(true).await,
        }
    }

    /// Starts everything on LiveKit, with or without its webhooks.
    pub async fn open_livekit(webhooks: bool) -> Result<Self> {
        // Each of the two has to know the other's address: the wire has one before LiveKit runs.
        let wire = Wire::open(SocketAddr::from(([127, 0, 0, 1], 1))).await?;
        let url: url::Url = format!("ws://{}", wire.address()).parse()?;
        let house = House::open_with(|config| {
            config.rooms = RoomsKind::LiveKit;
            config.livekit_url = Some(url);
        })
        .await?;
        let hook = format!("http://{}{WEBHOOK}", house.address());
        let livekit = LiveKit::start(webhooks.then_some(hook.as_str())).await?;
        wire.aim(livekit.address());
        Ok(Self { backend: Backend::LiveKit, house, wire, livekit: Some(livekit) })
    }

    /// Somebody with an engine, signed in.
    pub async fn person(&self, name: &str) -> Result<Person> {
        // Embedded rooms are reached by the address of the call plane.
        let way = match self.backend {
            Backend::Embedded => format!("http://{}", self.wire.address()).parse()?,
            Backend::LiveKit => self.house.url(),
        };
        let tone = media::DeviceChoice::Synthetic(media::Synthetic::Tone(440));
        Person::arrive_by(&self.house, way, name, tone, media::DeviceChoice::None).await
    }

    /// The intent of entering with a token that an administrator made, instead of asking the call plane.
    pub fn enter_by_token(&self, room: &RoomId, identity: &str) -> Result<Intent> {
        let ApiKey { key, secret } = House::api_key();
        let grants = VideoGrants { room_join: true, room: room.wire_name(), ..VideoGrants::default() };
        let token = AccessToken::with_api_key(&key, &secret).with_identity(identity).with_grants(grants);
        // Good for longer than the test.
        let token = Secret(token.with_ttl(Duration::from_secs(3600)).to_jwt()?);
        let url = format!("ws://{}", self.wire.address()).parse()?;
        Ok(Intent::EnterRoomByToken { url, token, camera: true })
    }

    /// Stops whoever carries the rooms without a word, and starts it again.
    pub async fn restart_rooms(self) -> Result<Self> {
        let Self { backend, mut house, wire, mut livekit } = self;
        match &mut livekit {
            Some(livekit) => livekit.restart().await?,
            None => house = house.restart().await?,
        }
        Ok(Self { backend, house, wire, livekit })
    }

    /// Stops the server with the call plane, and starts it again.
    pub async fn restart_house(self) -> Result<Self> {
        Ok(Self { house: self.house.restart().await?, ..self })
    }

    /// Asks LiveKit itself to remove somebody, past the server.
    pub async fn remove_at_livekit(&self, room: &RoomId, identity: &str) -> Result<()> {
        let ApiKey { key, secret } = House::api_key();
        let name = room.wire_name();
        let grants = VideoGrants { room_admin: true, room: name.clone(), ..VideoGrants::default() };
        let token = AccessToken::with_api_key(&key, &secret).with_grants(grants).to_jwt()?;
        let livekit = self.livekit.as_ref().context("the rooms are embedded")?.address();
        let url = format!("http://{livekit}/twirp/livekit.RoomService/RemoveParticipant");
        let body = serde_json::json!({ "room": name, "identity": identity });
        let answer = reqwest::Client::new().post(url).bearer_auth(token).json(&body).send().await?;
        anyhow::ensure!(answer.status().is_success(), "{}", answer.text().await?);
        Ok(())
    }
}
