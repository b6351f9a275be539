//! How good a member's network is, in LiveKit's four levels.

use livekit_protocol::ConnectionQuality;
use std::time::Duration;

/// Qualities are told this often, where they changed.
pub(super) const QUALITY_INTERVAL: Duration = Duration::from_secs(2);

/// A publisher from whom nothing has come for this long is shown as lost (settled: "reconnecting" after 2 s).
pub(super) const LOST_AFTER: Duration = Duration::from_secs(2);

/// What the body measured of one member, both directions taken together.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Measured {
    /// Worse of both directions, **0 to 1**.
    pub loss: f32,
    /// Round trip.
    pub round_trip: Option<Duration>,
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Network {
    pub measured: Option<Measured>,
    pub told: Option<ConnectionQuality>,
}

/// The table: a level holds while both its loss and its round trip hold.
const LEVELS: [(f32, Duration, ConnectionQuality); 2] = [
    (0.02, Duration::from_millis(200), ConnectionQuality::Excellent),
    (0.06, Duration::from_millis(400), ConnectionQuality::Good),
];

impl Measured {
    pub(super) fn quality(self) -> ConnectionQuality {
        let round_trip = self.round_trip.unwrap_or_default();
        let fits = LEVELS.iter().find(|(loss, limit, _)| self.loss <= *loss && round_trip <= *limit);
        fits.map_or(ConnectionQuality::Poor, |level| level.2)
    }

    /// LiveKit's score: 5 is perfect, 0 is nothing.
    pub(super) fn score(self) -> f32 {
        let delay = self.round_trip.unwrap_or_default().as_secs_f32();
        (5.0 - 20.0 * self.loss - 2.0 * delay).clamp(0.0, 5.0)
    }
}
