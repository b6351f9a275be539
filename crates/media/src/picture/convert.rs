//! From what cameras give to I420 of the wanted size.

use crate::frame::I420;
use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
use std::time::Duration;
use yuv::{BufferStoreMut, YuvPackedImage, YuvPlanarImageMut, YuvRange, YuvStandardMatrix};
use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

/// A camera's own formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RawFormat {
    Yuyv,
    Nv12,
    Mjpeg,
    Gray,
    Rgb,
    Bgr,
}

/// Widest side that is accepted from a camera or file.
pub(crate) const SIDE_LIMIT: u32 = 4096;

/// A raw frame as I420. `None` where the bytes do not make a picture of that size.
pub(crate) fn to_i420(format: RawFormat, width: u32, height: u32, data: &[u8], timestamp: Duration) -> Option<I420> {
    if width == 0 || height == 0 || width > SIDE_LIMIT || height > SIDE_LIMIT {
        return None;
    }
    let pixels = width as usize * height as usize;
    let mut out = vec![128u8; I420::size(width, height)];
    match format {
        RawFormat::Yuyv => {
            let packed = YuvPackedImage { yuy: data, yuy_stride: width * 2, width, height };
            packed.check_constraints().ok()?;
            yuv::yuyv422_to_yuv420(&mut planar(&mut out, width, height), &packed).ok()?;
        }
        RawFormat::Nv12 => {
            let (half_width, half_height) = (width.div_ceil(2) as usize, height.div_ceil(2) as usize);
            let (y, uv) = data.split_at_checked(pixels)?;
            let uv = uv.get(..2 * half_width * half_height)?;
            out[..pixels].copy_from_slice(y);
            let (u_out, v_out) = out[pixels..].split_at_mut(half_width * half_height);
            for ((pair, u), v) in uv.chunks_exact(2).zip(u_out).zip(v_out) {
                (*u, *v) = (pair[0], pair[1]);
            }
        }
        RawFormat::Gray => out[..pixels].copy_from_slice(data.get(..pixels)?),
        RawFormat::Rgb => rgb(&mut out, width, height, data, false)?,
        RawFormat::Bgr => rgb(&mut out, width, height, data, true)?,
        RawFormat::Mjpeg => return mjpeg(data, timestamp),
    }
    Some(I420 { width, height, data: out.into(), timestamp })
}

fn planar(out: &mut [u8], width: u32, height: u32) -> YuvPlanarImageMut<'_, u8> {
    let (y, chroma) = out.split_at_mut(width as usize * height as usize);
    let (u, v) = chroma.split_at_mut(chroma.len() / 2);
    YuvPlanarImageMut {
        y_plane: BufferStoreMut::Borrowed(y),
        y_stride: width,
        u_plane: BufferStoreMut::Borrowed(u),
        u_stride: width.div_ceil(2),
        v_plane: BufferStoreMut::Borrowed(v),
        v_stride: width.div_ceil(2),
        width,
        height,
    }
}

fn rgb(out: &mut [u8], width: u32, height: u32, data: &[u8], is_bgr: bool) -> Option<()> {
    let data = data.get(..width as usize * height as usize * 3)?;
    let mut image = planar(out, width, height);
    let convert = if is_bgr { yuv::bgr_to_yuv420 } else { yuv::rgb_to_yuv420 };
    let (range, matrix) = (YuvRange::Limited, YuvStandardMatrix::Bt601);
    convert(&mut image, data, width * 3, range, matrix, yuv::YuvConversionMode::Balanced).ok()
}

/// Motion JPEG: its own size counts, its planes come as 4:4:4 in full range.
fn mjpeg(data: &[u8], timestamp: Duration) -> Option<I420> {
    let options = DecoderOptions::default()
        .jpeg_set_out_colorspace(ColorSpace::RGB)
        .set_max_width(SIDE_LIMIT as usize)
        .set_max_height(SIDE_LIMIT as usize);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(data), options);
    let pixels = decoder.decode().ok()?;
    let (width, height) = decoder.dimensions()?;
    let (width, height) = (width as u32, height as u32);
    let mut out = vec![0u8; I420::size(width, height)];
    rgb(&mut out, width, height, &pixels, false)?;
    Some(I420 { width, height, data: out.into(), timestamp })
}

/// The largest even size within `limit` that keeps the shape of `size`; never larger than `size`.
pub fn fit(size: (u32, u32), limit: (u32, u32)) -> (u32, u32) {
    let (width, height) = (f64::from(size.0.max(2)), f64::from(size.1.max(2)));
    let scale = (f64::from(limit.0) / width).min(f64::from(limit.1) / height).min(1.0);
    let even = |side: f64, limit: u32| ((side * scale / 2.0).round() as u32 * 2).clamp(2, (limit & !1).max(2));
    (even(width, limit.0), even(height, limit.1))
}

