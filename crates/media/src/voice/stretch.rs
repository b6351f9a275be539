//! Makes voice a little longer or shorter without changing its pitch: whole periods are put in or taken out, cross-faded
//! (waveform similarity overlap-add).

/// Shortest period looked for (400 Hz), in samples at 48 kHz.
const LAG_MIN: usize = 120;
/// Longest period (66 Hz).
const LAG_MAX: usize = 720;
/// Samples compared: longer than a period of most voices.
const WINDOW: usize = 480;
/// Samples to look ahead that [`shorten`] and [`lengthen`] need.
pub(crate) const LOOK_AHEAD: usize = LAG_MAX + WINDOW;
/// Past samples that [`lengthen`] needs.
pub(crate) const LOOK_BACK: usize = LAG_MAX;
/// Alike enough for an inaudible seam.
const SIMILAR: f32 = 0.6;
/// Below −55 dBFS any seam is inaudible.
const QUIET: f32 = 3e-6;

/// Takes one period out at the front of `samples` (at least [`LOOK_AHEAD`] long). Returns how many samples were removed:
/// 0 where nothing alike was found and `must` is false.
pub(crate) fn shorten(samples: &mut Vec<f32>, must: bool) -> usize {
    if samples.len() < LOOK_AHEAD {
        return 0;
    }
    let Some(lag) = find_lag(&samples[..WINDOW], &samples[..LOOK_AHEAD], must) else { return 0 };
    for i in 0..lag {
        let a = (i as f32 + 0.5) / lag as f32;
        samples[i + lag] = (1.0 - a) * samples[i] + a * samples[i + lag];
    }
    samples.drain(..lag);
    lag
}

/// Puts one period in at the front of `samples`, made of them and of what was played before (`past`, at least
/// [`LOOK_BACK`] long, its end meeting the front). Returns how many samples were added.
pub(crate) fn lengthen(past: &[f32], samples: &mut Vec<f32>, must: bool) -> usize {
    if samples.len() < WINDOW.max(LAG_MAX) || past.len() < LOOK_BACK {
        return 0;
    }
    // Look for the period that joins the past to the front: compare the front with itself one period earlier.
    let tail = &past[past.len() - LOOK_BACK..];
    let joined: Vec<f32> = tail.iter().chain(&samples[..WINDOW]).copied().collect();
    let reversed: Vec<f32> = joined.iter().rev().copied().collect();
    let Some(lag) = find_lag(&reversed[..WINDOW], &reversed, must) else { return 0 };
    let mut added = Vec::with_capacity(lag + samples.len());
    for i in 0..lag {
        let a = (i as f32 + 0.5) / lag as f32;
        added.push((1.0 - a) * samples[i] + a * tail[LOOK_BACK - lag + i]);
    }
    added.append(samples);
    *samples = added;
    lag
}

/// The distance at which `signal` is most like `template` (which is its start).
fn find_lag(template: &[f32], signal: &[f32], must: bool) -> Option<usize> {
    const COARSE: usize = 4;
    let power = |s: &[f32]| s.iter().map(|x| x * x).sum::<f32>() / s.len() as f32;
    let own = power(template);
    if own < QUIET && power(signal) < QUIET * 4.0 {
        return Some(LAG_MAX.min(WINDOW));
    }
    let likeness = |lag: usize, step: usize| {
        let other = &signal[lag..lag + WINDOW];
        let (mut dot, mut a, mut b) = (0.0, 1e-9, 1e-9);
        for i in (0..WINDOW).step_by(step) {
            dot += template[i] * other[i];
            a += template[i] * template[i];
            b += other[i] * other[i];
        }
        dot / f32::sqrt(a * b)
    };
    let coarse = (LAG_MIN..=LAG_MAX).step_by(COARSE).map(|lag| (lag, likeness(lag, COARSE)));
    let (around, _) = coarse.max_by(|a, b| a.1.total_cmp(&b.1))?;
    let fine = (around.saturating_sub(COARSE).max(LAG_MIN)..=(around + COARSE).min(LAG_MAX))
        .map(|lag| (lag, likeness(lag, 1)));
    let (lag, best) = fine.max_by(|a, b| a.1.total_cmp(&b.1))?;
    (best >= SIMILAR || must).then_some(lag)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn voice(from: usize, samples: usize) -> Vec<f32> {
        (from..from + samples)
            .map(|n| {
                let t = n as f32 / 48_000.0 * std::f32::consts::TAU;
                0.2 * (150.0 * t).sin() + 0.1 * (300.0 * t + 0.3).sin() + 0.05 * (450.0 * t + 1.0).sin()
            })
            .collect()
    }

    fn steepest(samples: &[f32]) -> f32 {
        samples.windows(2).map(|w| (w[1] - w[0]).abs()).fold(0.0, f32::max)
    }

    #[test]
    fn shortening_removes_a_whole_period_without_a_click() {
        let past = voice(0, 480);
        let mut samples = voice(480, 1920);
        let removed = shorten(&mut samples, false);
        assert!((118..=722).contains(&removed), "{removed}");
        assert_eq!(removed % 320, 0, "a multiple of the period: {removed}");
        assert_eq!(samples.len(), 1920 - removed);
        let joined = [past, samples].concat();
        assert!(steepest(&joined) < steepest(&voice(0, 2400)) * 1.1);
    }

    #[test]
    fn lengthening_adds_a_whole_period_without_a_click() {
        let past = voice(0, 960);
        let mut samples = voice(960, 1920);
        let added = lengthen(&past, &mut samples, false);
        assert_eq!(added % 320, 0, "{added}");
        assert!(added > 0);
        assert_eq!(samples.len(), 1920 + added);
        let joined = [past, samples].concat();
        assert!(steepest(&joined) < steepest(&voice(0, 2400)) * 1.1);
    }

    #[test]
    fn noise_is_left_alone_unless_it_must() {
        let mut seed = 1u32;
        let mut noise: Vec<f32> = (0..1920)
            .map(|_| {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (seed >> 8) as f32 / (1 << 24) as f32 - 0.5
            })
            .collect();
        assert_eq!(shorten(&mut noise, false), 0);
        assert!(shorten(&mut noise, true) > 0);
    }

    #[test]
    fn silence_is_cut_at_will() {
        let mut silence = vec![0.0; 1920];
        assert_eq!(shorten(&mut silence, false), 480);
        assert_eq!(lengthen(&[0.0; 960], &mut silence, false), 480);
        assert_eq!(silence.len(), 1920);
    }
}
