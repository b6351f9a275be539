//! What the library counted, in the few figures that we use.

use rtc::rtp_transceiver::rtp_sender::RtpCodecKind;
use rtc::statistics::report::{RTCStatsReport, RTCStatsReportEntry};
use std::collections::BTreeMap;

/// One stream.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct StreamFigures {
    /// Packets that came or went.
    pub(crate) packets: u64,
    /// Packets lost; may shrink where late ones arrive.
    pub(crate) lost: i64,
    /// **Bytes** of payload and headers.
    pub(crate) bytes: u64,
    /// Jitter, **seconds** (RFC 3550, 6.4.1).
    pub(crate) jitter: f64,
}

/// All streams of a connection.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Figures {
    /// By SSRC.
    pub(crate) inbound: BTreeMap<u32, StreamFigures>,
    /// What left.
    pub(crate) outbound: StreamFigures,
    /// Share of our packets that the server has missed since the last report, 0–1.
    pub(crate) outbound_loss: f64,
    /// Jitter of our packets at the server, **seconds**.
    pub(crate) outbound_jitter: f64,
    /// Round trip to the server, **seconds**; `None` before the first measurement.
    pub(crate) round_trip: Option<f64>,
}

/// The library calls its jitter seconds and gives ticks of the stream's clock, as receiver reports carry them.
fn seconds(ticks: f64, kind: RtpCodecKind) -> f64 {
    ticks / if kind == RtpCodecKind::Audio { 48_000.0 } else { 90_000.0 }
}

pub(super) fn read(report: &RTCStatsReport) -> Figures {
    let mut figures = Figures::default();
    let mut pair_round_trip = None;
    for entry in report.iter() {
        match entry {
            RTCStatsReportEntry::InboundRtp(inbound) => {
                let received = &inbound.received_rtp_stream_stats;
                figures.inbound.insert(
                    received.rtp_stream_stats.ssrc,
                    StreamFigures {
                        packets: received.packets_received,
                        lost: received.packets_lost,
                        bytes: inbound.bytes_received + inbound.header_bytes_received,
                        jitter: seconds(received.jitter, received.rtp_stream_stats.kind),
                    },
                );
            }
            RTCStatsReportEntry::OutboundRtp(outbound) => {
                figures.outbound.packets += outbound.sent_rtp_stream_stats.packets_sent;
                figures.outbound.bytes += outbound.sent_rtp_stream_stats.bytes_sent + outbound.header_bytes_sent;
            }
            RTCStatsReportEntry::RemoteInboundRtp(remote) => {
                figures.outbound_loss = figures.outbound_loss.max(remote.fraction_lost);
                let received = &remote.received_rtp_stream_stats;
                let jitter = seconds(received.jitter, received.rtp_stream_stats.kind);
                figures.outbound_jitter = figures.outbound_jitter.max(jitter);
                figures.outbound.lost += received.packets_lost;
                if remote.round_trip_time_measurements > 0 {
                    figures.round_trip = Some(remote.round_trip_time);
                }
            }
            RTCStatsReportEntry::IceCandidatePair(pair) if pair.nominated && pair.current_round_trip_time > 0.0 => {
                pair_round_trip = Some(pair.current_round_trip_time);
            }
            _ => {}
        }
    }
    // The pair's own checks are steadier than the sender reports.
    figures.round_trip = pair_round_trip.or(figures.round_trip);
    figures
}
