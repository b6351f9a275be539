//! The time line of a membership, as settled; scripts and administrators may set another.

use std::str::FromStr;
use std::time::Duration;

/// When what is said and tried. Each is counted from the loss unless it says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// A tile says "reconnecting" after so long without media (settled: 2 s).
    pub tile: Duration,
    /// Without a working path for so long, the window says "reconnecting" and nothing is sent (2 s). Shorter would
    /// flicker on each Wi-Fi roam, longer would leave people talking into nothing.
    pub link: Duration,
    /// `onConnectionLost` (8 s).
    pub lost: Duration,
    /// `onTryToReconnect`, counted from `onConnectionLost` (3 s).
    pub first_try: Duration,
    /// And then every so often (24 s).
    pub try_every: Duration,
    /// The end of all trying: -3301 (30 min).
    pub give_up: Duration,
    /// The server lets go of a silent member after this long (90 s): a call has gone on without us.
    pub member: Duration,
    /// A first attempt to enter that has not succeeded by then has failed (10 s); longer than the 5 s a server may take
    /// to answer the join, short enough that a person still waits for it.
    pub enter: Duration,
    /// Leaving ends after this long even where nobody acknowledged it (2 s).
    pub exit: Duration,
}

impl Default for Times {
    fn default() -> Self {
        Self {
            tile: Duration::from_secs(2),
            link: Duration::from_secs(2),
            lost: Duration::from_secs(8),
            first_try: Duration::from_secs(3),
            try_every: Duration::from_secs(24),
            give_up: Duration::from_secs(30 * 60),
            member: Duration::from_secs(90),
            enter: Duration::from_secs(10),
            exit: Duration::from_secs(2),
        }
    }
}

/// What is wrong with a text of times.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TimesError {
    /// Not NAME=SECONDS.
    #[error("'{0}' is not NAME=SECONDS")]
    Form(String),
    /// No time of that name.
    #[error("there is no time '{0}': tile, link, lost, first-try, try-every, give-up, member, enter, exit")]
    Name(String),
    /// Not from 0.1 to 86400 seconds.
    #[error("{0}: '{1}' is not a number of seconds from 0.1 to 86400")]
    Value(String, String),
}

impl FromStr for Times {
    type Err = TimesError;

    /// Reads `lost=8,try-every=24`, in **seconds**; what is not named keeps its settled value.
    fn from_str(text: &str) -> Result<Self, TimesError> {
        let mut times = Self::default();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let (name, value) = part.split_once('=').ok_or_else(|| TimesError::Form(part.to_owned()))?;
            let field = match name.trim() {
                "tile" => &mut times.tile,
                "link" => &mut times.link,
                "lost" => &mut times.lost,
                "first-try" => &mut times.first_try,
                "try-every" => &mut times.try_every,
                "give-up" => &mut times.give_up,
                "member" => &mut times.member,
                "enter" => &mut times.enter,
                "exit" => &mut times.exit,
                other => return Err(TimesError::Name(other.to_owned())),
            };
            let wrong = || TimesError::Value(name.trim().to_owned(), value.trim().to_owned());
            let seconds: f64 = value.trim().parse().map_err(|_| wrong())?;
            if !(0.1..=86_400.0).contains(&seconds) {
                return Err(wrong());
            }
            *field = Duration::from_secs_f64(seconds);
        }
        Ok(times)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn named_times_are_read_and_the_others_stay() {
        let times: Times = "lost=1.5, try-every=4".parse().unwrap();
        assert_eq!((times.lost, times.try_every), (Duration::from_millis(1500), Duration::from_secs(4)));
        assert_eq!(
            Times { lost: Times::default().lost, try_every: Times::default().try_every, ..times },
            Times::default()
        );
        assert_eq!("".parse(), Ok(Times::default()));
    }

    #[test]
    fn what_is_wrong_is_named() {
        assert_eq!("lost".parse::<Times>(), Err(TimesError::Form("lost".into())));
        assert!("lust=8".parse::<Times>().unwrap_err().to_string().contains("lust"));
        for value in ["", "0", "-3", "NaN", "1e9", "eight"] {
            assert!(matches!(format!("lost={value}").parse::<Times>(), Err(TimesError::Value(..))), "{value}");
        }
    }
}
