//! Codecs, header extensions, interceptors and ICE timing of a peer connection.

use super::keyframes::KeyframeRequests;
use rtc::interceptor::Slot;
use rtc::peer_connection::configuration::media_engine::{
    MIME_TYPE_AV1, MIME_TYPE_H264, MIME_TYPE_OPUS, MIME_TYPE_RTX, MIME_TYPE_VP8, MIME_TYPE_VP9,
};
use rtc::rtp_transceiver::rtp_sender::{
    RTCPFeedback, RTCRtpCodec, RTCRtpCodecParameters, RTCRtpHeaderExtensionCapability, RtpCodecKind,
};
use std::time::Duration;
use webrtc::peer_connection::{
    MediaEngine, Registry, SettingEngine, SettingEngineBuilder, register_default_interceptors,
};

/// Without a packet for so long the path is down. Keepalives come twice as often.
pub(super) const SILENCE_TIMEOUT: Duration = Duration::from_secs(2);
/// The library's own end of an unanswered path; the room brain decides much earlier.
const FAILED_TIMEOUT: Duration = Duration::from_secs(60);
const KEEPALIVE_INTERVAL: Duration = Duration::from_millis(700);
/// The library's 200 ms are felt in each call set-up.
const CHECK_INTERVAL: Duration = Duration::from_millis(20);
/// 70 checks at 20 ms are the 1.4 s that the defaults give a candidate.
const CHECKS: u16 = 70;

/// RFC 6464.
const AUDIO_LEVEL_URI: &str = "urn:ietf:params:rtp-hdrext:ssrc-audio-level";

pub(super) const OPUS_PAYLOAD_TYPE: u8 = 111;

/// Opus as it is offered (RFC 7587); in-band FEC repairs single losses.
pub(super) fn opus() -> RTCRtpCodec {
    RTCRtpCodec {
        mime_type: MIME_TYPE_OPUS.to_owned(),
        clock_rate: 48_000,
        channels: 2,
        sdp_fmtp_line: "minptime=10;useinbandfec=1".to_owned(),
        rtcp_feedback: vec![],
    }
}

/// H.264 constrained baseline 3.1, packetisation mode 1 (RFC 6184).
pub(super) fn h264() -> RTCRtpCodec {
    picture(MIME_TYPE_H264, "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f")
}

fn picture(mime_type: &str, parameters: &str) -> RTCRtpCodec {
    let feedback = |typ: &str, parameter: &str| RTCPFeedback { typ: typ.to_owned(), parameter: parameter.to_owned() };
    RTCRtpCodec {
        mime_type: mime_type.to_owned(),
        clock_rate: 90_000,
        channels: 0,
        sdp_fmtp_line: parameters.to_owned(),
        rtcp_feedback: vec![feedback("ccm", "fir"), feedback("nack", ""), feedback("nack", "pli")],
    }
}

/// What is offered. H.264 stands first: it is what we send and what every screen of ours can show.
pub(super) fn codecs() -> webrtc::error::Result<(MediaEngine, Registry)> {
    let mut engine = MediaEngine::default();
    let voice = RTCRtpCodecParameters { rtp_codec: opus(), payload_type: OPUS_PAYLOAD_TYPE };
    engine.register_codec(voice, RtpCodecKind::Audio)?;
    let pictures = [
        (h264(), 125),
        (picture(MIME_TYPE_H264, "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42001f"), 102),
        (picture(MIME_TYPE_VP8, ""), 96),
        (picture(MIME_TYPE_VP9, "profile-id=0"), 98),
        (picture(MIME_TYPE_AV1, "profile-id=0"), 41),
    ];
    for (index, (rtp_codec, payload_type)) in pictures.into_iter().enumerate() {
        engine.register_codec(RTCRtpCodecParameters { rtp_codec, payload_type }, RtpCodecKind::Video)?;
        let mut rtx = picture(MIME_TYPE_RTX, &format!("apt={payload_type}"));
        rtx.rtcp_feedback.clear();
        let payload_type = 112 + index as u8;
        engine.register_codec(RTCRtpCodecParameters { rtp_codec: rtx, payload_type }, RtpCodecKind::Video)?;
    }
    let level = RTCRtpHeaderExtensionCapability { uri: AUDIO_LEVEL_URI.to_owned() };
    engine.register_header_extension(level, RtpCodecKind::Audio, None)?;
    let registry = register_default_interceptors(Registry::new(), &mut engine)?;
    // Behind everything that reads RTCP, so that nothing is taken from the others.
    let registry = registry.with(Slot::from(14_000), KeyframeRequests::default());
    Ok((engine, registry))
}

/// ICE without the library's waits: they cost 200 ms per check and sometimes a whole second.
pub(super) fn settings() -> SettingEngine {
    SettingEngineBuilder::new()
        .with_ice_connection_attempts(Some(CHECK_INTERVAL), Some(CHECKS))
        .with_prflx_acceptance_min_wait(Some(Duration::ZERO))
        .with_host_acceptance_min_wait(Some(Duration::ZERO))
        .with_ice_timeouts(Some(SILENCE_TIMEOUT), Some(FAILED_TIMEOUT), Some(KEEPALIVE_INTERVAL))
        .with_include_loopback_candidate(true)
        .build()
}
