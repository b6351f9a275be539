//! In which size and at which rate a camera is sent: it begins small, and rises while the encoder has time to spare.
//!
//! Pictures, not clocks, move it: each encoded picture says how long it took.

use std::time::Duration;

/// A size, a rate and what they may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Format {
    /// Widest picture; the shape of the camera's own is kept.
    pub width: u32,
    /// Highest picture.
    pub height: u32,
    /// Most pictures per second.
    pub fps: u32,
    /// Bits per second.
    pub bitrate: u32,
}

/// From what a machine without a hardware encoder does beside everything else up to 720p (TRTC's resolutions 108, 110
/// and 112, behaviour 4.1).
pub const FORMATS: [Format; 3] = [
    Format { width: 640, height: 360, fps: 24, bitrate: 600_000 },
    Format { width: 960, height: 540, fps: 24, bitrate: 900_000 },
    Format { width: 1280, height: 720, fps: 30, bitrate: 1_500_000 },
];

/// TRTC's resolution 114: only where the person wishes it.
pub const FULL_HD: Format = Format { width: 1920, height: 1080, fps: 30, bitrate: 2_500_000 };

impl Format {
    /// The same turned upright.
    #[must_use]
    pub fn upright(self) -> Self {
        Self { width: self.height, height: self.width, ..self }
    }
}

/// Share of the time between two pictures that encoding may take after a rise. Higher leaves too little for conversion,
/// the preview and everybody else on the machine; lower never rises where it would do no harm.
const RISE_SHARE: f64 = 0.3;
/// Share from which on it falls. Between both nothing moves.
const FALL_SHARE: f64 = 0.6;
/// One of so many pictures dropped for want of time makes it fall, too.
const DROP_LIMIT: u64 = 8;
/// A verdict for each so many **seconds** of pictures: shorter reacts to one slow moment, longer lets an overloaded
/// machine stutter.
const WINDOW_SECONDS: u32 = 2;
/// Calm windows before the first rise; doubled by each fall, so that it does not swing for ever.
const CALM_WINDOWS: u32 = 2;
const CALM_LIMIT: u32 = 64;

/// Which of some formats is in use.
#[derive(Clone, Debug)]
pub(crate) struct Ladder {
    /// Ascending, never empty.
    formats: Vec<Format>,
    rung: usize,
    pictures: u32,
    dropped: u64,
    took: Duration,
    calm: u32,
    calm_wanted: u32,
}

impl Ladder {
    /// At the lowest of `formats`; [`FORMATS`] where there are none.
    pub(crate) fn new(formats: &[Format]) -> Self {
        let formats = if formats.is_empty() { FORMATS.to_vec() } else { formats.to_vec() };
        let calm_wanted = CALM_WINDOWS;
        Self { formats, rung: 0, pictures: 0, dropped: 0, took: Duration::ZERO, calm: 0, calm_wanted }
    }

    pub(crate) fn format(&self) -> Format {
        self.formats[self.rung]
    }

    /// What a camera has to give for the highest format.
    pub(crate) fn most(&self) -> Format {
        self.formats[self.formats.len() - 1]
    }

    /// A picture was encoded, and `dropped` before it were not for want of time. Gives the format from the next picture
    /// on, where it changes.
    pub(crate) fn handle_encoded(&mut self, took: Duration, dropped: u64) -> Option<Format> {
        self.pictures += 1;
        self.dropped += dropped;
        self.took += took;
        let now = self.format();
        if self.pictures < now.fps.max(1) * WINDOW_SECONDS {
            return None;
        }
        let each = self.took.as_secs_f64() / f64::from(self.pictures);
        let late = self.dropped * DROP_LIMIT >= u64::from(self.pictures);
        let calm = self.dropped == 0;
        (self.pictures, self.dropped, self.took) = (0, 0, Duration::ZERO);
        if self.rung > 0 && (late || each * f64::from(now.fps) > FALL_SHARE) {
            self.rung -= 1;
            self.calm = 0;
            self.calm_wanted = (self.calm_wanted * 2).min(CALM_LIMIT);
            return Some(self.format());
        }
        let next = self.formats.get(self.rung + 1)?;
        let growth = pixels(next) / pixels(&now);
        self.calm = if calm && each * growth * f64::from(next.fps) < RISE_SHARE { self.calm + 1 } else { 0 };
        if self.calm < self.calm_wanted {
            return None;
        }
        self.calm = 0;
        self.rung += 1;
        Some(self.format())
    }
}

fn pixels(format: &Format) -> f64 {
    f64::from(format.width.max(1)) * f64::from(format.height.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Encodes for so many seconds at `nanos` per pixel; every `drop`th picture (0: none) finds one dropped before it.
    fn encode(ladder: &mut Ladder, seconds: u32, nanos: f64, drop: u32) -> Vec<u32> {
        let mut heights = vec![ladder.format().height];
        for _ in 0..seconds {
            for n in 0..ladder.format().fps {
                let took = Duration::from_nanos((pixels(&ladder.format()) * nanos) as u64);
                let dropped = u64::from(drop > 0 && n % drop == 0);
                heights.extend(ladder.handle_encoded(took, dropped).map(|format| format.height));
            }
        }
        heights
    }

    #[test]
    fn a_fast_machine_rises_step_by_step_and_stays() {
        let mut ladder = Ladder::new(&FORMATS);
        assert_eq!(encode(&mut ladder, 60, 2.0, 0), [360, 540, 720]);
    }

    #[test]
    fn a_slow_machine_stays_where_it_began() {
        let mut ladder = Ladder::new(&FORMATS);
        assert_eq!(encode(&mut ladder, 60, 60.0, 0), [360]);
        assert_eq!(encode(&mut ladder, 60, 200.0, 3), [360], "there is nothing below");
    }

    #[test]
    fn a_machine_that_gets_busy_falls_and_tries_again_later_and_later() {
        let mut ladder = Ladder::new(&FORMATS);
        encode(&mut ladder, 20, 2.0, 0);
        assert_eq!(encode(&mut ladder, 8, 60.0, 0), [720, 540, 360]);
        let calm_after_two_falls = encode(&mut ladder, 14, 2.0, 0);
        assert_eq!(calm_after_two_falls, [360], "it waits");
        assert_eq!(encode(&mut ladder, 60, 2.0, 0), [360, 540, 720]);
    }

    #[test]
    fn dropped_pictures_count_even_where_encoding_is_quick() {
        let mut ladder = Ladder::new(&FORMATS);
        encode(&mut ladder, 20, 2.0, 0);
        assert_eq!(encode(&mut ladder, 3, 2.0, 4), [720, 540]);
    }

    #[test]
    fn one_format_never_changes() {
        let mut ladder = Ladder::new(&FORMATS[2..]);
        assert_eq!(encode(&mut ladder, 60, 0.1, 0), [720]);
        assert_eq!(encode(&mut ladder, 60, 900.0, 1), [720]);
    }
}
