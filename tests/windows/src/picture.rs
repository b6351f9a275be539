//! What a display shows, as pixels. WebDriver's own screenshot hangs where WebKitGTK draws without DMABUF, so the picture is
//! taken of the display.

use anyhow::{Context, Result, ensure};
use std::collections::BTreeSet;
use std::process::Command;

/// A part of the display, in pixels.
#[derive(Clone, Copy, Debug)]
pub struct Area {
    /// From the left.
    pub x: u32,
    /// From the top.
    pub y: u32,
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
}

/// Pixels of red, green and blue.
pub struct Picture(Vec<[u8; 3]>);

impl Picture {
    /// Takes it by a command that is already set up for the display.
    pub(crate) fn take(mut import: Command, area: Area) -> Result<Self> {
        let Area { x, y, width, height } = area;
        import.args([
            "-window",
            "root",
            "-silent",
            "-crop",
            &format!("{width}x{height}+{x}+{y}"),
            "-depth",
            "8",
            "rgb:-",
        ]);
        let output = import.output().context("import (ImageMagick) takes the picture")?;
        ensure!(output.status.success(), "no picture: {}", String::from_utf8_lossy(&output.stderr));
        Ok(Self(output.stdout.chunks_exact(3).map(|pixel| [pixel[0], pixel[1], pixel[2]]).collect()))
    }

    /// Of how many colours it is made: few for an empty one.
    #[must_use]
    pub fn colours(&self) -> usize {
        self.0.iter().collect::<BTreeSet<_>>().len()
    }

    /// Mean brightness, 0–255.
    #[must_use]
    pub fn brightness(&self) -> f64 {
        let sum: u64 = self.0.iter().flatten().map(|value| u64::from(*value)).sum();
        sum as f64 / (3 * self.0.len().max(1)) as f64
    }

    /// The share of pixels, 0–1, that are clearly another colour in the other one.
    #[must_use]
    pub fn difference(&self, other: &Self) -> f64 {
        const CLEARLY: u8 = 24;
        let differs = |(a, b): (&[u8; 3], &[u8; 3])| a.iter().zip(b).any(|(a, b)| a.abs_diff(*b) > CLEARLY);
        let changed = self.0.iter().zip(&other.0).filter(|pair| differs(*pair)).count();
        changed as f64 / self.0.len().max(1) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moving_picture_is_told_from_a_still_and_a_black_one() {
        let still = Picture(vec![[10, 200, 30]; 100]);
        let mut moved = Picture(vec![[10, 200, 30]; 100]);
        moved.0[..10].fill([250, 250, 250]);
        assert_eq!(still.difference(&still), 0.0);
        assert!((still.difference(&moved) - 0.1).abs() < 1e-9);
        assert_eq!((still.colours(), moved.colours()), (1, 2));
        assert!(Picture(vec![[0; 3]; 100]).brightness() < 1.0 && still.brightness() > 50.0);
    }
}
