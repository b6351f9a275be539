//! The screen of a client without one: counts what it is shown and keeps the last of it.

use media::picture::timecode;
use media::{FrameSink, I420, Picture, PictureId};
use std::collections::{BTreeMap, VecDeque};
use std::io::Write;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Delays kept for the median.
const DELAYS: usize = 512;

/// What one picture's track has shown.
#[derive(Default)]
pub(crate) struct Seen {
    /// The own camera's preview.
    pub(crate) is_own: bool,
    /// Pictures so far.
    pub(crate) frames: u64,
    pub(crate) last: Option<I420>,
    /// Number in the last picture.
    pub(crate) timecode: Option<u32>,
    /// Camera to here, **milliseconds**, by the number in the picture.
    delays: VecDeque<u32>,
}

impl Seen {
    /// The median of the last delays.
    pub(crate) fn delay(&self) -> Option<u32> {
        let mut delays: Vec<_> = self.delays.iter().copied().collect();
        delays.sort_unstable();
        delays.get(delays.len() / 2).copied()
    }
}

/// A screen that remembers. Locked for moments, by the decoding thread and by `stats`.
#[derive(Default)]
pub(crate) struct Screen(Mutex<BTreeMap<PictureId, Seen>>);

impl Screen {
    /// What was shown so far.
    pub(crate) fn seen(&self) -> MutexGuard<'_, BTreeMap<PictureId, Seen>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Saves the last picture of the newest track that is not our own.
    pub(crate) fn save(&self, path: &Path) -> std::io::Result<()> {
        let last = self.seen().values().rev().filter(|seen| !seen.is_own).find_map(|seen| seen.last.clone());
        let Some(picture) = last else { return Err(std::io::Error::other("nothing was seen yet")) };
        let mut file = std::fs::File::create(path)?;
        writeln!(file, "YUV4MPEG2 W{} H{} F24:1 Ip A1:1 C420jpeg", picture.width, picture.height)?;
        writeln!(file, "FRAME")?;
        file.write_all(&picture.data)
    }
}

impl FrameSink for Screen {
    fn show(&self, id: PictureId, picture: Picture) {
        // Access units come beside the decoded pictures; only what can be seen counts.
        let Picture::Raw(picture) = picture else { return };
        let number = timecode::read(&picture);
        let mut all = self.seen();
        let seen = all.entry(id).or_default();
        seen.frames += 1;
        if let Some(number) = number {
            seen.timecode = Some(number);
            let delay = timecode::now().wrapping_sub(number);
            // A picture of another clock says nothing about time.
            if delay < 60_000 {
                if seen.delays.len() == DELAYS {
                    seen.delays.pop_front();
                }
                seen.delays.push_back(delay);
            }
        }
        seen.last = Some(picture);
    }

    fn end(&self, _: PictureId) {}

    fn wants_keyframe(&self, _: PictureId) -> bool {
        false
    }
}
