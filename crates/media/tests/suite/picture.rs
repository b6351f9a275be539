//! Camera to encoder, packets, decoder, and back to a picture that can be read.

use crate::signal::Dice;
use media::picture::{
    CameraCapture, CameraConfig, CountingSink, Decoder, DecodingSink, Depacketizer, EncodedPicture, Encoder,
    EncoderConfig, Format, Packetizer, Pattern, timecode,
};
use media::{DeviceChoice, DeviceEvents, DeviceState, FrameSink, Picture, PictureId, Synthetic};
use std::sync::mpsc;
use std::time::{Duration, Instant};

fn encoder(bitrate: u32) -> Encoder {
    Encoder::new(EncoderConfig { bitrate, frame_rate: 24.0 }).unwrap()
}

fn at(n: u32) -> Duration {
    Duration::from_millis(u64::from(n) * 1000 / 24)
}

#[test]
fn the_timecode_is_read_back_after_coding_at_a_low_rate() {
    for (width, height, bitrate) in [(640, 360, 600_000), (640, 360, 150_000), (1280, 720, 800_000), (320, 180, 60_000)]
    {
        let pattern = Pattern::new(width, height, "alice");
        let (mut encoder, mut decoder) = (encoder(bitrate), Decoder::new().unwrap());
        let (mut bytes, mut right, mut skipped) = (0, 0, 0);
        let (mut encoding, mut decoding) = (Duration::ZERO, Duration::ZERO);
        for n in 0..96 {
            let code = 1_700_000_000u32.wrapping_add(n * 41);
            let picture = pattern.draw(at(n), code);
            let begun = Instant::now();
            let unit = encoder.encode(&picture).unwrap();
            encoding += begun.elapsed();
            let Some(unit) = unit else {
                skipped += 1;
                continue;
            };
            assert_eq!(unit.is_keyframe, n == 0);
            bytes += unit.data.len();
            let begun = Instant::now();
            let decoded = decoder.decode(&unit).unwrap().unwrap();
            decoding += begun.elapsed();
            right += u32::from(timecode::read(&decoded) == Some(code));
        }
        println!(
            "{width}x{height} at {bitrate} bit/s: encode {:.2} ms, decode {:.2} ms a picture, {} kbit/s, {right} read, {skipped} skipped of 96",
            encoding.as_secs_f64() * 1000.0 / 96.0,
            decoding.as_secs_f64() * 1000.0 / 96.0,
            bytes * 8 / 4 / 1000
        );
        assert!(right + skipped >= 94 && skipped < 30, "{width}x{height} at {bitrate}: {right} {skipped}");
    }
}

#[test]
fn the_rate_follows_up_and_down() {
    let pattern = Pattern::new(640, 360, "noise");
    let mut dice = Dice::new(1);
    let mut encoder = encoder(600_000);
    let mut second = |encoder: &mut Encoder, seconds: u32| {
        let mut bytes = 0;
        for n in 0..24 * seconds {
            let mut picture = pattern.draw(at(n), n);
            // Something that costs bits: a third of the picture is noise.
            let mut data = picture.data.to_vec();
            for luma in data[640 * 240..640 * 360].iter_mut() {
                *luma = dice.next() as u8;
            }
            picture.data = data.into();
            if let Some(unit) = encoder.encode(&picture).unwrap()
                && n >= 24 * (seconds - 1)
            {
                bytes += unit.data.len();
            }
        }
        bytes * 8
    };
    let middle = second(&mut encoder, 3);
    encoder.set_bitrate(2_500_000);
    let high = second(&mut encoder, 3);
    encoder.set_bitrate(600_000);
    let low = second(&mut encoder, 3);
    println!("bits in a second: {middle} at 600k, {high} at 2500k, {low} at 600k again");
    assert!(high > middle * 2 && high > low * 2, "{middle} {high} {low}");
}

#[test]
fn a_keyframe_comes_on_request_with_its_parameter_sets() {
    let pattern = Pattern::new(640, 360, "key");
    let mut encoder = encoder(600_000);
    for n in 0..10 {
        if n == 6 {
            encoder.force_keyframe();
        }
        let unit = encoder.encode(&pattern.draw(at(n), n)).unwrap().expect("a key picture is never skipped");
        assert_eq!(unit.is_keyframe, n == 0 || n == 6, "{n}");
        if unit.is_keyframe {
            Decoder::new().unwrap().decode(&unit).unwrap().expect("decodes alone");
        }
    }
}

