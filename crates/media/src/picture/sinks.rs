//! Screens for programs without one: they count, or decode.

use super::Decoder;
use crate::frame::{FrameSink, I420, Picture, PictureId};
use crate::voice::join_within;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// What one track showed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SinkCounts {
    /// Access units.
    pub units: u64,
    /// Of them, keyframes.
    pub keyframes: u64,
    /// Raw pictures.
    pub raw: u64,
    /// Bytes in all.
    pub bytes: u64,
    /// The track ended.
    pub has_ended: bool,
}

/// Counts and forgets.
#[derive(Debug, Default)]
pub struct CountingSink {
    counts: Mutex<BTreeMap<PictureId, SinkCounts>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl CountingSink {
    /// Of all tracks so far.
    pub fn counts(&self) -> BTreeMap<PictureId, SinkCounts> {
        lock(&self.counts).clone()
    }
}

impl FrameSink for CountingSink {
    fn show(&self, id: PictureId, picture: Picture) {
        let mut counts = lock(&self.counts);
        let count = counts.entry(id).or_default();
        match picture {
            Picture::AccessUnit(unit) => {
                count.units += 1;
                count.keyframes += u64::from(unit.is_keyframe);
                count.bytes += unit.data.len() as u64;
            }
            Picture::Raw(raw) => {
                count.raw += 1;
                count.bytes += raw.data.len() as u64;
            }
        }
    }

    fn end(&self, id: PictureId) {
        lock(&self.counts).entry(id).or_default().has_ended = true;
    }

    fn wants_keyframe(&self, _: PictureId) -> bool {
        false
    }
}

/// Decodes every track on one thread of its own and hands the pictures on.
pub struct DecodingSink {
    work: Option<SyncSender<Work>>,
    wanting: std::sync::Arc<Mutex<BTreeSet<PictureId>>>,
    thread: Option<JoinHandle<()>>,
}

enum Work {
    Show(PictureId, Picture),
    End(PictureId),
}

impl DecodingSink {
    /// Units that wait, over all tracks. Full: the newest is dropped, and a keyframe asked for.
    const WAITING_LIMIT: usize = 64;

    /// `on_picture` runs on the sink's thread.
    pub fn start(on_picture: impl FnMut(PictureId, I420) + Send + 'static) -> std::io::Result<Self> {
        let (work, received) = sync_channel(Self::WAITING_LIMIT);
        let wanting = std::sync::Arc::new(Mutex::new(BTreeSet::new()));
        let wanted = wanting.clone();
        let thread = std::thread::Builder::new()
            .name("picture-decoder".into())
            .spawn(move || decode_all(&received, &wanted, on_picture))?;
        Ok(Self { work: Some(work), wanting, thread: Some(thread) })
    }

    fn send(&self, id: PictureId, work: Work) {
        if let Some(sender) = &self.work
            && let Err(TrySendError::Full(_)) = sender.try_send(work)
        {
            lock(&self.wanting).insert(id);
        }
    }
}

fn decode_all(
    work: &Receiver<Work>,
    wanting: &Mutex<BTreeSet<PictureId>>,
    mut on_picture: impl FnMut(PictureId, I420),
) {
    /// A track that lost its way waits for a keyframe.
    struct Track {
        decoder: Decoder,
        is_lost: bool,
    }
    let mut tracks: BTreeMap<PictureId, Track> = BTreeMap::new();
    while let Ok(work) = work.recv() {
        let (id, unit) = match work {
            Work::End(id) => {
                tracks.remove(&id);
                continue;
            }
            Work::Show(id, Picture::Raw(picture)) => {
                on_picture(id, picture);
                continue;
            }
            Work::Show(id, Picture::AccessUnit(unit)) => (id, unit),
        };
        let track = match tracks.entry(id) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => {
                let Ok(decoder) = Decoder::new().inspect_err(|e| tracing::error!("{e}")) else { continue };
                new.insert(Track { decoder, is_lost: true })
            }
        };
        if track.is_lost && !unit.is_keyframe {
            lock(wanting).insert(id);
            continue;
        }
        match track.decoder.decode(&unit) {
            Ok(picture) => {
                track.is_lost = false;
                if let Some(picture) = picture {
                    on_picture(id, picture);
                }
            }
            Err(e) => {
                tracing::debug!("{e}");
                track.is_lost = true;
                lock(wanting).insert(id);
            }
        }
    }
}

impl FrameSink for DecodingSink {
    fn show(&self, id: PictureId, picture: Picture) {
        self.send(id, Work::Show(id, picture));
    }

    fn end(&self, id: PictureId) {
        self.send(id, Work::End(id));
    }

    fn wants_keyframe(&self, id: PictureId) -> bool {
        lock(&self.wanting).remove(&id)
    }
}

impl Drop for DecodingSink {
    fn drop(&mut self) {
        drop(self.work.take());
        if let Some(thread) = self.thread.take() {
            join_within(thread, Duration::from_secs(1));
        }
    }
}
