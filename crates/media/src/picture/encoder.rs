//! I420 to H.264 by OpenH264, constrained baseline.

use crate::frame::{AccessUnit, I420};
use openh264::OpenH264API;
use openh264::encoder::{
    BitRate, FrameRate, FrameType, IntraFramePeriod, Profile, QpRange, RateControlMode, SpsPpsStrategy, UsageType,
};
use openh264::formats::YUVSource;
use openh264_sys2::{
    ENCODER_OPTION, ENCODER_OPTION_BITRATE, ENCODER_OPTION_FRAME_RATE, ENCODER_OPTION_MAX_BITRATE, SBitrateInfo,
    SPATIAL_LAYER_0,
};

/// How to encode.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EncoderConfig {
    /// Bits per second aimed at.
    pub bitrate: u32,
    /// Pictures per second that will come.
    pub frame_rate: f32,
}

/// OpenH264 refused.
#[derive(Debug, thiserror::Error)]
#[error("H.264 encoder: {0}")]
pub struct EncodeError(String);

/// One layer's encoder. The size is that of the picture given; another size begins with a keyframe.
pub struct Encoder {
    inner: openh264::encoder::Encoder,
    config: EncoderConfig,
    /// Options fail before the first picture: they are set after it.
    has_begun: bool,
    applied: EncoderConfig,
    /// What it was made with: another size makes OpenH264 begin with these again.
    made_with: EncoderConfig,
    size: (u32, u32),
    wants_keyframe: bool,
}

impl Encoder {
    /// Ready for the first picture, which becomes a keyframe.
    ///
    /// # Errors
    /// OpenH264 cannot be loaded.
    pub fn new(config: EncoderConfig) -> Result<Self, EncodeError> {
        let settings = openh264::encoder::EncoderConfig::new()
            .bitrate(BitRate::from_bps(config.bitrate))
            .max_frame_rate(FrameRate::from_hz(config.frame_rate))
            .usage_type(UsageType::CameraVideoRealTime)
            .rate_control_mode(RateControlMode::Bitrate)
            .profile(Profile::Baseline)
            // A new id with each IDR would fill the receivers' tables.
            .sps_pps_strategy(SpsPpsStrategy::ConstantId)
            // Keyframes come on request only.
            .intra_frame_period(IntraFramePeriod::from_num_frames(0))
            .scene_change_detect(false)
            // Without it the rate is not held at all: the coarsest pictures can still be too large.
            .skip_frames(true)
            // The first IDR is not held by the rate control: keep it from being ten times too large.
            .qp(QpRange::new(12, 51))
            .num_threads(1);
        let inner = openh264::encoder::Encoder::with_api_config(OpenH264API::from_source(), settings)
            .map_err(|e| EncodeError(e.to_string()))?;
        Ok(Self {
            inner,
            config,
            has_begun: false,
            applied: config,
            made_with: config,
            size: (0, 0),
            wants_keyframe: false,
        })
    }

    /// From the next picture on.
    pub fn set_bitrate(&mut self, bits: u32) {
        self.config.bitrate = bits.clamp(30_000, 20_000_000);
    }

    /// From the next picture on. The rate control counts pictures, not time: it must be told how many come.
    pub fn set_frame_rate(&mut self, hertz: f32) {
        self.config.frame_rate = hertz.clamp(1.0, 60.0);
    }

    /// The next picture becomes a keyframe.
    pub fn force_keyframe(&mut self) {
        self.wants_keyframe = true;
    }

    /// Encodes one picture; sides must be even. `None` where the encoder skipped it.
    ///
    /// # Errors
    /// A size it cannot encode.
    pub fn encode(&mut self, picture: &I420) -> Result<Option<AccessUnit>, EncodeError> {
        if !picture.width.is_multiple_of(2) || !picture.height.is_multiple_of(2) || !picture.is_whole() {
            return Err(EncodeError(format!("{}x{} cannot be encoded", picture.width, picture.height)));
        }
        self.apply();
        if std::mem::take(&mut self.wants_keyframe) && self.has_begun {
            self.inner.force_intra_frame();
        }
        let coded = self.inner.encode(&Planes(picture)).map_err(|e| EncodeError(e.to_string()))?;
        let kind = coded.frame_type();
        let data = coded.to_vec();
        self.has_begun = true;
        if std::mem::replace(&mut self.size, (picture.width, picture.height)) != self.size {
            self.applied = self.made_with;
        }
        if matches!(kind, FrameType::Skip | FrameType::Invalid) || data.is_empty() {
            return Ok(None);
        }
        Ok(Some(AccessUnit { data: data.into(), is_keyframe: kind == FrameType::IDR, timestamp: picture.timestamp }))
    }

    fn apply(&mut self) {
        if !self.has_begun {
            return;
        }
        if self.config.frame_rate != self.applied.frame_rate {
            let mut rate = self.config.frame_rate;
            self.set_option(ENCODER_OPTION_FRAME_RATE, &mut rate);
        }
        if self.config.bitrate != self.applied.bitrate {
            // The ceiling first: a rate above it is refused. The layer by its number: "all" is not accepted for both.
            let mut info = SBitrateInfo { iLayer: SPATIAL_LAYER_0, iBitrate: self.config.bitrate as i32 };
            let order = if self.config.bitrate > self.applied.bitrate {
                [ENCODER_OPTION_MAX_BITRATE, ENCODER_OPTION_BITRATE]
            } else {
                [ENCODER_OPTION_BITRATE, ENCODER_OPTION_MAX_BITRATE]
            };
            for option in order {
                self.set_option(option, &mut info);
            }
        }
        self.applied = self.config;
    }

    fn set_option<T>(&mut self, option: ENCODER_OPTION, value: &mut T) {
        // SAFETY: each option is given the type that codec_app_def.h names for it, alive for the call; neither is one
        // that the wrapper relies on (size, format), and the encoder has been initialised by its first picture.
        let refused = unsafe { self.inner.raw_api().set_option(option, std::ptr::from_mut(value).cast()) };
        if refused != 0 {
            tracing::warn!(option, refused, "the H.264 encoder refused an option");
        }
    }
}

struct Planes<'a>(&'a I420);

impl YUVSource for Planes<'_> {
    fn dimensions(&self) -> (usize, usize) {
        (self.0.width as usize, self.0.height as usize)
    }

    fn strides(&self) -> (usize, usize, usize) {
        let half = self.0.chroma_width();
        (self.0.width as usize, half, half)
    }

    fn y(&self) -> &[u8] {
        self.0.planes().0
    }

    fn u(&self) -> &[u8] {
        self.0.planes().1
    }

    fn v(&self) -> &[u8] {
        self.0.planes().2
    }
}
