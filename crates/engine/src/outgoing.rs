//! From the devices into the room: frames come from capture threads, packets go through a [`Line`] that is only open
//! while the call's rules let media out.

use crate::room::Line;
use bytes::Bytes;
use media::picture::{EncodedPicture, Packetizer};
use media::voice::VoiceFrame;
use tokio::sync::{mpsc, watch};

/// 300 ms of voice. Full: the newest frame is dropped; the network has stalled and old voice is worth no more.
const VOICE_CAPACITY: usize = 15;
/// Full: the newest picture is dropped; receivers see the gap and ask for a keyframe.
const PICTURE_CAPACITY: usize = 8;

/// What the sending side tells the core.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OutgoingEvent {
    /// The picture's line was opened or closed.
    PictureLine(bool),
}

/// Where a microphone puts its frames.
pub(crate) fn voice_road(lines: watch::Receiver<Option<Line>>) -> mpsc::Sender<VoiceFrame> {
    let (frames_tx, mut frames) = mpsc::channel::<VoiceFrame>(VOICE_CAPACITY);
    tokio::spawn(async move {
        let mut sequence: u16 = rand::random();
        let offset: u32 = rand::random();
        while let Some(frame) = frames.recv().await {
            let line = lines.borrow().clone();
            let Some(Line { track, payload_type }) = line else { continue };
            let timestamp = frame.timestamp.wrapping_add(offset);
            let level = Some(frame.level.dbov());
            if track.send(payload_type, sequence, timestamp, false, Bytes::from(frame.opus), level).await.is_ok() {
                sequence = sequence.wrapping_add(1);
            }
        }
    });
    frames_tx
}

/// Where a camera puts its pictures. `events` hears when they are wanted.
pub(crate) fn picture_road(
    mut lines: watch::Receiver<Option<Line>>,
    events: mpsc::Sender<OutgoingEvent>,
) -> mpsc::Sender<EncodedPicture> {
    let (pictures_tx, mut pictures) = mpsc::channel::<EncodedPicture>(PICTURE_CAPACITY);
    tokio::spawn(async move {
        let mut sequence: u16 = rand::random();
        let offset: u32 = rand::random();
        let packetizer = Packetizer::default();
        let mut open = lines.borrow_and_update().is_some();
        // The core is told of each change; where it is gone this road ends with its camera.
        let _ = events.send(OutgoingEvent::PictureLine(open)).await;
        loop {
            tokio::select! {
                changed = lines.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    open = lines.borrow_and_update().is_some();
                    let _ = events.send(OutgoingEvent::PictureLine(open)).await;
                }
                picture = pictures.recv() => {
                    let Some(picture) = picture else { return };
                    let line = lines.borrow().clone();
                    let Some(Line { track, payload_type }) = line else { continue };
                    let ticks = picture.unit.timestamp.as_nanos() * u128::from(media::picture::CLOCK_RATE) / 1_000_000_000;
                    let timestamp = (ticks as u32).wrapping_add(offset);
                    for packet in packetizer.packetize(&picture.unit.data) {
                        let payload = Bytes::from(packet.payload);
                        if track.send(payload_type, sequence, timestamp, packet.marker, payload, None).await.is_err() {
                            break;
                        }
                        sequence = sequence.wrapping_add(1);
                    }
                }
            }
        }
    });
    pictures_tx
}
