//! From the room to speaker and screen: one task for each remote track.

use crate::room::{Codec, RemoteTrack};
use media::picture::{Decoder, Depacketizer};
use media::voice::Receiver;
use media::{AccessUnit, FrameSink, Picture, PictureId};
use protocol::UserId;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

/// How often it is looked whether a voice is heard for the first time; the figure is that exact.
const HEARD_INTERVAL: Duration = Duration::from_millis(4);
/// A sender that was asked for a keyframe has this long to send it before it is asked again.
const KEYFRAME_PATIENCE: Duration = Duration::from_millis(300);

/// What a road tells the core.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum IncomingEvent {
    /// The first decoded voice was handed to the mix.
    FirstVoice { user: UserId, at: Instant },
    /// The first picture was decoded.
    FirstPicture { user: UserId, width: u32, height: u32, at: Instant },
}

/// A running road. Dropping it ends it.
pub(crate) struct Road {
    task: AbortHandle,
    /// Complete access units (or, of codecs that are not decoded here, frames).
    pub(crate) frames: Arc<AtomicU64>,
}

impl Drop for Road {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Voice into the mix.
pub(crate) fn voice(
    track: RemoteTrack,
    user: UserId,
    receiver: Arc<Receiver>,
    events: mpsc::Sender<IncomingEvent>,
) -> Road {
    let frames = Arc::new(AtomicU64::new(0));
    let counter = frames.clone();
    let task = tokio::spawn(async move {
        let mut heard = false;
        let mut look = tokio::time::interval(HEARD_INTERVAL);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        loop {
            tokio::select! {
                packet = track.next() => {
                    let Some(packet) = packet else { return };
                    if track.codec == Codec::Opus {
                        receiver.push(packet.sequence_number, packet.timestamp, packet.arrived_at, &packet.payload);
                    }
                    counter.fetch_add(1, Ordering::Relaxed);
                }
                _ = look.tick(), if !heard && counter.load(Ordering::Relaxed) > 0 => {
                    if receiver.is_heard() {
                        heard = true;
                        let _ = events.send(IncomingEvent::FirstVoice { user: user.clone(), at: Instant::now() }).await;
                    }
                }
            }
        }
    });
    Road { task: task.abort_handle(), frames }
}

/// Pictures to the screen.
pub(crate) fn picture(
    track: RemoteTrack,
    user: UserId,
    id: PictureId,
    screen: Arc<dyn FrameSink>,
    events: mpsc::Sender<IncomingEvent>,
) -> Road {
    let frames = Arc::new(AtomicU64::new(0));
    let counter = frames.clone();
    let task = tokio::spawn(async move {
        let _end = EndOnDrop { screen: screen.clone(), id };
        let mut depacketizer = Depacketizer::default();
        let mut asked_at: Option<Instant> = None;
        let mut first = true;
        while let Some(packet) = track.next().await {
            if track.codec != Codec::H264 {
                counter.fetch_add(u64::from(packet.marker), Ordering::Relaxed);
                continue;
            }
            let pushed = depacketizer.push(packet.sequence_number, packet.timestamp, packet.marker, &packet.payload);
            let units = pushed.unwrap_or_else(|error| {
                tracing::debug!(%error, "a damaged picture packet");
                Vec::new()
            });
            let mut wanted = depacketizer.wants_keyframe();
            for unit in units {
                counter.fetch_add(1, Ordering::Relaxed);
                if std::mem::take(&mut first) {
                    report_first(unit.clone(), user.clone(), events.clone());
                }
                screen.show(id, Picture::AccessUnit(unit));
                wanted |= screen.wants_keyframe(id);
            }
            if wanted && asked_at.is_none_or(|at| at.elapsed() > KEYFRAME_PATIENCE) {
                asked_at = Some(Instant::now());
                tracing::debug!("asking for a keyframe");
                track.request_keyframe().await;
            }
        }
    });
    Road { task: task.abort_handle(), frames }
}

struct EndOnDrop {
    screen: Arc<dyn FrameSink>,
    id: PictureId,
}

impl Drop for EndOnDrop {
    fn drop(&mut self) {
        self.screen.end(self.id);
    }
}

/// Decodes the first picture once, off the network's threads: "first" means first decoded, and its size is the real one.
fn report_first(unit: AccessUnit, user: UserId, events: mpsc::Sender<IncomingEvent>) {
    tokio::task::spawn_blocking(move || {
        let decoded = Decoder::new().and_then(|mut decoder| decoder.decode(&unit));
        match decoded {
            Ok(Some(picture)) => {
                let (width, height) = (picture.width, picture.height);
                let _ = events.blocking_send(IncomingEvent::FirstPicture { user, width, height, at: Instant::now() });
            }
            Ok(None) => tracing::debug!("the first picture gave nothing to see"),
            Err(error) => tracing::warn!(%error, "the first picture does not decode"),
        }
    });
}
