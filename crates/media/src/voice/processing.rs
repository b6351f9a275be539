//! Echo cancellation, noise suppression and gain control on the captured voice.

use super::{BLOCK, SAMPLE_RATE};
use sonora::config::{
    AdaptiveDigital, EchoCanceller, GainController2, HighPassFilter, MaxProcessingRate, NoiseSuppression,
    NoiseSuppressionLevel, Pipeline,
};
use sonora::{AudioProcessing, Config, StreamConfig};

/// What is done to the captured voice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Processing {
    /// Removes what the loudspeaker plays.
    pub echo_cancellation: bool,
    /// Removes steady noise.
    pub noise_suppression: bool,
    /// Brings speech to a common loudness.
    pub gain_control: bool,
}

impl Processing {
    /// Everything on: a real microphone.
    pub const FULL: Processing = Processing { echo_cancellation: true, noise_suppression: true, gain_control: true };
    /// Everything off: files, tones and measurements keep their samples.
    pub const OFF: Processing = Processing { echo_cancellation: false, noise_suppression: false, gain_control: false };
}

impl Default for Processing {
    fn default() -> Self {
        Self::FULL
    }
}

/// The chain, in blocks of 10 ms at 48 kHz mono.
pub struct Processor {
    chain: Option<AudioProcessing>,
    echo: bool,
}

impl Processor {
    /// A fresh chain; with everything off it passes samples through untouched.
    pub fn new(processing: Processing) -> Self {
        let any = processing != Processing::OFF;
        Self { chain: any.then(|| chain(processing)), echo: processing.echo_cancellation }
    }

    /// Tells what the loudspeaker plays. Call before [`Self::process`] for each block played since.
    pub fn play(&mut self, block: &[f32; BLOCK]) {
        if !self.echo {
            return;
        }
        if let Some(chain) = &mut self.chain {
            let mut ignored = [0.0; BLOCK];
            if let Err(e) = chain.process_render_f32(&[block], &mut [&mut ignored]) {
                tracing::debug!("echo reference refused: {e}");
            }
        }
    }

    /// Processes one captured block in place.
    pub fn process(&mut self, block: &mut [f32; BLOCK]) {
        if let Some(chain) = &mut self.chain {
            let source = *block;
            if let Err(e) = chain.process_capture_f32(&[&source], &mut [block]) {
                tracing::debug!("voice processing refused: {e}");
                *block = source;
            }
        }
    }
}

fn chain(processing: Processing) -> AudioProcessing {
    let config = Config {
        pipeline: Pipeline {
            // The default of 32 kHz would cut everything above 16 kHz.
            maximum_internal_processing_rate: MaxProcessingRate::Rate48kHz,
            ..Pipeline::default()
        },
        high_pass_filter: Some(HighPassFilter::default()),
        echo_canceller: processing.echo_cancellation.then(EchoCanceller::default),
        noise_suppression: processing
            .noise_suppression
            .then(|| NoiseSuppression { level: NoiseSuppressionLevel::High, ..NoiseSuppression::default() }),
        gain_controller2: processing.gain_control.then(|| GainController2 {
            adaptive_digital: Some(AdaptiveDigital::default()),
            ..GainController2::default()
        }),
        ..Config::default()
    };
    let mono = StreamConfig::new(SAMPLE_RATE, 1);
    AudioProcessing::builder().config(config).capture_config(mono).render_config(mono).build()
}
