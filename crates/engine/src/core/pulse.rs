//! The clocks of the two lanes to the screen and of the documented reports.

use super::Core;
use crate::api::Levels;
use protocol::Event;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use tokio::time::{Interval, MissedTickBehavior, interval};

/// The fast lane.
const LEVEL_INTERVAL: Duration = Duration::from_millis(100);
/// `onUserVoiceVolumeChanged` (TRTC suggests 300 ms).
const VOLUME_INTERVAL: Duration = Duration::from_millis(300);
/// `onUserNetworkQualityChanged`.
const QUALITY_INTERVAL: Duration = Duration::from_secs(2);

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Beat {
    Levels,
    Volumes,
    Quality,
}

pub(super) struct Pulse {
    levels: Interval,
    volumes: Interval,
    quality: Interval,
}

impl Pulse {
    pub(super) fn new() -> Self {
        let every = |period| {
            let mut interval = interval(period);
            interval.set_missed_tick_behavior(MissedTickBehavior::Skip);
            interval
        };
        Self { levels: every(LEVEL_INTERVAL), volumes: every(VOLUME_INTERVAL), quality: every(QUALITY_INTERVAL) }
    }

    pub(super) async fn beat(&mut self) -> Beat {
        tokio::select! {
            _ = self.levels.tick() => Beat::Levels,
            _ = self.volumes.tick() => Beat::Volumes,
            _ = self.quality.tick() => Beat::Quality,
        }
    }
}

impl Core {
    pub(super) fn handle_beat(&mut self, beat: Beat) {
        if beat == Beat::Levels && self.membership.as_ref().is_none_or(|membership| !membership.has_begun()) {
            self.show_own_level();
        }
        let Some(membership) = self.membership.as_mut().filter(|membership| membership.has_begun()) else { return };
        let own_level = self.studio.level();
        let me = membership.me.clone();
        let volumes = || -> BTreeMap<_, _> {
            let others = membership.remotes.iter().filter(|(_, remote)| remote.present);
            let others = others.map(|(user, remote)| (user.clone(), remote.level()));
            others.chain([(me.clone(), own_level)]).collect()
        };
        match beat {
            Beat::Levels => {
                let mut figures: BTreeMap<_, _> =
                    membership.remotes.iter().map(|(user, remote)| (user.clone(), remote.figures)).collect();
                figures.insert(me.clone(), membership.local_figures);
                let levels = Levels { volume: volumes(), figures };
                self.levels.send_replace(levels);
            }
            Beat::Volumes => {
                let volume_map = volumes();
                self.report(Event::OnUserVoiceVolumeChanged { volume_map });
            }
            Beat::Quality => {
                membership.rate(Instant::now());
                let others = membership.remotes.iter().filter(|(_, remote)| remote.left.is_none());
                let others = others
                    .map(|(user, remote)| (user.clone(), remote.quality.unwrap_or(protocol::NetworkQuality::Unknown)));
                let network_quality_map = others.chain([(me, membership.local_quality)]).collect();
                self.report(Event::OnUserNetworkQualityChanged { network_quality_map });
            }
        }
    }

    /// While it rings the own microphone is open already: whether it hears anything is worth knowing before somebody
    /// answers.
    fn show_own_level(&self) {
        if let Some(me) = self.own_user().filter(|_| self.studio.microphone_is_open()) {
            let volume = BTreeMap::from([(me.clone(), self.studio.level())]);
            self.levels.send_replace(Levels { volume, figures: BTreeMap::new() });
        }
    }
}
