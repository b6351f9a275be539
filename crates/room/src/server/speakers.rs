//! Who speaks, by the audio level that publishers write beside their packets (RFC 6464).

use super::ids::{MemberId, TrackId};
use livekit_protocol::SpeakerInfo;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Speakers are judged once in this time.
pub(super) const SPEAKER_INTERVAL: Duration = Duration::from_millis(300);

/// Quieter than this, in **dBov**, is no speech.
const SPEECH_LEVEL: i8 = -45;

/// This part of an interval's packets has to be speech. Lower: clicks make speakers; higher: short words do not.
const SPEECH_SHARE: f32 = 0.3;

/// Levels are told in steps of 1/this, so that everybody's small changes do not flood everybody.
const LEVEL_STEPS: f32 = 8.0;

#[derive(Clone, Copy, Debug, Default)]
struct Window {
    packets: u32,
    speech: u32,
    loudest: i8,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Speakers {
    windows: BTreeMap<(MemberId, TrackId), Window>,
    told: BTreeMap<MemberId, f32>,
    due: Option<Instant>,
}

impl Speakers {
    pub fn note(&mut self, member: MemberId, track: TrackId, level: i8, now: Instant) {
        let window = self.windows.entry((member, track)).or_insert(Window { loudest: i8::MIN, ..Window::default() });
        window.packets += 1;
        window.loudest = window.loudest.max(level);
        if level >= SPEECH_LEVEL {
            window.speech += 1;
        }
        self.due.get_or_insert(now + SPEAKER_INTERVAL);
    }

    pub fn forget(&mut self, member: MemberId) {
        self.windows.retain(|(owner, _), _| *owner != member);
        self.told.remove(&member);
    }

    pub fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Closes the interval: the members whose level changed, 0 for those who fell silent.
    pub fn judge(&mut self, now: Instant) -> Vec<(MemberId, f32)> {
        if self.due.is_none_or(|due| now < due) {
            return Vec::new();
        }
        let mut levels: BTreeMap<MemberId, f32> = BTreeMap::new();
        for ((member, _), window) in std::mem::take(&mut self.windows) {
            let level = window.level();
            let entry = levels.entry(member).or_default();
            *entry = entry.max(level);
        }
        let told = std::mem::take(&mut self.told);
        let mut changed = Vec::new();
        for (member, level) in &levels {
            if told.get(member).copied().unwrap_or_default() != *level {
                changed.push((*member, *level));
            }
        }
        changed.extend(told.keys().filter(|member| !levels.contains_key(member)).map(|member| (*member, 0.0)));
        self.told = levels.into_iter().filter(|(_, level)| *level > 0.0).collect();
        self.due = if self.told.is_empty() { None } else { Some(now + SPEAKER_INTERVAL) };
        changed
    }

    /// Who speaks now, as everybody was told.
    pub fn told(&self) -> impl Iterator<Item = (MemberId, f32)> {
        self.told.iter().map(|(member, level)| (*member, *level))
    }

    pub fn info(sid: String, level: f32) -> SpeakerInfo {
        SpeakerInfo { sid, level, active: level > 0.0 }
    }
}

impl Window {
    /// 0 for silence, else the loudest level on a linear scale, in steps.
    fn level(self) -> f32 {
        #[allow(clippy::cast_precision_loss)]
        let share = self.speech as f32 / self.packets.max(1) as f32;
        if share < SPEECH_SHARE {
            return 0.0;
        }
        let linear = 10f32.powf(f32::from(self.loudest) / 20.0);
        ((linear * LEVEL_STEPS).ceil() / LEVEL_STEPS).clamp(0.0, 1.0)
    }
}
