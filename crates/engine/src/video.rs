//! How pictures are sent and shown (TUICallKit's `setVideoEncoderParams` and `setVideoRenderParams`, behaviour 4.1).

use media::picture::{FORMATS, FULL_HD, Format};

/// TRTC's resolutions by their documented numbers: the largest picture that the own camera may send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VideoResolution {
    /// 640×360 (108).
    P360,
    /// 960×540 (110).
    P540,
    /// 1280×720 (112).
    P720,
    /// 1920×1080 (114).
    P1080,
}

impl VideoResolution {
    /// By its documented number: 108, 110, 112 or 114.
    #[must_use]
    pub fn from_number(number: u32) -> Option<Self> {
        match number {
            108 => Some(Self::P360),
            110 => Some(Self::P540),
            112 => Some(Self::P720),
            114 => Some(Self::P1080),
            _ => None,
        }
    }

    /// The documented number.
    #[must_use]
    pub fn number(self) -> u32 {
        match self {
            Self::P360 => 108,
            Self::P540 => 110,
            Self::P720 => 112,
            Self::P1080 => 114,
        }
    }

    /// Highest picture, **pixels**, of one that lies.
    fn height(self) -> u32 {
        match self {
            Self::P360 => 360,
            Self::P540 => 540,
            Self::P720 => 720,
            Self::P1080 => 1080,
        }
    }
}

/// How the own camera is sent (`setVideoEncoderParams`). The picture still begins small and rises while the machine has
/// time for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VideoEncoderParams {
    /// The largest.
    pub resolution: VideoResolution,
    /// Upright: the middle of a picture that lies is cut out.
    pub portrait: bool,
}

impl Default for VideoEncoderParams {
    fn default() -> Self {
        Self { resolution: VideoResolution::P720, portrait: false }
    }
}

impl VideoEncoderParams {
    /// What the camera may go through, the smallest first.
    pub(crate) fn formats(self) -> Vec<Format> {
        let most = self.resolution.height();
        let lying = FORMATS.into_iter().chain([FULL_HD]).filter(|format| format.height <= most);
        lying.map(|format| if self.portrait { format.upright() } else { format }).collect()
    }
}

/// How somebody's picture is shown (`setVideoRenderParams`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VideoRenderParams {
    /// Whole, with bars (fillMode 1), instead of filling the tile (0).
    pub fit: bool,
    /// Clockwise.
    pub rotation: Rotation,
}

/// Quarter turns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Rotation {
    /// As it comes.
    #[default]
    None,
    /// 90 **degrees**.
    Quarter,
    /// 180 **degrees**.
    Half,
    /// 270 **degrees**.
    ThreeQuarters,
}

impl Rotation {
    /// 0, 90, 180 or 270.
    #[must_use]
    pub fn from_degrees(degrees: u32) -> Option<Self> {
        match degrees {
            0 => Some(Self::None),
            90 => Some(Self::Quarter),
            180 => Some(Self::Half),
            270 => Some(Self::ThreeQuarters),
            _ => None,
        }
    }

    /// 0, 90, 180 or 270.
    #[must_use]
    pub fn degrees(self) -> u32 {
        match self {
            Self::None => 0,
            Self::Quarter => 90,
            Self::Half => 180,
            Self::ThreeQuarters => 270,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes(number: u32, portrait: bool) -> Vec<(u32, u32)> {
        let resolution = VideoResolution::from_number(number).expect("documented");
        VideoEncoderParams { resolution, portrait }.formats().iter().map(|f| (f.width, f.height)).collect()
    }

    #[test]
    fn a_resolution_is_the_last_of_the_formats_up_to_it() {
        assert_eq!(sizes(108, false), [(640, 360)]);
        assert_eq!(sizes(112, false), [(640, 360), (960, 540), (1280, 720)]);
        assert_eq!(sizes(114, false).last(), Some(&(1920, 1080)));
        assert_eq!(sizes(110, true), [(360, 640), (540, 960)]);
        assert_eq!(VideoResolution::from_number(109), None);
        assert_eq!(VideoEncoderParams::default().formats(), FORMATS);
    }
}
