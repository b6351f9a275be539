//! What waits for the screen, picture by picture: filled by media threads that must not wait, emptied by the socket.

use super::decode::DecodeThread;
use super::gate::Gate;
use super::wire::Mode;
use media::{AccessUnit, FrameSink, I420, Picture, PictureId};
use parking_lot::Mutex;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Weak};
use std::time::Instant;
use tokio::sync::Notify;

/// Frames in the queue over all pictures; beyond it every picture counts as being without credit. Credit keeps an honest
/// screen far below (nine pictures of eight frames).
const QUEUE_LIMIT: usize = 128;

/// One message for the screen.
#[derive(Debug)]
pub enum Out {
    /// A frame of a picture.
    Frame(PictureId, Picture),
    /// The picture is over.
    End(PictureId),
}

/// The screen that is connected.
#[derive(Clone)]
pub struct Screen {
    /// Tells one connection from the next.
    number: u64,
    wake: Arc<Notify>,
}

struct State {
    mode: Mode,
    connections: u64,
    screen: Option<Screen>,
    slots: BTreeMap<PictureId, Slot>,
    /// At most [`QUEUE_LIMIT`] frames, and the ends of pictures.
    queue: VecDeque<Out>,
}

/// One picture on its way.
#[derive(Default)]
struct Slot {
    /// Frames to the screen.
    gate: Gate,
    /// The newest raw picture that had no credit; an older one goes.
    waiting: Option<I420>,
    /// Decodes for a screen that cannot.
    decoder: Option<DecodeThread>,
    /// Access units to the decoder; its queue is its credit.
    feed: Gate,
}

/// Pictures between the engine and the web view.
pub struct Outbox {
    state: Mutex<State>,
    this: Weak<Outbox>,
}

impl Outbox {
    /// An outbox without a screen: all pictures are dropped.
    pub fn new() -> Arc<Self> {
        let state = State {
            mode: Mode::Webcodecs,
            connections: 0,
            screen: None,
            slots: BTreeMap::new(),
            queue: VecDeque::new(),
        };
        Arc::new_cyclic(|this| Self { state: Mutex::new(state), this: this.clone() })
    }

    /// A screen took the lane; an earlier one is told by [`Outbox::next`].
    pub fn attach(&self, mode: Mode) -> Screen {
        let mut state = self.state.lock();
        state.connections += 1;
        let screen = Screen { number: state.connections, wake: Arc::new(Notify::new()) };
        if let Some(former) = state.screen.replace(screen.clone()) {
            former.wake.notify_one();
        }
        state.restart(mode);
        screen
    }

    /// The screen went away.
    pub fn detach(&self, screen: &Screen) {
        let mut state = self.state.lock();
        if state.is_current(screen) {
            state.screen = None;
            let mode = state.mode;
            state.restart(mode);
        }
    }

    /// The next message for this screen; `None` when another one has taken over.
    pub async fn next(&self, screen: &Screen) -> Option<Out> {
        loop {
            {
                let mut state = self.state.lock();
                if !state.is_current(screen) {
                    return None;
                }
                if let Some(out) = state.queue.pop_front() {
                    return Some(out);
                }
            }
            screen.wake.notified().await;
        }
    }

    /// The screen wants remote pictures in another form.
    pub fn set_mode(&self, mode: Mode) {
        let mut state = self.state.lock();
        if state.mode != mode {
            state.mode = mode;
            for slot in state.slots.values_mut() {
                slot.gate.close();
                slot.stop_decoder();
            }
        }
    }

    /// The screen can take so many more frames of a picture.
    pub fn grant(&self, id: PictureId, n: u32) {
        let mut state = self.state.lock();
        let Some(slot) = state.slots.get_mut(&id) else { return };
        slot.gate.grant(n);
        if let Some(raw) = slot.waiting.take() {
            state.offer_raw(id, raw);
        }
    }

    /// The screen's decoder lost its way.
    pub fn lost(&self, id: PictureId) {
        if let Some(slot) = self.state.lock().slots.get_mut(&id) {
            slot.gate.close();
        }
    }

