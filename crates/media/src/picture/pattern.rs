//! The moving test pattern: bars, a label, a running time and the machine-readable timecode.

use super::{glyphs, timecode};
use crate::frame::I420;
use std::time::Duration;

/// Draws the pattern of one size and label.
pub struct Pattern {
    width: u32,
    height: u32,
    label: String,
    background: Vec<u8>,
}

/// Colour bars (Y, U, V) at 75 %, ITU-R BT.601.
const BARS: [(u8, u8, u8); 7] =
    [(180, 128, 128), (162, 44, 142), (131, 156, 44), (112, 72, 58), (84, 184, 198), (65, 100, 212), (35, 212, 114)];

impl Pattern {
    /// Sides are made even.
    pub fn new(width: u32, height: u32, label: &str) -> Self {
        let (width, height) = ((width & !1).max(48), (height & !1).max(40));
        // The label sets the order of the bars, so that two people look different.
        let shift = label.bytes().fold(0usize, |sum, byte| (sum * 31 + usize::from(byte)) % 9973) % BARS.len();
        let bar = |x: usize, width: usize| BARS[(x * BARS.len() / width + shift) % BARS.len()];
        let (w, h) = (width as usize, height as usize);
        let mut background = vec![0u8; I420::size(width, height)];
        for row in background[..w * h].chunks_exact_mut(w) {
            for (x, luma) in row.iter_mut().enumerate() {
                *luma = bar(x, w).0;
            }
        }
        let (half, chroma) = (w / 2, w * h / 4);
        for (n, byte) in background[w * h..].iter_mut().enumerate() {
            let (_, u, v) = bar(n % chroma % half, half);
            *byte = if n < chroma { u } else { v };
        }
        // At most 16 characters fit.
        let label: String = label.chars().take(16).collect();
        Self { width, height, label, background }
    }

    /// The picture at `elapsed`, with `number` as its timecode.
    pub fn draw(&self, elapsed: Duration, number: u32) -> I420 {
        let mut data = self.background.clone();
        self.ball(&mut data, elapsed);
        let unit = (self.width as usize / 128).max(1);
        let top = self.height as usize / 4;
        self.text(&mut data, &self.label, unit * 2, top);
        let (s, ms) = (elapsed.as_secs(), elapsed.subsec_millis());
        let clock = format!("{:02}:{:02}:{:02}.{ms:03}", s / 3600 % 100, s / 60 % 60, s % 60);
        self.text(&mut data, &clock, unit, top + unit * 2 * (glyphs::HEIGHT + 3));
        timecode::draw(self.width, self.height, &mut data, number);
        I420 { width: self.width, height: self.height, data: data.into(), timestamp: elapsed }
    }

    /// Something that moves evenly: across the lower part in three seconds and back.
    fn ball(&self, data: &mut [u8], elapsed: Duration) {
        let (w, h) = (self.width as usize, self.height as usize);
        let size = h / 6;
        let phase = (elapsed.as_millis() % 6000) as usize;
        let along = if phase < 3000 { phase } else { 6000 - phase };
        let left = along * (w - size) / 3000;
        let top = h * 7 / 10;
        for row in top..(top + size).min(h) {
            data[row * w + left..row * w + left + size].fill(235);
        }
    }

    /// White on a dark ground, in the middle.
    fn text(&self, data: &mut [u8], text: &str, unit: usize, top: usize) {
        let (w, h) = (self.width as usize, self.height as usize);
        let advance = (glyphs::WIDTH + 1) * unit;
        let length = text.chars().count() * advance;
        let Some(left) = w.checked_sub(length).map(|rest| rest / 2) else { return };
        let bottom = (top + (glyphs::HEIGHT + 2) * unit).min(h);
        for row in top..bottom {
            data[row * w + left.saturating_sub(unit)..row * w + left + length].fill(24);
        }
        for (n, character) in text.chars().enumerate() {
            for (y, row) in glyphs::rows(character).into_iter().enumerate() {
                for x in (0..glyphs::WIDTH).filter(|x| row >> (glyphs::WIDTH - 1 - x) & 1 == 1) {
                    let (at_x, at_y) = (left + n * advance + x * unit, top + (y + 1) * unit);
                    for line in at_y..(at_y + unit).min(h) {
                        data[line * w + at_x..line * w + at_x + unit].fill(235);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_size_and_label_can_be_drawn() {
        for (width, height) in [(0, 0), (48, 40), (160, 90), (640, 360), (641, 361), (1280, 720), (360, 640)] {
            for label in ["", "alice", "a very long name of somebody", "Zoë 漢字"] {
                let picture = Pattern::new(width, height, label).draw(Duration::from_millis(12_345), 42);
                assert!(picture.is_whole());
                assert_eq!(timecode::read(&picture), Some(42), "{width}x{height}");
            }
        }
    }

    #[test]
    fn it_moves() {
        let pattern = Pattern::new(640, 360, "bob");
        let a = pattern.draw(Duration::from_millis(0), 0);
        let b = pattern.draw(Duration::from_millis(500), 0);
        let changed = a.data.iter().zip(b.data.iter()).filter(|(a, b)| a != b).count();
        assert!(changed > 2_000, "{changed}");
    }
}
