//! The command line of `ahoy`: for scripts, for two windows side by side, and for `./dev run`.

use clap::Parser;
use engine::{Times, script};
use media::DeviceChoice;
use protocol::UserId;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Voice and video calls on your own server.
#[derive(Clone, Debug, Parser)]
#[command(name = "ahoy", version)]
pub struct Options {
    /// Sign in at this server at start (http://host:port); with --host it may be left out.
    #[arg(long, value_name = "URL")]
    pub server: Option<String>,
    /// Sign in as this user at start.
    #[arg(long, value_name = "ID", value_parser = user_id)]
    pub user: Option<UserId>,
    /// The user's ticket (UserSig); with --host one is minted.
    #[arg(long, value_name = "TICKET", env = "AHOY_TICKET", hide_env_values = true)]
    pub ticket: Option<String>,
    /// Own settings, sign-in and web data under this name, so that two windows can run side by side.
    #[arg(long, value_name = "NAME", default_value = "default", value_parser = profile_name)]
    pub profile: String,
    /// Start the embedded server, by default on a free port of loopback.
    #[arg(long, value_name = "ADDR:PORT", num_args = 0..=1, default_missing_value = "127.0.0.1:0")]
    pub host: Option<SocketAddr>,
    /// Microphone: FILE.wav, tone:HERTZ, system, device:ID or none.
    #[arg(long, value_name = "DEVICE", default_value = "system", value_parser = script::microphone)]
    pub mic: DeviceChoice,
    /// Speaker: FILE.wav (written), system, device:ID or none.
    #[arg(long, value_name = "DEVICE", default_value = "system", value_parser = script::speaker)]
    pub speaker: DeviceChoice,
    /// Camera: FILE.y4m, pattern:LABEL, system, device:ID or none.
    #[arg(long, value_name = "DEVICE", default_value = "system", value_parser = script::camera_device)]
    pub camera: DeviceChoice,
    /// Write each event of the engine as a line of JSON to this file (- for standard output).
    #[arg(long, value_name = "FILE")]
    pub events: Option<PathBuf>,
    /// When a broken connection is said, mended and given up, in seconds: lost=8,first-try=3,try-every=24,give-up=1800 …
    #[arg(long, value_name = "NAME=S,…", default_value = "")]
    pub times: Times,
    /// Read commands as lines from standard input, as ahoy-headless does (call bob video, accept, hangup, quit …).
    #[arg(long)]
    pub commands: bool,
}

fn user_id(text: &str) -> Result<UserId, protocol::IdError> {
    UserId::new(text)
}

/// A profile names a directory: letters, digits, `_` and `-` only.
fn profile_name(text: &str) -> Result<String, String> {
    let is_word = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
    if (1..=32).contains(&text.len()) && text.bytes().all(is_word) {
        return Ok(text.to_owned());
    }
    Err("a profile name has 1 to 32 characters of A-Z a-z 0-9 _ and -".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use media::Synthetic;

    fn parse(line: &str) -> Result<Options, clap::Error> {
        Options::try_parse_from(line.split(' '))
    }

    #[test]
    fn two_windows_of_a_demonstration_say_all_by_flags() {
        let options = parse("ahoy --server http://127.0.0.1:1 --user bob --ticket T --profile bob --mic tone:440 --camera pattern:bob --events -")
            .expect("options");
        assert_eq!(options.user.expect("user").as_str(), "bob");
        assert_eq!(options.mic, DeviceChoice::Synthetic(Synthetic::Tone(440)));
        assert_eq!(options.camera, DeviceChoice::Synthetic(Synthetic::Pattern("bob".into())));
        assert_eq!(options.speaker, DeviceChoice::System);
        assert_eq!(options.host, None);
    }

    #[test]
    fn host_alone_means_a_free_port_of_loopback() {
        assert_eq!(parse("ahoy --host").expect("options").host, Some(([127, 0, 0, 1], 0).into()));
        assert_eq!(parse("ahoy --host 0.0.0.0:7000").expect("options").host, Some(([0, 0, 0, 0], 7000).into()));
    }

    #[test]
    fn what_would_be_a_path_or_no_user_is_refused() {
        assert!(parse("ahoy --profile ../other").is_err());
        assert!(parse("ahoy --user a.b").is_err());
    }
}