/// The middle of a picture that lies, cut to the upright `shape` at its full height. Others stay as they are.
pub fn upright(picture: &I420, shape: (u32, u32)) -> I420 {
    let wanted = u64::from(picture.height) * u64::from(shape.0) / u64::from(shape.1.max(1));
    let width = u32::try_from(wanted).unwrap_or(u32::MAX).max(2) & !1;
    if width >= picture.width || !picture.is_whole() {
        return picture.clone();
    }
    // Even, so that the colours stay where they are.
    let left = ((picture.width - width) / 2) & !1;
    let (y, u, v) = picture.planes();
    let mut data = Vec::with_capacity(I420::size(width, picture.height));
    for (plane, stride, from, count) in [
        (y, picture.width as usize, left as usize, width as usize),
        (u, picture.chroma_width(), left as usize / 2, width as usize / 2),
        (v, picture.chroma_width(), left as usize / 2, width as usize / 2),
    ] {
        for row in plane.chunks_exact(stride) {
            data.extend_from_slice(&row[from..from + count]);
        }
    }
    I420 { width, height: picture.height, data: data.into(), timestamp: picture.timestamp }
}

/// Scales to exactly this size. A picture that is not whole becomes black.
pub fn scale(picture: &I420, width: u32, height: u32) -> I420 {
    if (picture.width, picture.height) == (width, height) && picture.is_whole() {
        return picture.clone();
    }
    scaled(picture, width, height).unwrap_or_else(|| black(width, height, picture.timestamp))
}

fn scaled(picture: &I420, width: u32, height: u32) -> Option<I420> {
    let (y, u, v) = picture.planes();
    let chroma = (picture.chroma_width() as u32, picture.chroma_height() as u32);
    let half = (width.div_ceil(2), height.div_ceil(2));
    let mut data = Vec::with_capacity(I420::size(width, height));
    let mut resizer = Resizer::new();
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Bilinear));
    for (plane, from, to) in
        [(y, (picture.width, picture.height), (width, height)), (u, chroma, half), (v, chroma, half)]
    {
        let source = ImageRef::new(from.0, from.1, plane, PixelType::U8).ok()?;
        let mut target = Image::new(to.0, to.1, PixelType::U8);
        resizer.resize(&source, &mut target, &options).ok()?;
        data.extend_from_slice(target.buffer());
    }
    Some(I420 { width, height, data: data.into(), timestamp: picture.timestamp })
}

/// A black picture.
pub fn black(width: u32, height: u32, timestamp: Duration) -> I420 {
    let mut data = vec![128u8; I420::size(width, height)];
    data[..width as usize * height as usize].fill(16);
    I420 { width, height, data: data.into(), timestamp }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_is_fitted_with_even_sides_and_never_enlarged() {
        assert_eq!(fit((1280, 720), (640, 360)), (640, 360));
        assert_eq!(fit((640, 480), (640, 360)), (480, 360));
        assert_eq!(fit((320, 240), (640, 360)), (320, 240));
        assert_eq!(fit((1079, 1919), (640, 360)), (202, 360));
        assert_eq!(fit((0, 0), (640, 360)), (2, 2));
    }

    #[test]
    fn the_middle_of_a_picture_that_lies_stands_upright() {
        let (width, height) = (32u32, 18u32);
        let luma = (0..height).flat_map(|_| (0..width).map(|x| x as u8));
        let chroma = |base: u8| (0..height / 2).flat_map(move |_| (0..width / 2).map(move |x| base + x as u8));
        let data: Vec<u8> = luma.chain(chroma(100)).chain(chroma(200)).collect();
        let lying = I420 { width, height, data: data.into(), timestamp: Duration::ZERO };
        let standing = upright(&lying, (360, 640));
        assert_eq!((standing.width, standing.height), (10, 18));
        assert!(standing.is_whole());
        let (y, u, v) = standing.planes();
        assert_eq!((y[0], y[9], u[0], v[4]), (10, 19, 105, 209));
        assert_eq!(upright(&standing, (360, 640)).data, standing.data, "it stands already");
    }

    #[test]
    fn yuyv_and_nv12_become_the_same_picture() {
        let (width, height) = (16u32, 8u32);
        let mut yuyv = Vec::new();
        for row in 0..height {
            for pair in 0..width / 2 {
                yuyv.extend_from_slice(&[(row * 16 + pair) as u8, 90, (row * 16 + pair + 1) as u8, 170]);
            }
        }
        let a = to_i420(RawFormat::Yuyv, width, height, &yuyv, Duration::ZERO).unwrap();
        let mut nv12: Vec<u8> = yuyv.chunks(2).map(|pair| pair[0]).collect();
        for _ in 0..width * height / 4 {
            nv12.extend_from_slice(&[90, 170]);
        }
        let b = to_i420(RawFormat::Nv12, width, height, &nv12, Duration::ZERO).unwrap();
        assert_eq!(a.planes(), b.planes());
    }

    #[test]
    fn bytes_that_are_too_few_make_no_picture() {
        for format in
            [RawFormat::Yuyv, RawFormat::Nv12, RawFormat::Mjpeg, RawFormat::Gray, RawFormat::Rgb, RawFormat::Bgr]
        {
            assert!(to_i420(format, 64, 64, &[0xff; 100], Duration::ZERO).is_none(), "{format:?}");
            assert!(to_i420(format, 0, 64, &[], Duration::ZERO).is_none(), "{format:?}");
        }
    }

    #[test]
    fn scaling_keeps_flat_colours() {
        let mut picture = black(641, 361, Duration::ZERO);
        let mut data = picture.data.to_vec();
        data[..641 * 361].fill(200);
        picture.data = data.into();
        let small = scale(&picture, 320, 180);
        assert!(small.is_whole());
        assert!(small.planes().0.iter().all(|y| *y == 200));
        assert!(small.planes().2.iter().all(|v| *v == 128));
    }
}