#[test]
fn a_decoder_never_shows_a_picture_built_on_something_lost() {
    let pattern = Pattern::new(640, 360, "loss");
    let (mut encoder, mut decoder) = (encoder(600_000), Decoder::new().unwrap());
    let (packetizer, mut depacketizer) = (Packetizer::default(), Depacketizer::default());
    let mut dice = Dice::new(11);
    let (mut sequence, mut shown, mut asked) = (0u16, 0, 0);
    for n in 0..480 {
        let Some(unit) = encoder.encode(&pattern.draw(at(n), n)).unwrap() else { continue };
        for packet in packetizer.packetize(&unit.data) {
            sequence = sequence.wrapping_add(1);
            if dice.percent(2) {
                continue;
            }
            for unit in depacketizer.push(sequence, n * 3750, packet.marker, &packet.payload).unwrap() {
                let picture = decoder.decode(&unit).expect("all that is handed out decodes").unwrap();
                let code = timecode::read(&picture).expect("and is whole");
                assert!(code <= n);
                shown += 1;
            }
        }
        if depacketizer.wants_keyframe() {
            asked += 1;
            encoder.force_keyframe();
        }
    }
    println!("2 % loss: {shown} of 480 shown, {asked} keyframes asked for, {:?}", depacketizer.stats());
    assert!(shown > 200 && asked > 3, "{shown} {asked}");
}

#[test]
fn a_camera_runs_at_its_pace_and_closes_when_dropped() {
    let (sender, pictures) = mpsc::channel::<EncodedPicture>();
    let (preview, previews) = mpsc::channel();
    let config = CameraConfig {
        device: DeviceChoice::Synthetic(Synthetic::Pattern("alice".into())),
        sending: false,
        ..CameraConfig::default()
    };
    let camera =
        CameraCapture::start(config, Box::new(move |p| drop(sender.send(p))), Box::new(move |p| drop(preview.send(p))))
            .unwrap();
    let shown = previews.recv_timeout(Duration::from_secs(5)).unwrap();
    assert_eq!((shown.width, shown.height), (640, 360));
    assert!(pictures.recv_timeout(Duration::from_millis(300)).is_err(), "nothing leaves before it may");
    camera.set_sending(true);
    let mut decoder = Decoder::new().unwrap();
    let begun = Instant::now();
    let mut worst = 0;
    for n in 0..48 {
        let picture = pictures.recv_timeout(Duration::from_secs(5)).unwrap();
        assert_eq!(picture.unit.is_keyframe, n == 0, "{n}");
        let decoded = decoder.decode(&picture.unit).unwrap().unwrap();
        worst = worst.max(timecode::now().wrapping_sub(timecode::read(&decoded).unwrap()));
    }
    let took = begun.elapsed();
    println!("48 pictures in {took:?}, at worst {worst} ms from drawing to decoded, {:?}", camera.stats());
    assert!(took > Duration::from_millis(1_700), "not faster than 24 a second: {took:?}");
    drop(camera);
    pictures.try_iter().for_each(drop);
    assert!(pictures.recv().is_err(), "the callback is gone with the camera");
}

#[test]
fn a_camera_whose_encoder_has_time_to_spare_sends_larger_pictures() {
    let small = Format { width: 160, height: 90, fps: 24, bitrate: 100_000 };
    let large = Format { width: 320, height: 180, ..small };
    let (sender, pictures) = mpsc::channel::<EncodedPicture>();
    let config = CameraConfig {
        device: DeviceChoice::Synthetic(Synthetic::Pattern("alice".into())),
        formats: vec![small, large],
        ..CameraConfig::default()
    };
    let _camera = CameraCapture::start(config, Box::new(move |p| drop(sender.send(p))), Box::new(drop)).unwrap();
    let mut decoder = Decoder::new().unwrap();
    let (mut before, begun) = (None, Instant::now());
    loop {
        let picture = pictures.recv_timeout(Duration::from_secs(5)).unwrap();
        let decoded = decoder.decode(&picture.unit).unwrap();
        let size = (picture.width, picture.height);
        assert_eq!(picture.unit.is_keyframe, before != Some(size), "a size begins with a keyframe, and only that");
        if size == (320, 180) {
            assert_eq!(decoded.map(|p| (p.width, p.height)), Some(size));
            return;
        }
        assert_eq!(size, (160, 90));
        before = Some(size);
        assert!(begun.elapsed() < Duration::from_secs(60), "it never rises");
    }
}

