//! A number in the picture that survives coding and scaling: black and white cells along the top.
//!
//! Two rows of 24 cells over the upper tenth: 8 fixed ones (they also tell black from white), 32 of the number, 8 of a
//! CRC. Positions are shares of the picture's size, so a scaled picture still reads.

use crate::frame::I420;

const COLUMNS: usize = 24;
const ROWS: usize = 2;
/// The upper part of the height that the cells take, as a divisor.
const HEIGHT_SHARE: usize = 10;
const SYNC: u8 = 0b1011_0010;
const BLACK: u8 = 24;
const WHITE: u8 = 230;

fn crc8(number: u32) -> u8 {
    let mut crc = 0x5au8;
    for byte in number.to_be_bytes() {
        crc ^= byte;
        for _ in 0..8 {
            crc = if crc & 0x80 != 0 { crc << 1 ^ 0x07 } else { crc << 1 };
        }
    }
    crc
}

fn bits(number: u32) -> u64 {
    u64::from(SYNC) << 40 | u64::from(number) << 8 | u64::from(crc8(number))
}

/// Left, right, top and bottom of a cell.
fn cell(n: usize, width: usize, height: usize) -> (usize, usize, usize, usize) {
    let (column, row) = (n % COLUMNS, n / COLUMNS);
    let strip = (height / HEIGHT_SHARE).max(ROWS);
    (column * width / COLUMNS, (column + 1) * width / COLUMNS, row * strip / ROWS, (row + 1) * strip / ROWS)
}

/// Writes a number (of milliseconds, say) into a picture's planes.
pub fn draw(width: u32, height: u32, data: &mut [u8], number: u32) {
    let (w, h) = (width as usize, height as usize);
    if data.len() != I420::size(width, height) {
        return;
    }
    let bits = bits(number);
    for n in 0..COLUMNS * ROWS {
        let luma = if bits >> (COLUMNS * ROWS - 1 - n) & 1 == 1 { WHITE } else { BLACK };
        let (left, right, top, bottom) = cell(n, w, h);
        for row in top..bottom {
            data[row * w + left..row * w + right].fill(luma);
        }
    }
    // No colour over the cells.
    let (half, strip) = (w.div_ceil(2), (h / HEIGHT_SHARE).max(ROWS).div_ceil(2));
    let chroma = half * h.div_ceil(2);
    for plane in 0..2 {
        let at = w * h + plane * chroma;
        data[at..at + half * strip].fill(128);
    }
}

/// The number in a picture; `None` where there is none or it is not readable.
pub fn read(picture: &I420) -> Option<u32> {
    let (w, h) = (picture.width as usize, picture.height as usize);
    let (luma, _, _) = picture.planes();
    if w < COLUMNS || h < 20 || luma.is_empty() {
        return None;
    }
    let mean = |n: usize| {
        let (left, right, top, bottom) = cell(n, w, h);
        // The middle half only: edges are smeared by coding and scaling.
        let (inset_x, inset_y) = ((right - left) / 4, (bottom - top) / 4);
        let (mut sum, mut count) = (0u32, 0u32);
        for row in top + inset_y..bottom - inset_y {
            for luma in &luma[row * w + left + inset_x..row * w + right - inset_x] {
                sum += u32::from(*luma);
                count += 1;
            }
        }
        sum / count.max(1)
    };
    let sync: Vec<u32> = (0..8).map(mean).collect();
    let of = |wanted: u8| sync.iter().enumerate().filter(move |(n, _)| SYNC >> (7 - n) & 1 == wanted).map(|(_, m)| *m);
    let (darkest_white, brightest_black) = (of(1).min()?, of(0).max()?);
    if darkest_white < brightest_black + 40 {
        return None;
    }
    let middle = (darkest_white + brightest_black) / 2;
    let mut bits = 0u64;
    for n in 8..COLUMNS * ROWS {
        bits = bits << 1 | u64::from(mean(n) > middle);
    }
    let (number, crc) = ((bits >> 8) as u32, bits as u8);
    (crc8(number) == crc).then_some(number)
}

/// Milliseconds since 1970 as they fit: for measuring across processes on one machine. Differences by `wrapping_sub`.
pub fn now() -> u32 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    since.as_millis() as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::{black, scale};
    use std::time::Duration;

    fn with(number: u32, width: u32, height: u32) -> I420 {
        let mut picture = black(width, height, Duration::ZERO);
        let mut data = picture.data.to_vec();
        draw(width, height, &mut data, number);
        picture.data = data.into();
        picture
    }

    #[test]
    fn what_is_drawn_is_read_at_any_size() {
        for (width, height) in [(160, 90), (320, 180), (640, 360), (641, 361), (1280, 720), (480, 640)] {
            for number in [0, 1, 0xdead_beef, u32::MAX] {
                assert_eq!(read(&with(number, width, height)), Some(number), "{width}x{height}");
            }
        }
    }

    #[test]
    fn it_survives_scaling() {
        let picture = with(123_456_789, 1280, 720);
        for (width, height) in [(640, 360), (320, 180), (214, 120), (960, 540)] {
            assert_eq!(read(&scale(&picture, width, height)), Some(123_456_789), "{width}x{height}");
        }
    }

    #[test]
    fn nothing_is_read_where_nothing_was_drawn() {
        assert_eq!(read(&black(640, 360, Duration::ZERO)), None);
        assert_eq!(read(&black(4, 4, Duration::ZERO)), None);
        let mut noise = black(640, 360, Duration::ZERO);
        let mut data = noise.data.to_vec();
        let mut seed = 7u32;
        let mut found = 0;
        for _ in 0..50 {
            for byte in data.iter_mut().take(640 * 40) {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                *byte = (seed >> 24) as u8;
            }
            noise.data = data.clone().into();
            found += u32::from(read(&noise).is_some());
        }
        assert_eq!(found, 0);
    }
}
