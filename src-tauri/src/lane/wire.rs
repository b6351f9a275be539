//! The words of the frame lane, as `docs/frame-lane.md` has them.

use media::{Picture, PictureId};
use serde::Deserialize;

/// Bytes before a frame's payload.
pub const HEADER_LEN: usize = 24;

/// What the web view says.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase", deny_unknown_fields)]
pub enum FromScreen {
    /// First message.
    Hello { secret: String, mode: Mode },
    /// How remote pictures come from now on.
    Mode { mode: Mode },
    /// So many more frames of this picture may come.
    Credit { picture: u32, n: u32 },
    /// The decoder lost its way.
    Keyframe { picture: u32 },
}

/// How remote pictures reach the web view.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Mode {
    /// As H.264 access units.
    Webcodecs,
    /// Decoded here.
    Raw,
}

/// A frame's kind on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum FrameKind {
    /// Starts with an IDR.
    Key = 1,
    /// Any other access unit.
    Delta = 2,
    /// Raw.
    I420 = 3,
    /// The picture is over.
    End = 4,
}

/// One frame as a binary message.
pub fn frame(id: PictureId, picture: &Picture) -> Vec<u8> {
    match picture {
        Picture::AccessUnit(unit) => {
            let kind = if unit.is_keyframe { FrameKind::Key } else { FrameKind::Delta };
            message(id, kind, (0, 0), unit.timestamp, &unit.data)
        }
        Picture::Raw(raw) => message(id, FrameKind::I420, (raw.width, raw.height), raw.timestamp, &raw.data),
    }
}

/// The message that ends a picture.
pub fn end(id: PictureId) -> Vec<u8> {
    message(id, FrameKind::End, (0, 0), std::time::Duration::ZERO, &[])
}

fn message(
    id: PictureId,
    kind: FrameKind,
    (width, height): (u32, u32),
    timestamp: std::time::Duration,
    payload: &[u8],
) -> Vec<u8> {
    let micros = u64::try_from(timestamp.as_micros()).unwrap_or(u64::MAX);
    let mut bytes = Vec::with_capacity(HEADER_LEN + payload.len());
    bytes.extend(id.0.to_le_bytes());
    bytes.extend([kind as u8, 0, 0, 0]);
    bytes.extend(width.to_le_bytes());
    bytes.extend(height.to_le_bytes());
    bytes.extend(micros.to_le_bytes());
    bytes.extend(payload);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use media::{AccessUnit, I420};
    use std::time::Duration;

    #[test]
    fn a_keyframe_has_the_documented_header() {
        let unit = AccessUnit {
            data: vec![0, 0, 0, 1, 0x67].into(),
            is_keyframe: true,
            timestamp: Duration::from_micros(0x0102_0304_0506),
        };
        let bytes = frame(PictureId(0x0a0b_0c0d), &Picture::AccessUnit(unit));
        assert_eq!(bytes[..8], [0x0d, 0x0c, 0x0b, 0x0a, 1, 0, 0, 0]);
        assert_eq!(bytes[8..16], [0; 8], "an access unit says its own size");
        assert_eq!(bytes[16..24], [6, 5, 4, 3, 2, 1, 0, 0]);
        assert_eq!(bytes[24..], [0, 0, 0, 1, 0x67]);
    }

    #[test]
    fn a_raw_picture_says_its_size() {
        let raw = I420 { width: 640, height: 358, data: vec![7; 10].into(), timestamp: Duration::ZERO };
        let bytes = frame(PictureId(1), &Picture::Raw(raw));
        assert_eq!(bytes[4], 3);
        assert_eq!(bytes[8..16], [0x80, 2, 0, 0, 0x66, 1, 0, 0]);
        assert_eq!(bytes.len(), HEADER_LEN + 10);
    }

    #[test]
    fn messages_of_the_screen_are_read_and_others_refused() {
        let read = |text| serde_json::from_str::<FromScreen>(text);
        assert_eq!(
            read(r#"{"kind":"hello","secret":"s","mode":"raw"}"#).expect("hello"),
            FromScreen::Hello { secret: "s".into(), mode: Mode::Raw }
        );
        assert_eq!(
            read(r#"{"kind":"credit","picture":7,"n":1}"#).expect("credit"),
            FromScreen::Credit { picture: 7, n: 1 }
        );
        assert!(read(r#"{"kind":"credit","picture":-1,"n":1}"#).is_err());
        assert!(read(r#"{"kind":"shutdown"}"#).is_err());
    }
}
