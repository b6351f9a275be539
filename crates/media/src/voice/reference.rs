//! What the loudspeaker plays, for the echo canceller.

use super::BLOCK;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

/// The mix as it was really played, in blocks of 10 ms: [`super::Playout`] writes, [`super::Capture`] reads. Both are
/// our own threads, so a short lock is allowed; no device callback touches it. Full (300 ms, nobody captures): the oldest
/// block goes.
#[derive(Clone, Debug, Default)]
pub struct Reference(Arc<Mutex<VecDeque<[f32; BLOCK]>>>);

impl Reference {
    const CAPACITY: usize = 30;

    /// Empty.
    pub fn new() -> Self {
        Self::default()
    }

    pub(crate) fn write(&self, block: &[f32; BLOCK]) {
        let mut blocks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if blocks.len() == Self::CAPACITY {
            blocks.pop_front();
        }
        blocks.push_back(*block);
    }

    pub(crate) fn read(&self) -> Option<[f32; BLOCK]> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }

    /// Forgets what was played before a capture began.
    pub(crate) fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}
