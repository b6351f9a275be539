//! Decoding in the app for a web view that cannot: one OS thread per picture.

use super::outbox::Outbox;
use media::picture::Decoder;
use media::{AccessUnit, PictureId};
use std::sync::Weak;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

/// Access units that may wait for the decoder. Full: the unit and all up to the next keyframe are dropped.
const FEED_CAPACITY: usize = 4;

/// Ends when it is dropped, after the unit at hand.
pub(super) struct DecodeThread {
    feed: Option<SyncSender<AccessUnit>>,
}

impl DecodeThread {
    pub fn start(id: PictureId, outbox: Weak<Outbox>) -> Self {
        let (feed, units) = sync_channel(FEED_CAPACITY);
        let started = std::thread::Builder::new().name("picture-decode".into()).spawn(move || run(id, &units, &outbox));
        if let Err(error) = &started {
            tracing::error!(%error, "no thread to decode a picture");
        }
        Self { feed: started.is_ok().then_some(feed) }
    }

    /// False where it is behind (or could not start).
    pub fn offer(&self, unit: AccessUnit) -> bool {
        self.feed.as_ref().is_some_and(|feed| feed.try_send(unit).is_ok())
    }
}

fn run(id: PictureId, units: &Receiver<AccessUnit>, outbox: &Weak<Outbox>) {
    let mut decoder = match Decoder::new() {
        Ok(decoder) => decoder,
        Err(error) => return tracing::error!(%error, "no decoder for a picture"),
    };
    while let Ok(unit) = units.recv() {
        let Some(outbox) = outbox.upgrade() else { return };
        match decoder.decode(&unit) {
            Ok(Some(raw)) => outbox.show_decoded(id, raw),
            Ok(None) => {}
            Err(error) => {
                tracing::debug!(%error, "a picture could not be decoded; waiting for a keyframe");
                outbox.decoder_lost(id);
            }
        }
    }
}
