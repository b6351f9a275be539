//! The peer connection: the only module that knows `webrtc` and `rtc`.
//!
//! One connection carries everything (`/rtc/v1`): the client offers, the server answers. What it is not: it knows no
//! signalling socket, no codec and no device.

#![expect(clippy::wildcard_enum_match_arm, reason = "the library's events grow; what is not named changes nothing")]

mod figures;
mod keyframes;
mod setup;
mod track;

use rtc::rtp_transceiver::rtp_sender::RtpCodecKind;
use rtc::rtp_transceiver::{RTCRtpTransceiverDirection, RTCRtpTransceiverInit};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, watch};
use webrtc::media_stream::track_remote::TrackRemote;
use webrtc::peer_connection::{
    PeerConnection, PeerConnectionBuilder, PeerConnectionEventHandler, RTCIceCandidateInit, RTCIceGatheringState,
    RTCPeerConnectionIceEvent, RTCPeerConnectionState, RTCSessionDescription, StatsSelector,
};

pub(crate) use figures::{Figures, StreamFigures};
pub(crate) use track::{Codec, Kind, LocalTrack, RemoteTrack};

/// Host candidates are there within milliseconds; whoever is slower is trickled.
const GATHER_TIMEOUT: Duration = Duration::from_millis(500);

/// What went wrong in the peer connection.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TransportError {
    /// The library refused; its text carries addresses and stays at debug level.
    #[error("the media connection failed")]
    Library(#[from] webrtc::error::Error),
    /// The other side sent something that is no description or candidate.
    #[error("the server sent a damaged description")]
    Peer,
}

/// What the peer connection reports.
pub(crate) enum TransportEvent {
    /// A path works, or has not since then.
    Path { down_since: Option<Instant> },
    /// A local candidate that came after the offer, as JSON.
    Candidate(String),
    /// Somebody's media has begun to arrive.
    Track(RemoteTrack),
}

/// One peer connection.
pub(crate) struct Transport {
    connection: Arc<dyn PeerConnection>,
    gathered: watch::Receiver<bool>,
    negotiation: Negotiation,
    /// Candidates that came before the answer.
    early_candidates: Vec<RTCIceCandidateInit>,
    answered: bool,
}

/// One offer in flight; a wish that comes meanwhile is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Negotiation {
    Idle,
    InFlight { again: bool },
}

impl Transport {
    /// Binds sockets and gathers nothing yet.
    pub(crate) async fn new(
        addresses: Vec<SocketAddr>,
        events: mpsc::Sender<TransportEvent>,
    ) -> Result<Self, TransportError> {
        let (gathered_tx, gathered) = watch::channel(false);
        let handler = Handler { events, gathered: gathered_tx };
        let (media, interceptors) = setup::codecs()?;
        let connection = PeerConnectionBuilder::new()
            .with_setting_engine(setup::settings())
            .with_media_engine(media)
            .with_interceptor_registry(interceptors)
            .with_handler(Arc::new(handler))
            .with_udp_addrs(addresses)
            .build()
            .await?;
        Ok(Self {
            connection: Arc::new(connection),
            gathered,
            negotiation: Negotiation::Idle,
            early_candidates: Vec::new(),
            answered: false,
        })
    }

    /// Adds a track to send; it is announced by the next offer.
    pub(crate) async fn publish(&self, kind: Kind) -> Result<LocalTrack, TransportError> {
        let local = track::new_local(kind);
        let init = RTCRtpTransceiverInit {
            direction: RTCRtpTransceiverDirection::Sendonly,
            streams: vec![],
            send_encodings: vec![],
        };
        let transceiver = self.connection.add_transceiver_from_track(local.clone(), Some(init)).await?;
        let sender = transceiver.sender().await?.ok_or(TransportError::Peer)?;
        Ok(LocalTrack::new(kind, local, sender).await)
    }

    /// Ends a track; the next offer says so.
    pub(crate) async fn unpublish(&self, track: &LocalTrack) -> Result<(), TransportError> {
        Ok(self.connection.remove_track(track.sender()).await?)
    }

    /// Adds so many sections to receive into; the next offer announces them.
    pub(crate) async fn make_room(&self, kind: Kind, sections: u32) -> Result<(), TransportError> {
        for _ in 0..sections {
            let init = RTCRtpTransceiverInit {
                direction: RTCRtpTransceiverDirection::Recvonly,
                streams: vec![],
                send_encodings: vec![],
            };
            self.connection.add_transceiver_from_kind(kind.into(), Some(init)).await?;
        }
        Ok(())
    }

