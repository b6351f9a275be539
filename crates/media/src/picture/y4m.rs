//! Y4M files as cameras.

use super::PictureError;
use super::convert::SIDE_LIMIT;
use crate::frame::I420;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A Y4M file, read picture by picture and from the start again at its end.
pub struct Y4m {
    path: PathBuf,
    reader: BufReader<File>,
    first_frame_at: u64,
    width: u32,
    height: u32,
    frame_rate: f64,
    chroma: Chroma,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Chroma {
    C420,
    C422,
    C444,
    Mono,
}

impl Chroma {
    fn plane(self, width: u32, height: u32) -> (usize, usize) {
        let (width, height) = (width as usize, height as usize);
        match self {
            Self::C420 => (width.div_ceil(2), height.div_ceil(2)),
            Self::C422 => (width.div_ceil(2), height),
            Self::C444 => (width, height),
            Self::Mono => (0, 0),
        }
    }
}

impl Y4m {
    /// Opens it and reads its header.
    ///
    /// # Errors
    /// It cannot be read, is no Y4M, has no picture, or has more than 8 bits a sample.
    pub fn open(path: &Path) -> Result<Self, PictureError> {
        let failed = |reason: String| PictureError::File { path: path.to_path_buf(), reason };
        let file = File::open(path).map_err(|e| failed(e.to_string()))?;
        let mut reader = BufReader::with_capacity(1 << 20, file);
        let header = line(&mut reader).map_err(|e| failed(e.to_string()))?;
        let mut words = header.split_ascii_whitespace();
        if words.next() != Some("YUV4MPEG2") {
            return Err(failed("it is no Y4M file".into()));
        }
        let (mut width, mut height, mut frame_rate, mut chroma) = (0, 0, 25.0, Chroma::C420);
        for word in words {
            let (key, value) = word.split_at_checked(1).unwrap_or((word, ""));
            match key {
                "W" => width = value.parse().unwrap_or(0),
                "H" => height = value.parse().unwrap_or(0),
                "F" => frame_rate = rate(value).unwrap_or(25.0),
                "C" => {
                    chroma = match value {
                        "420" | "420jpeg" | "420mpeg2" | "420paldv" => Chroma::C420,
                        "422" => Chroma::C422,
                        "444" => Chroma::C444,
                        "mono" => Chroma::Mono,
                        other => return Err(failed(format!("its format {other} is not supported"))),
                    }
                }
                _ => {}
            }
        }
        if width == 0 || height == 0 || width > SIDE_LIMIT || height > SIDE_LIMIT {
            return Err(failed(format!("its size {width}x{height} is out of range")));
        }
        let first_frame_at = reader.stream_position().map_err(|e| failed(e.to_string()))?;
        let mut file = Self { path: path.to_path_buf(), reader, first_frame_at, width, height, frame_rate, chroma };
        file.next(Duration::ZERO)?;
        file.rewind()?;
        Ok(file)
    }

    /// Pixels.
    pub fn size(&self) -> (u32, u32) {
        (self.width, self.height)
    }

    /// Pictures per second.
    pub fn frame_rate(&self) -> f64 {
        self.frame_rate
    }

    /// The next picture, stamped with `timestamp`.
    ///
    /// # Errors
    /// The file changed or cannot be read any more.
    pub fn next(&mut self, timestamp: Duration) -> Result<I420, PictureError> {
        match self.frame(timestamp) {
            Ok(Some(picture)) => Ok(picture),
            Ok(None) => {
                self.rewind()?;
                let again = self.frame(timestamp).map_err(|e| self.failed(e))?;
                again.ok_or_else(|| self.failed("it holds no picture"))
            }
            Err(e) => Err(self.failed(e)),
        }
    }

    fn failed(&self, reason: impl ToString) -> PictureError {
        PictureError::File { path: self.path.clone(), reason: reason.to_string() }
    }

    fn rewind(&mut self) -> Result<(), PictureError> {
        let result = self.reader.seek(SeekFrom::Start(self.first_frame_at));
        result.map(drop).map_err(|e| self.failed(e))
    }

