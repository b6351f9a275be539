//! One track out, one track in: RTP and the requests that go with it.

use super::{TransportError, setup};
use bytes::Bytes;
use rtc::media_stream::MediaStreamTrack;
use rtc::rtcp::payload_feedbacks::picture_loss_indication::PictureLossIndication;
use rtc::rtp;
use rtc::rtp::extension::HeaderExtension;
use rtc::rtp::extension::audio_level_extension::AudioLevelExtension;
use rtc::rtp_transceiver::rtp_sender::{RTCRtpCodingParameters, RTCRtpEncodingParameters, RtpCodecKind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;
use webrtc::media_stream::Track as _;
use webrtc::media_stream::track_local::static_rtp::TrackLocalStaticRTP;
use webrtc::media_stream::track_local::{TrackLocal as _, TrackLocalEvent};
use webrtc::media_stream::track_remote::{TrackRemote, TrackRemoteEvent};
use webrtc::rtp_transceiver::RtpSender;

/// What a track carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// Opus.
    Voice,
    /// H.264 of ours; of others whatever they insist on.
    Picture,
}

/// How a remote track is coded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Codec {
    Opus,
    H264,
    /// Counted, not decoded here.
    Other,
}

/// The local half of a sendonly section.
pub(super) fn new_local(kind: Kind) -> Arc<TrackLocalStaticRTP> {
    let codec = match kind {
        Kind::Voice => setup::opus(),
        Kind::Picture => setup::h264(),
    };
    let coding = RTCRtpEncodingParameters {
        rtp_coding_parameters: RTCRtpCodingParameters { ssrc: Some(rand::random()), ..Default::default() },
        active: true,
        codec,
        ..Default::default()
    };
    let id = format!("{:032x}", rand::random::<u128>());
    Arc::new(TrackLocalStaticRTP::new(MediaStreamTrack::new(
        format!("ahoy-{id}"),
        id,
        String::new(),
        kind.into(),
        vec![coding],
    )))
}

/// A track of ours. Cloning shares it.
#[derive(Clone)]
pub(crate) struct LocalTrack {
    kind: Kind,
    track: Arc<TrackLocalStaticRTP>,
    sender: Arc<dyn RtpSender>,
    cid: String,
    ssrc: u32,
}

impl LocalTrack {
    pub(super) async fn new(kind: Kind, track: Arc<TrackLocalStaticRTP>, sender: Arc<dyn RtpSender>) -> Self {
        let cid = track.track_id().await;
        let ssrc = track.ssrcs().await.first().copied().unwrap_or_default();
        Self { kind, track, sender, cid, ssrc }
    }

    /// What it carries.
    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }

    /// The library's part.
    pub(super) fn sender(&self) -> &Arc<dyn RtpSender> {
        &self.sender
    }

    /// The id under which AddTrack announces it; the offer's msid carries it too.
    pub(crate) fn cid(&self) -> &str {
        &self.cid
    }

    /// The payload type that the answer chose; `None` before the answer.
    pub(crate) async fn payload_type(&self) -> Option<u8> {
        let parameters = self.sender.get_parameters().await.ok()?;
        parameters.rtp_parameters.codecs.first().map(|codec| codec.payload_type)
    }

    /// Sends one packet; `level` is loudness in −dBov (RFC 6464).
    pub(crate) async fn send(
        &self,
        payload_type: u8,
        sequence_number: u16,
        timestamp: u32,
        marker: bool,
        payload: Bytes,
        level: Option<u8>,
    ) -> Result<(), TransportError> {
        let header = rtp::Header {
            version: 2,
            marker,
            payload_type,
            sequence_number,
            timestamp,
            ssrc: self.ssrc,
            ..Default::default()
        };
        let packet = rtp::Packet { header, payload };
        match level {
            Some(level) => {
                let level = AudioLevelExtension { level, voice: level < 60 };
                self.track.write_rtp_with_extensions(packet, &[HeaderExtension::AudioLevel(level)]).await?;
            }
            None => self.track.write_rtp(packet).await?,
        }
        Ok(())
    }

    /// Waits until somebody asks for a keyframe; `None` once the connection is closed.
    pub(crate) async fn keyframe_wanted(&self) -> Option<()> {
        match self.track.poll().await? {
            TrackLocalEvent::OnRtcpPacket(_) => Some(()),
            _ => Some(()),
        }
    }
}

/// One packet of a remote track.
pub(crate) struct Incoming {
    pub(crate) sequence_number: u16,
    pub(crate) timestamp: u32,
    pub(crate) marker: bool,
    pub(crate) payload: Bytes,
    pub(crate) arrived_at: Instant,
}

/// A track of somebody else.
pub(crate) struct RemoteTrack {
    track: Arc<dyn TrackRemote>,
    /// The participant's sid.
    pub(crate) participant: String,
    /// The track's sid.
    pub(crate) sid: String,
    pub(crate) kind: Kind,
    pub(crate) codec: Codec,
    pub(crate) ssrc: u32,
    /// Packets so far: the session looks whether it moves.
    pub(crate) packets: Arc<AtomicU64>,
}

impl RemoteTrack {
    /// Reads the names from the msid `PA_…|TR_… TR_…`; `None` where it has no SSRC.
    pub(super) async fn new(track: Arc<dyn TrackRemote>) -> Option<Self> {
        let ssrc = track.ssrcs().await.first().copied()?;
        let mime = track.codec(ssrc).await.map(|codec| codec.mime_type.to_ascii_lowercase()).unwrap_or_default();
        let codec = match mime.as_str() {
            "audio/opus" => Codec::Opus,
            "video/h264" => Codec::H264,
            _ => Codec::Other,
        };
        let kind = if track.kind().await == RtpCodecKind::Audio { Kind::Voice } else { Kind::Picture };
        let stream = track.stream_id().await;
        let (participant, named) = stream.split_once('|').unwrap_or((stream.as_str(), ""));
        let label = track.track_id().await;
        let sid = if named.starts_with("TR_") { named.to_owned() } else { label };
        Some(Self { participant: participant.to_owned(), sid, kind, codec, ssrc, packets: Arc::default(), track })
    }

    /// The next packet; `None` once the track or the connection is over.
    pub(crate) async fn next(&self) -> Option<Incoming> {
        loop {
            match self.track.poll().await? {
                // Probes for bandwidth are packets without a payload.
                TrackRemoteEvent::OnRtpPacket(packet) if packet.payload.is_empty() => {}
                TrackRemoteEvent::OnRtpPacket(packet) => {
                    self.packets.fetch_add(1, Ordering::Relaxed);
                    return Some(Incoming {
                        sequence_number: packet.header.sequence_number,
                        timestamp: packet.header.timestamp,
                        marker: packet.header.marker,
                        payload: packet.payload,
                        arrived_at: Instant::now(),
                    });
                }
                TrackRemoteEvent::OnEnded => return None,
                _ => {}
            }
        }
    }

    /// Asks for a keyframe (PLI, RFC 4585).
    pub(crate) async fn request_keyframe(&self) {
        let pli = PictureLossIndication { sender_ssrc: 0, media_ssrc: self.ssrc };
        if self.track.write_rtcp(vec![Box::new(pli)]).await.is_err() {
            tracing::debug!("a keyframe request came after the end");
        }
    }
}