    /// The decoder here lost its way.
    pub(super) fn decoder_lost(&self, id: PictureId) {
        if let Some(slot) = self.state.lock().slots.get_mut(&id) {
            slot.feed.close();
        }
    }

    /// A decoded remote picture; one of a picture that is over, or that the screen decodes itself by now, is dropped.
    pub(super) fn show_decoded(&self, id: PictureId, raw: I420) {
        let mut state = self.state.lock();
        if state.mode == Mode::Raw && state.slots.contains_key(&id) {
            state.offer_raw(id, raw);
        }
    }

    /// Whether somebody looks.
    #[cfg(test)]
    pub fn has_screen(&self) -> bool {
        self.state.lock().screen.is_some()
    }

    /// Frames that wait for the socket.
    #[cfg(test)]
    pub fn queued(&self) -> usize {
        self.state.lock().queue.len()
    }
}

impl FrameSink for Outbox {
    fn show(&self, id: PictureId, picture: Picture) {
        let picture = match picture {
            Picture::Raw(raw) => Picture::Raw(super::shrink::to_preview(raw)),
            unit @ Picture::AccessUnit(_) => unit,
        };
        let mut state = self.state.lock();
        state.slots.entry(id).or_default();
        if state.screen.is_none() {
            return;
        }
        match picture {
            Picture::Raw(raw) => state.offer_raw(id, raw),
            Picture::AccessUnit(unit) => match state.mode {
                Mode::Webcodecs => state.offer_unit(id, unit),
                Mode::Raw => state.feed(id, unit, &self.this),
            },
        }
    }

    fn end(&self, id: PictureId) {
        let mut state = self.state.lock();
        if state.slots.remove(&id).is_some() && state.screen.is_some() {
            state.push(Out::End(id));
        }
    }

    fn wants_keyframe(&self, id: PictureId) -> bool {
        let mut state = self.state.lock();
        if state.screen.is_none() {
            return false;
        }
        let mode = state.mode;
        let Some(slot) = state.slots.get_mut(&id) else { return false };
        match mode {
            Mode::Webcodecs => slot.gate.wants_keyframe(Instant::now()),
            Mode::Raw => slot.feed.wants_keyframe(Instant::now()),
        }
    }
}

impl State {
    fn is_current(&self, screen: &Screen) -> bool {
        self.screen.as_ref().is_some_and(|current| current.number == screen.number)
    }

    /// Every picture begins anew.
    fn restart(&mut self, mode: Mode) {
        self.mode = mode;
        self.queue.clear();
        for slot in self.slots.values_mut() {
            *slot = Slot::default();
        }
    }

    fn push(&mut self, out: Out) {
        self.queue.push_back(out);
        if let Some(screen) = &self.screen {
            screen.wake.notify_one();
        }
    }

    fn offer_unit(&mut self, id: PictureId, unit: AccessUnit) {
        let has_room = self.queue.len() < QUEUE_LIMIT;
        let Some(slot) = self.slots.get_mut(&id) else { return };
        if !has_room {
            slot.gate.close();
        } else if slot.gate.pass_unit(unit.is_keyframe) {
            self.push(Out::Frame(id, Picture::AccessUnit(unit)));
        }
    }

    fn offer_raw(&mut self, id: PictureId, raw: I420) {
        let has_room = self.queue.len() < QUEUE_LIMIT;
        let Some(slot) = self.slots.get_mut(&id) else { return };
        if has_room && slot.gate.pass_raw() {
            self.push(Out::Frame(id, Picture::Raw(raw)));
        } else {
            slot.waiting = Some(raw);
        }
    }

    fn feed(&mut self, id: PictureId, unit: AccessUnit, outbox: &Weak<Outbox>) {
        let Some(slot) = self.slots.get_mut(&id) else { return };
        slot.feed.grant(1);
        if !slot.feed.pass_unit(unit.is_keyframe) {
            return;
        }
        let decoder = slot.decoder.get_or_insert_with(|| DecodeThread::start(id, outbox.clone()));
        if !decoder.offer(unit) {
            slot.feed.close();
        }
    }
}

impl Slot {
    fn stop_decoder(&mut self) {
        self.decoder = None;
        self.waiting = None;
        self.feed = Gate::default();
    }
}