    /// `None` at the end, also in the middle of a last picture.
    fn frame(&mut self, timestamp: Duration) -> std::io::Result<Option<I420>> {
        let header = line(&mut self.reader)?;
        if header.is_empty() {
            return Ok(None);
        }
        if !header.starts_with("FRAME") {
            return Err(std::io::Error::other("a picture does not begin with FRAME"));
        }
        let luma = self.width as usize * self.height as usize;
        let (chroma_width, chroma_height) = self.chroma.plane(self.width, self.height);
        let mut raw = vec![0u8; luma + 2 * chroma_width * chroma_height];
        match self.reader.read_exact(&mut raw) {
            Err(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(None),
            other => other?,
        }
        let (width, height) = (self.width, self.height);
        if self.chroma == Chroma::C420 {
            return Ok(Some(I420 { width, height, data: raw.into(), timestamp }));
        }
        let mut data = Vec::with_capacity(I420::size(width, height));
        data.extend_from_slice(&raw[..luma]);
        let (out_width, out_height) = Chroma::C420.plane(width, height);
        for plane in 0..2 {
            if self.chroma == Chroma::Mono {
                data.resize(data.len() + out_width * out_height, 128);
                continue;
            }
            let plane = &raw[luma + plane * chroma_width * chroma_height..];
            let (step_x, step_y) = (chroma_width.div_ceil(out_width), chroma_height.div_ceil(out_height));
            for y in 0..out_height {
                for x in 0..out_width {
                    data.push(
                        plane[(y * step_y).min(chroma_height - 1) * chroma_width + (x * step_x).min(chroma_width - 1)],
                    );
                }
            }
        }
        Ok(Some(I420 { width, height, data: data.into(), timestamp }))
    }
}

/// Up to a line feed; at most 1024 bytes.
fn line(reader: &mut impl BufRead) -> std::io::Result<String> {
    let mut bytes = Vec::new();
    reader.take(1024).read_until(b'\n', &mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).trim_end().to_owned())
}

fn rate(value: &str) -> Option<f64> {
    let (over, under) = value.split_once(':')?;
    let rate = over.parse::<f64>().ok()? / under.parse::<f64>().ok()?;
    (0.1..=240.0).contains(&rate).then_some(rate)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(name: &str, bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        (dir, path)
    }

    #[test]
    fn pictures_come_in_order_and_repeat() {
        let mut bytes = b"YUV4MPEG2 W4 H2 F30:1 Ip C420jpeg\n".to_vec();
        for n in 0..3u8 {
            bytes.extend_from_slice(b"FRAME\n");
            bytes.extend_from_slice(&[n; 12]);
        }
        let (_dir, path) = write("a.y4m", &bytes);
        let mut file = Y4m::open(&path).unwrap();
        assert_eq!((file.size(), file.frame_rate()), ((4, 2), 30.0));
        let seen: Vec<u8> = (0..7).map(|_| file.next(Duration::ZERO).unwrap().data[0]).collect();
        assert_eq!(seen, [0, 1, 2, 0, 1, 2, 0]);
    }

    #[test]
    fn other_chroma_becomes_420() {
        let mut bytes = b"YUV4MPEG2 W4 H4 F25:1 C444\nFRAME\n".to_vec();
        bytes.extend_from_slice(&[50; 16]);
        bytes.extend_from_slice(&[60; 16]);
        bytes.extend_from_slice(&[70; 16]);
        let (_dir, path) = write("b.y4m", &bytes);
        let picture = Y4m::open(&path).unwrap().next(Duration::ZERO).unwrap();
        assert_eq!(picture.planes(), (&[50; 16][..], &[60; 4][..], &[70; 4][..]));
    }

    #[test]
    fn files_that_are_none_are_refused_with_their_name() {
        for bytes in [
            &b""[..],
            b"RIFF",
            b"YUV4MPEG2 W0 H0\n",
            b"YUV4MPEG2 W4 H2\n",
            b"YUV4MPEG2 W4 H2 C420p10\nFRAME\n",
            b"YUV4MPEG2 W99999 H9 C420\nFRAME\n",
        ] {
            let (_dir, path) = write("c.y4m", bytes);
            let text = Y4m::open(&path).err().unwrap().to_string();
            assert!(text.contains("c.y4m"), "{text}");
        }
    }
}