#[test]
fn another_size_keeps_the_bit_rate_that_was_set() {
    let mut encoder = encoder(2_000_000);
    encoder.set_bitrate(150_000);
    let mut bytes = 0;
    for n in 0..96u32 {
        let pattern = Pattern::new(if n < 24 { 320 } else { 640 }, if n < 24 { 180 } else { 360 }, "size");
        let unit = encoder.encode(&pattern.draw(at(n), n)).unwrap();
        // The first second after the change is the rate control's own.
        bytes += unit.filter(|_| n >= 48).map_or(0, |unit| unit.data.len());
    }
    let rate = bytes * 8 / 2;
    assert!(rate < 400_000, "{rate} bits a second");
}

#[test]
fn without_a_camera_a_pattern_stands_in_and_says_so() {
    if !media::devices::list().cameras.is_empty() {
        return;
    }
    let (sender, events) = mpsc::channel();
    let events_in = DeviceEvents::new(move |event| drop(sender.send(event)));
    let config = CameraConfig { label: "bob".into(), events: events_in, ..CameraConfig::default() };
    let (picture, pictures) = mpsc::channel();
    let _camera = CameraCapture::start(config, Box::new(move |p| drop(picture.send(p))), Box::new(drop)).unwrap();
    let event = events.recv_timeout(Duration::from_secs(5)).unwrap();
    assert!(matches!(event.state, DeviceState::Open { is_stand_in: true, .. }), "{event:?}");
    pictures.recv_timeout(Duration::from_secs(5)).unwrap();
}

#[test]
fn a_camera_that_fails_leaves_the_last_picture_and_then_black() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("short.y4m");
    let mut bytes = b"YUV4MPEG2 W64 H48 F10:1 C420\n".to_vec();
    for _ in 0..3 {
        bytes.extend_from_slice(b"FRAME\n");
        bytes.extend_from_slice(&vec![200; 64 * 48 * 3 / 2]);
    }
    // Then garbage: the file is a camera that breaks.
    bytes.extend_from_slice(b"BROKEN\n");
    std::fs::write(&path, bytes).unwrap();
    let (sender, events) = mpsc::channel();
    let config = CameraConfig {
        device: DeviceChoice::File(path.clone()),
        events: DeviceEvents::new(move |event| drop(sender.send(event))),
        ..CameraConfig::default()
    };
    let (picture, pictures) = mpsc::channel();
    let _camera = CameraCapture::start(config, Box::new(move |p| drop(picture.send(p))), Box::new(drop)).unwrap();
    let deadline = Instant::now() + Duration::from_secs(10);
    let lost = loop {
        let event = events.recv_timeout(Duration::from_secs(5)).unwrap();
        if let DeviceState::Lost { code, .. } = event.state {
            break code;
        }
        assert!(Instant::now() < deadline);
    };
    assert_eq!(lost, -1301);
    std::fs::remove_file(&path).unwrap();
    let mut decoder = Decoder::new().unwrap();
    loop {
        let picture = pictures.recv_timeout(Duration::from_secs(5)).expect("pictures go on").unit;
        if let Some(decoded) = decoder.decode(&picture).unwrap()
            && decoded.data[..64 * 48].iter().all(|luma| *luma < 40)
        {
            break;
        }
        assert!(Instant::now() < deadline + Duration::from_secs(10), "never black");
    }
}

#[test]
fn sinks_count_and_decode() {
    let pattern = Pattern::new(320, 180, "sink");
    let mut encoder = encoder(300_000);
    let (sender, decoded) = mpsc::channel();
    let counting = CountingSink::default();
    let decoding = DecodingSink::start(move |id, picture| {
        let _ = sender.send((id, timecode::read(&picture)));
    })
    .unwrap();
    let id = PictureId(7);
    let units: Vec<_> = (0..5).map(|n| encoder.encode(&pattern.draw(at(n), n)).unwrap().unwrap()).collect();
    // Begins in the middle: a keyframe is asked for, once.
    decoding.show(id, Picture::AccessUnit(units[1].clone()));
    let deadline = Instant::now() + Duration::from_secs(5);
    while !decoding.wants_keyframe(id) {
        assert!(Instant::now() < deadline);
        std::thread::yield_now();
    }
    assert!(!decoding.wants_keyframe(id));
    for unit in units {
        counting.show(id, Picture::AccessUnit(unit.clone()));
        decoding.show(id, Picture::AccessUnit(unit));
    }
    for n in 0..5 {
        assert_eq!(decoded.recv_timeout(Duration::from_secs(5)).unwrap(), (id, Some(n)));
    }
    counting.end(id);
    let counts = counting.counts()[&id];
    assert_eq!((counts.units, counts.keyframes, counts.has_ended), (5, 1, true));
}
