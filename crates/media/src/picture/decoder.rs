//! H.264 to I420 by OpenH264.

use crate::frame::{AccessUnit, I420};
use openh264::OpenH264API;
use openh264::decoder::{DecoderConfig, Flush};
use openh264::formats::YUVSource;

/// The access unit could not be decoded: ask for a keyframe, nothing before it will work.
#[derive(Debug, thiserror::Error)]
#[error("H.264 decoder: {0}")]
pub struct DecodeError(String);

/// One track's decoder. It wants complete access units in order, as [`super::Depacketizer`] gives them.
pub struct Decoder {
    inner: openh264::decoder::Decoder,
}

impl Decoder {
    /// Waits for its first keyframe.
    ///
    /// # Errors
    /// OpenH264 cannot be loaded.
    pub fn new() -> Result<Self, DecodeError> {
        let settings = DecoderConfig::new().flush_after_decode(Flush::NoFlush);
        let inner = openh264::decoder::Decoder::with_api_config(OpenH264API::from_source(), settings)
            .map_err(|e| DecodeError(e.to_string()))?;
        Ok(Self { inner })
    }

    /// `None` where nothing came out of it (parameter sets alone).
    ///
    /// # Errors
    /// Damaged, or it refers to something missing.
    pub fn decode(&mut self, unit: &AccessUnit) -> Result<Option<I420>, DecodeError> {
        let decoded = self.inner.decode(&unit.data).map_err(|e| DecodeError(e.to_string()))?;
        let Some(picture) = decoded else { return Ok(None) };
        let (width, height) = picture.dimensions();
        let (half_width, half_height) = (width.div_ceil(2), height.div_ceil(2));
        let strides = picture.strides();
        let mut data = Vec::with_capacity(width * height + 2 * half_width * half_height);
        let planes = [
            (picture.y(), strides.0, width, height),
            (picture.u(), strides.1, half_width, half_height),
            (picture.v(), strides.2, half_width, half_height),
        ];
        for (plane, stride, width, height) in planes {
            for row in 0..height {
                let row = plane.get(row * stride..row * stride + width);
                data.extend_from_slice(row.ok_or_else(|| DecodeError("a plane is too short".into()))?);
            }
        }
        Ok(Some(I420 { width: width as u32, height: height as u32, data: data.into(), timestamp: unit.timestamp }))
    }
}
