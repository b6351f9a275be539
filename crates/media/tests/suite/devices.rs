//! A machine as it is, with or without devices.

use media::devices::{Watcher, list};
use media::voice::{Capture, CaptureConfig, Playout, PlayoutConfig};
use std::sync::mpsc;
use std::time::Duration;

#[test]
fn any_machine_answers_and_the_watcher_tells_the_first_list() {
    let now = list();
    let (sender, lists) = mpsc::channel();
    let watcher = Watcher::start(move |list| drop(sender.send(list))).unwrap();
    let first = lists.recv_timeout(Duration::from_secs(10)).unwrap();
    assert_eq!(first.cameras.len(), now.cameras.len());
    drop(watcher);
    lists.try_iter().for_each(drop);
    assert!(lists.recv().is_err(), "the thread is gone");
}

#[test]
fn voice_flows_whether_or_not_the_machine_has_devices() {
    let (sender, frames) = mpsc::channel();
    let playout = Playout::start(PlayoutConfig::default()).unwrap();
    let on_frame = move |frame| drop(sender.send(frame));
    let capture = Capture::start(CaptureConfig::default(), Some(playout.reference()), Box::new(on_frame)).unwrap();
    for _ in 0..10 {
        frames.recv_timeout(Duration::from_secs(5)).unwrap();
    }
    drop(capture);
    drop(playout);
}
