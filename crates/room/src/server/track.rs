//! One published track as the room sees it.

use super::forward::Layer;
use super::ids::{Kind, MemberId, Slot, TrackId};
use livekit_protocol as proto;
use proto::{TrackSource, TrackType};
use std::time::{Duration, Instant};

/// Keyframes of one track are asked for at most this often. Higher: newcomers wait longer; lower than 300 ms: libwebrtc
/// drops a request that follows another sooner, without a word.
pub(super) const KEYFRAME_INTERVAL: Duration = Duration::from_millis(350);

#[derive(Clone, Debug)]
pub(super) struct Track {
    pub id: TrackId,
    pub owner: MemberId,
    pub kind: Kind,
    pub slot: Slot,
    /// As everybody is told it; muted if the owner muted it or it is silenced.
    pub info: proto::TrackInfo,
    pub muted_by_owner: bool,
    /// Blocked by an administrator: nothing is forwarded.
    pub silenced: bool,
    pub had_subscriber: bool,
    pub keyframe_asked_at: Option<Instant>,
    pub keyframe_due: Option<Instant>,
}

/// `TR_AM…` for a microphone, `TR_VC…` for a camera, and so on, as LiveKit names them.
pub(super) fn sid_prefix(request: &proto::AddTrackRequest) -> &'static str {
    match request.source() {
        TrackSource::Microphone => "TR_AM",
        TrackSource::Camera => "TR_VC",
        TrackSource::ScreenShare => "TR_VS",
        TrackSource::ScreenShareAudio => "TR_AS",
        TrackSource::Unknown => match request.r#type() {
            TrackType::Audio => "TR_A",
            TrackType::Video => "TR_V",
            TrackType::Data => "TR_D",
        },
    }
}

/// Whether sound or picture is announced; `None` for data.
pub(super) fn kind_of(request: &proto::AddTrackRequest) -> Option<Kind> {
    match request.r#type() {
        TrackType::Audio => Some(Kind::Audio),
        TrackType::Video => Some(Kind::Video),
        TrackType::Data => None,
    }
}

/// The codec that the client announced, as the encoding name of `a=rtpmap`; H.264 where it left the choice to us.
pub(super) fn codec_name(request: &proto::AddTrackRequest) -> String {
    let named = request.simulcast_codecs.iter().map(|codec| codec.codec.as_str()).find(|name| !name.is_empty());
    let bare = named.map(|name| name.rsplit('/').next().unwrap_or(name));
    match (request.r#type(), bare) {
        (TrackType::Audio, _) => "opus".into(),
        (TrackType::Video | TrackType::Data, Some(name)) => name.to_owned(),
        (TrackType::Video | TrackType::Data, None) => "H264".into(),
    }
}

/// The track's description for everybody. The flat fields beside `codecs` are what older clients read.
#[allow(deprecated)]
pub(super) fn describe(request: &proto::AddTrackRequest, sid: String) -> proto::TrackInfo {
    let is_audio = request.r#type() == TrackType::Audio;
    let mime_type = format!("{}/{}", if is_audio { "audio" } else { "video" }, codec_name(request));
    let named = request.simulcast_codecs.first();
    let layers = named.map(|codec| codec.layers.clone()).filter(|layers| !layers.is_empty());
    let layers = layers.unwrap_or_else(|| request.layers.clone());
    let codec = proto::SimulcastCodecInfo {
        mime_type: mime_type.clone(),
        cid: named.map(|codec| codec.cid.clone()).filter(|cid| !cid.is_empty()).unwrap_or_else(|| request.cid.clone()),
        layers: layers.clone(),
        ..Default::default()
    };
    proto::TrackInfo {
        sid,
        r#type: request.r#type,
        name: request.name.clone(),
        muted: request.muted,
        width: request.width,
        height: request.height,
        simulcast: layers.len() > 1,
        disable_dtx: request.disable_dtx,
        source: request.source,
        layers,
        mime_type,
        codecs: vec![codec],
        stereo: request.stereo,
        disable_red: true,
        encryption: request.encryption,
        stream: request.stream.clone(),
        audio_features: request.audio_features.clone(),
        ..Default::default()
    }
}

/// The highest layer that settings ask for: by size where one is given, else by quality.
pub(super) fn highest_layer(info: &proto::TrackInfo, settings: &proto::UpdateTrackSettings) -> Layer {
    let top = Layer(2);
    if settings.width == 0 && settings.height == 0 {
        return match settings.quality() {
            proto::VideoQuality::Low => Layer(0),
            proto::VideoQuality::Medium => Layer(1),
            proto::VideoQuality::High | proto::VideoQuality::Off => top,
        };
    }
    let Some(codec) = info.codecs.first() else { return top };
    let big_enough = |layer: &&proto::VideoLayer| layer.width >= settings.width || layer.height >= settings.height;
    let smallest = codec.layers.iter().filter(big_enough).min_by_key(|layer| layer.width);
    smallest.map_or(top, |layer| match layer.quality() {
        proto::VideoQuality::Low => Layer(0),
        proto::VideoQuality::Medium => Layer(1),
        proto::VideoQuality::High | proto::VideoQuality::Off => top,
    })
}