    /// The text of a new offer; `None` where one is in flight, then another is due after its answer.
    pub(crate) async fn offer(&mut self) -> Result<Option<String>, TransportError> {
        if let Negotiation::InFlight { again } = &mut self.negotiation {
            *again = true;
            return Ok(None);
        }
        let offer = self.connection.create_offer(None).await?;
        self.connection.set_local_description(offer).await?;
        // Whoever answers an offer without candidates starts checks late, and sometimes a second late.
        let _ = tokio::time::timeout(GATHER_TIMEOUT, self.gathered.wait_for(|done| *done)).await;
        let local = self.connection.local_description().await.ok_or(TransportError::Peer)?;
        self.negotiation = Negotiation::InFlight { again: false };
        Ok(Some(local.sdp))
    }

    /// Takes the answer; true where another offer is due.
    pub(crate) async fn answer(&mut self, sdp: String) -> Result<bool, TransportError> {
        let answer = RTCSessionDescription::answer(sdp).map_err(|_| TransportError::Peer)?;
        self.connection.set_remote_description(answer).await?;
        self.answered = true;
        for candidate in std::mem::take(&mut self.early_candidates) {
            self.connection.add_ice_candidate(candidate).await?;
        }
        let again = self.negotiation == Negotiation::InFlight { again: true };
        self.negotiation = Negotiation::Idle;
        Ok(again)
    }

    /// A lost socket loses the answer too: the next offer may go out.
    pub(crate) fn forget_offer(&mut self) {
        self.negotiation = Negotiation::Idle;
    }

    /// The current local description, for SyncState.
    pub(crate) async fn local_description(&self) -> Option<String> {
        self.connection.current_local_description().await.map(|d| d.sdp)
    }

    /// The current answer, for SyncState.
    pub(crate) async fn remote_description(&self) -> Option<String> {
        self.connection.current_remote_description().await.map(|d| d.sdp)
    }

    /// A candidate of the server, JSON of `RTCIceCandidateInit`; kept until the answer is there.
    pub(crate) async fn remote_candidate(&mut self, json: &str) -> Result<(), TransportError> {
        let candidate: RTCIceCandidateInit = serde_json::from_str(json).map_err(|_| TransportError::Peer)?;
        if self.answered {
            self.connection.add_ice_candidate(candidate).await?;
        } else {
            self.early_candidates.push(candidate);
        }
        Ok(())
    }

    /// The next offer asks for new paths.
    pub(crate) async fn restart_ice(&mut self) -> Result<(), TransportError> {
        self.negotiation = Negotiation::Idle;
        Ok(self.connection.restart_ice().await?)
    }

    /// Counters of all streams.
    pub(crate) async fn figures(&self) -> Figures {
        let now = Instant::now();
        figures::read(&self.connection.get_stats(now, StatsSelector::None).await)
    }

    /// Closes sockets. Senders must have stopped before: the library prints whole packets that come later.
    pub(crate) async fn close(&self) {
        if let Err(error) = self.connection.close().await {
            tracing::debug!(%error, "closing the peer connection");
        }
    }
}

impl From<Kind> for RtpCodecKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Voice => Self::Audio,
            Kind::Picture => Self::Video,
        }
    }
}

/// Runs on the library's own task and therefore only forwards.
struct Handler {
    events: mpsc::Sender<TransportEvent>,
    gathered: watch::Sender<bool>,
}

impl Handler {
    /// A session that has not emptied 256 events is stuck; waiting for it here would stop its media as well.
    fn forward(&self, event: TransportEvent) {
        if self.events.try_send(event).is_err() {
            tracing::warn!("an event of the peer connection was dropped");
        }
    }
}

#[async_trait::async_trait]
impl PeerConnectionEventHandler for Handler {
    async fn on_ice_gathering_state_change(&self, state: RTCIceGatheringState) {
        if state == RTCIceGatheringState::Complete {
            self.gathered.send_replace(true);
        }
    }

    async fn on_ice_candidate(&self, event: RTCPeerConnectionIceEvent) {
        if !*self.gathered.borrow() {
            return;
        }
        if let Ok(init) = event.candidate.to_json()
            && let Ok(json) = serde_json::to_string(&init)
        {
            self.forward(TransportEvent::Candidate(json));
        }
    }

    async fn on_connection_state_change(&self, state: RTCPeerConnectionState) {
        tracing::debug!(?state, "peer connection");
        match state {
            RTCPeerConnectionState::Connected => self.forward(TransportEvent::Path { down_since: None }),
            RTCPeerConnectionState::Disconnected | RTCPeerConnectionState::Failed => {
                let now = Instant::now();
                let down_since = now.checked_sub(setup::SILENCE_TIMEOUT).unwrap_or(now);
                self.forward(TransportEvent::Path { down_since: Some(down_since) });
            }
            _ => {}
        }
    }

    async fn on_track(&self, track: Arc<dyn TrackRemote>) {
        if let Some(track) = RemoteTrack::new(track).await {
            self.forward(TransportEvent::Track(track));
        }
    }
}
