//! The quality badge: TRTC publishes its six levels and no thresholds, so this table is ours.
//!
//! | level | lost packets up to | round trip up to | jitter up to |
//! |---|---|---|---|
//! | Excellent | 1 % | 100 ms | 20 ms |
//! | Good | 3 % | 200 ms | 40 ms |
//! | Poor | 8 % | 350 ms | 80 ms |
//! | Bad | 15 % | 600 ms | 150 ms |
//! | Vbad | anything that still arrives | | |
//! | Down | nothing arrives although something should | | |
//!
//! The worst of the three figures decides. 1 % is what in-band FEC hides without a trace, 200 ms is where talking over
//! each other begins (ITU-T G.114 sees 150 ms one way as good), 15 % is where concealment alone stops being speech.

use crate::room::ServerQuality;
use protocol::NetworkQuality;

/// Share of lost packets, round trip in **milliseconds**, jitter in **milliseconds**: the upper bounds of a level.
const TABLE: [(NetworkQuality, f32, f32, f32); 4] = [
    (NetworkQuality::Excellent, 0.01, 100.0, 20.0),
    (NetworkQuality::Good, 0.03, 200.0, 40.0),
    (NetworkQuality::Poor, 0.08, 350.0, 80.0),
    (NetworkQuality::Bad, 0.15, 600.0, 150.0),
];

/// The level of one direction.
pub(crate) fn rate(loss: f32, round_trip_ms: f32, jitter_ms: f32) -> NetworkQuality {
    TABLE
        .iter()
        .find(|(_, most_loss, most_trip, most_jitter)| {
            loss <= *most_loss && round_trip_ms <= *most_trip && jitter_ms <= *most_jitter
        })
        .map_or(NetworkQuality::Vbad, |(level, ..)| *level)
}

/// LiveKit's four levels (settled points, "Calls").
pub(crate) fn of_server(quality: ServerQuality) -> NetworkQuality {
    match quality {
        ServerQuality::Excellent => NetworkQuality::Excellent,
        ServerQuality::Good => NetworkQuality::Good,
        ServerQuality::Poor => NetworkQuality::Bad,
        ServerQuality::Lost => NetworkQuality::Down,
    }
}

/// The worse of two, where "unknown" says nothing.
pub(crate) fn worse(one: NetworkQuality, other: NetworkQuality) -> NetworkQuality {
    one.max(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_figure_decides() {
        assert_eq!(rate(0.0, 20.0, 2.0), NetworkQuality::Excellent);
        assert_eq!(rate(0.02, 20.0, 2.0), NetworkQuality::Good);
        assert_eq!(rate(0.0, 340.0, 2.0), NetworkQuality::Poor);
        assert_eq!(rate(0.0, 20.0, 149.0), NetworkQuality::Bad);
        assert_eq!(rate(0.5, 20.0, 2.0), NetworkQuality::Vbad);
    }

    #[test]
    fn unknown_gives_way_to_anything_known() {
        assert_eq!(worse(NetworkQuality::Unknown, NetworkQuality::Excellent), NetworkQuality::Excellent);
        assert_eq!(worse(NetworkQuality::Down, NetworkQuality::Good), NetworkQuality::Down);
        assert_eq!(of_server(ServerQuality::Poor), NetworkQuality::Bad);
    }
}
