//! The own preview is a small tile: a big raw picture is reduced before it takes the road to the web view.

use media::I420;
use media::picture::{fit, scale};

/// Pixels of each side; a larger picture is reduced and keeps its shape.
const PREVIEW_LIMIT: u32 = 640;

/// The picture, at most [`PREVIEW_LIMIT`] wide and high.
pub fn to_preview(raw: I420) -> I420 {
    if raw.width <= PREVIEW_LIMIT && raw.height <= PREVIEW_LIMIT {
        return raw;
    }
    let (width, height) = fit((raw.width, raw.height), (PREVIEW_LIMIT, PREVIEW_LIMIT));
    scale(&raw, width, height)
}

#[cfg(test)]
mod tests {
    use super::*;
    use media::picture::Pattern;
    use std::time::Duration;

    #[test]
    fn a_big_picture_is_reduced_and_a_small_one_left_alone() {
        let at = Duration::from_secs(1);
        let small = to_preview(Pattern::new(1280, 720, "bob").draw(at, 7));
        assert_eq!((small.width, small.height, small.timestamp), (640, 360, at));
        assert_eq!(media::picture::timecode::read(&small), Some(7));
        assert_eq!(to_preview(Pattern::new(320, 180, "bob").draw(at, 8)).width, 320);
    }
}
