//! Numbers for scripts: what flowed, how fast it began, how it sounds.

use protocol::UserId;
use serde::Serialize;
use std::collections::BTreeMap;

/// The present or last membership in numbers.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// RTP packets that left.
    pub packets_sent: u64,
    /// RTP packets that came.
    pub packets_received: u64,
    /// Lost on the way here.
    pub packets_lost: i64,
    /// Bytes that left.
    pub bytes_sent: u64,
    /// Bytes that came.
    pub bytes_received: u64,
    /// Share of our packets that the server missed lately, 0–1.
    pub send_loss: f64,
    /// Round trip to the room server, **milliseconds**; absent before it is measured.
    pub round_trip_ms: Option<f64>,
    /// From accepting (or entering) to the first decoded voice, **milliseconds**.
    pub first_audio_ms: Option<u64>,
    /// From accepting (or entering) to the first decoded picture, **milliseconds**.
    pub first_video_ms: Option<u64>,
    /// Everybody else.
    pub remotes: BTreeMap<UserId, RemoteReport>,
}

/// Somebody else in numbers.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RemoteReport {
    /// Loudness now, 0–100.
    pub audio_level: u8,
    /// Voice packets that came.
    pub audio_packets: u64,
    /// Complete pictures that came.
    pub video_frames: u64,
    /// Voice that had to be made up, **milliseconds**.
    pub concealed_ms: u64,
    /// What the jitter buffer holds back, **milliseconds**.
    pub audio_delay_ms: u64,
}
