//! Which codecs and header extensions the connections speak, and how payload types map between two of them.

use std::time::{Duration, Instant};
use str0m::format::{Codec, CodecConfig, CodecSpec, FormatParams, PayloadParams};
use str0m::media::{Frequency, Pt};
use str0m::rtp::{Extension, ExtensionSerializer, ExtensionValues};
use str0m::{Rtc, RtcConfig};

/// Loss and round trip are measured over this time.
const STATS_INTERVAL: Duration = Duration::from_secs(2);

/// H.264 as offered: payload type, its RTX, packetisation mode 1, profile and level. Constrained baseline first: every
/// decoder has it. Numbers are Chromium's; the peer's own win where it offers.
const H264: [(u8, u8, bool, u32); 7] = [
    (108, 109, true, 0x42_e0_1f),
    (127, 121, true, 0x42_00_1f),
    (123, 119, true, 0x4d_00_1f),
    (114, 115, true, 0x64_00_1f),
    (124, 120, false, 0x42_e0_1f),
    (125, 107, false, 0x42_00_1f),
    (35, 36, false, 0x4d_00_1f),
];

/// The second connectivity check follows so soon, each next one after twice the time. The first goes out with the answer
/// and reaches clients that have not read the answer and cannot reply yet; with str0m's 250 ms they would all wait for
/// the second. Shorter only adds packets.
const FIRST_CHECK_INTERVAL: Duration = Duration::from_millis(30);

const DEPENDENCY_DESCRIPTOR: &str =
    "https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension";
const DEPENDENCY_DESCRIPTOR_ID: u8 = 12;

/// A connection in RTP mode, H.264 announced first, with every extension that is passed on.
pub(super) fn new_rtc(now: Instant) -> Rtc {
    let mut config = RtcConfig::new().set_rtp_mode(true).set_stats_interval(Some(STATS_INTERVAL)).clear_codecs();
    config.set_initial_stun_rto(FIRST_CHECK_INTERVAL);
    let codecs = config.codec_config();
    codecs.enable_opus(true, false);
    for (pt, rtx, mode, profile) in H264 {
        codecs.add_h264(pt.into(), Some(rtx.into()), mode, profile);
    }
    codecs.enable_vp8(true);
    codecs.enable_vp9(true);
    codecs.enable_av1(true);
    config
        .extension_map()
        .set(DEPENDENCY_DESCRIPTOR_ID, Extension::with_serializer(DEPENDENCY_DESCRIPTOR, DependencyDescriptor));
    config.build(now)
}

/// The payload type under which packets of `spec` go to a subscriber that negotiated `pts`: same codec, profile and
/// packetisation mode; else same codec and mode; else none, because what it gets it could not decode.
pub(super) fn outgoing_pt(config: &CodecConfig, pts: &[Pt], spec: &CodecSpec) -> Option<Pt> {
    let candidates: Vec<&PayloadParams> = config
        .params()
        .iter()
        .filter(|params| pts.contains(&params.pt()) && params.spec().codec == spec.codec)
        .collect();
    let exact = candidates.iter().find(|params| {
        let other = params.spec().format;
        mode(&other) == mode(&spec.format)
            && profile(&other) == profile(&spec.format)
            && other.profile_id.unwrap_or(0) == spec.format.profile_id.unwrap_or(0)
    });
    let near = || candidates.iter().find(|params| mode(&params.spec().format) == mode(&spec.format));
    exact.or_else(near).map(|params| params.pt())
}

fn mode(format: &FormatParams) -> u8 {
    format.packetization_mode.unwrap_or(0)
}

/// Profile and constraint flags without the level (RFC 6184 section 8.1).
fn profile(format: &FormatParams) -> u32 {
    format.profile_level_id.unwrap_or(0) >> 8
}

/// The clock of a codec's timestamps, **Hz**.
pub(super) fn clock_rate(spec: &CodecSpec) -> u32 {
    if spec.codec.is_audio() { 48_000 } else { Frequency::NINETY_KHZ.get() }
}

/// The encoding name of `a=rtpmap`.
pub(super) fn name(codec: Codec) -> String {
    codec.to_string()
}

/// The extensions that say something of the media; those of the transport are each connection's own. Browsers describe
/// dependencies of VP8, too; there a receiver that misses the description throws away what it could decode without.
pub(super) fn passed_on(codec: Codec, values: &ExtensionValues) -> ExtensionValues {
    let user_values = if codec == Codec::Av1 { values.user_values.clone() } else { Default::default() };
    ExtensionValues {
        audio_level: values.audio_level,
        voice_activity: values.voice_activity,
        video_orientation: values.video_orientation,
        user_values,
        ..ExtensionValues::default()
    }
}

/// The AV1 dependency descriptor, passed on as it came: without it AV1 in several spatial layers decodes to nothing.
#[derive(Debug)]
struct DependencyDescriptor;

#[derive(Debug, Clone, PartialEq, Eq)]
struct RawDescriptor(Vec<u8>);

/// Longest value of the one-byte form (RFC 8285 section 4.2).
const ONE_BYTE_LIMIT: usize = 16;

impl ExtensionSerializer for DependencyDescriptor {
    fn write_to(&self, buffer: &mut [u8], values: &ExtensionValues) -> usize {
        let Some(RawDescriptor(raw)) = values.user_values.get::<RawDescriptor>() else { return 0 };
        let Some(target) = buffer.get_mut(..raw.len()) else { return 0 };
        target.copy_from_slice(raw);
        raw.len()
    }

    fn parse_value(&self, buffer: &[u8], values: &mut ExtensionValues) -> bool {
        values.user_values.set(RawDescriptor(buffer.to_vec()));
        true
    }

    fn is_video(&self) -> bool {
        true
    }

    fn is_audio(&self) -> bool {
        false
    }

    fn requires_two_byte_form(&self, values: &ExtensionValues) -> bool {
        values.user_values.get::<RawDescriptor>().is_some_and(|raw| raw.0.len() > ONE_BYTE_LIMIT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dependencies_are_described_for_av1_alone() {
        let mut values = ExtensionValues { audio_level: Some(-20), ..ExtensionValues::default() };
        values.user_values.set(RawDescriptor(vec![1, 2, 3]));
        for (codec, is_described) in [(Codec::Av1, true), (Codec::Vp8, false), (Codec::H264, false)] {
            let passed = passed_on(codec, &values);
            assert_eq!(passed.user_values.get::<RawDescriptor>().is_some(), is_described, "{codec:?}");
            assert_eq!(passed.audio_level, Some(-20));
        }
    }
}
