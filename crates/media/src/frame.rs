//! Pictures on their way to a screen, compressed and not.

use std::sync::Arc;
use std::time::Duration;

/// Under which a picture's frames reach the screen; new for each track.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PictureId(pub u32);

/// One complete H.264 access unit, Annex B.
#[derive(Clone, Debug)]
pub struct AccessUnit {
    /// With start codes; SPS and PPS stand before each IDR.
    pub data: Arc<[u8]>,
    /// Starts with an IDR.
    pub is_keyframe: bool,
    /// Since the start of the track.
    pub timestamp: Duration,
}

/// One raw picture, planes without padding: Y (w·h), U and V (⌈w/2⌉·⌈h/2⌉ each).
#[derive(Clone, Debug)]
pub struct I420 {
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// Y, then U, then V.
    pub data: Arc<[u8]>,
    /// Since the start of the track.
    pub timestamp: Duration,
}

/// What a screen is given.
#[derive(Clone, Debug)]
pub enum Picture {
    /// Compressed, for a screen that decodes.
    AccessUnit(AccessUnit),
    /// Raw, for the own preview and for screens that cannot decode.
    Raw(I420),
}

/// Where pictures go. Must return at once: a slow screen drops frames and never holds up the caller.
pub trait FrameSink: Send + Sync {
    /// One picture of one track.
    fn show(&self, id: PictureId, picture: Picture);
    /// The track ended.
    fn end(&self, id: PictureId);
    /// Whether a keyframe is wanted for this track (asked after each `show`; true once per need).
    fn wants_keyframe(&self, id: PictureId) -> bool;
}

impl I420 {
    /// Width of U and V.
    pub fn chroma_width(&self) -> usize {
        self.width.div_ceil(2) as usize
    }

    /// Height of U and V.
    pub fn chroma_height(&self) -> usize {
        self.height.div_ceil(2) as usize
    }

    /// Whether the planes have the size they should.
    pub fn is_whole(&self) -> bool {
        self.data.len() == Self::size(self.width, self.height)
    }

    /// Bytes of a picture of this size.
    pub fn size(width: u32, height: u32) -> usize {
        width as usize * height as usize + 2 * width.div_ceil(2) as usize * height.div_ceil(2) as usize
    }

    /// Y, U and V; empty where the picture is not whole.
    pub fn planes(&self) -> (&[u8], &[u8], &[u8]) {
        if !self.is_whole() {
            return (&[], &[], &[]);
        }
        let (y, chroma) = self.data.split_at(self.width as usize * self.height as usize);
        let (u, v) = chroma.split_at(chroma.len() / 2);
        (y, u, v)
    }
}
