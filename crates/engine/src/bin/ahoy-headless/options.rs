//! Flags and scenarios.

use anyhow::{Context, Result, bail};
use clap::{Parser, ValueEnum};
use engine::Times;
use engine::script::{camera_device, microphone, speaker};
use media::DeviceChoice;
use serde::Deserialize;
use std::net::SocketAddr;
use std::path::PathBuf;

/// The vocabularies of `docs/events.md`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Words {
    /// Of the newer page.
    #[default]
    New,
    /// Of the older page.
    Old,
}

/// A client without a window.
#[derive(Clone, Debug, Parser)]
#[command(name = "ahoy-headless", version)]
pub(crate) struct Options {
    /// Server to sign in at, http://HOST:PORT
    #[arg(long, env = "AHOY_SERVER")]
    pub(crate) server: Option<url::Url>,
    /// Who signs in
    #[arg(long)]
    pub(crate) user: Option<String>,
    /// The UserSig (see `ahoy-server ticket`)
    #[arg(long, env = "AHOY_TICKET", hide_env_values = true)]
    pub(crate) ticket: Option<String>,
    /// Microphone: FILE.wav, tone:HERTZ, system, device:ID or none [default: tone:440]
    #[arg(long, value_parser = microphone)]
    pub(crate) mic: Option<DeviceChoice>,
    /// Speaker: FILE.wav, system, device:ID or none [default: none]
    #[arg(long, value_parser = speaker)]
    pub(crate) speaker: Option<DeviceChoice>,
    /// Camera: FILE.y4m, pattern:LABEL, system, device:ID or none [default: pattern:USER]
    #[arg(long, value_parser = camera_device)]
    pub(crate) camera: Option<DeviceChoice>,
    /// Write what is heard to this WAV file (instead of --speaker)
    #[arg(long)]
    pub(crate) dump_audio: Option<PathBuf>,
    /// Write the last picture that was seen to this Y4M file at the end
    #[arg(long)]
    pub(crate) dump_picture: Option<PathBuf>,
    /// Name of this installation, for one that comes back after a crash [default: another one at every start]
    #[arg(long)]
    pub(crate) device: Option<String>,
    /// Print events in the words of the newer page or of the older one (docs/events.md) [default: new]
    #[arg(long, value_enum)]
    pub(crate) vocabulary: Option<Words>,
    /// Local address for media, may be given more than once (port 0: any)
    #[arg(long = "media")]
    pub(crate) media: Vec<SocketAddr>,
    /// When a broken connection is said, mended and given up, in seconds: lost=8,first-try=3,try-every=24,give-up=1800 …
    #[arg(long)]
    pub(crate) times: Option<Times>,
    /// Do not report volumes (every 300 ms) and network quality (every 2 s)
    #[arg(long)]
    pub(crate) no_meters: bool,
    /// TOML file with the same settings and `commands = ["…", …]`
    #[arg(long)]
    pub(crate) scenario: Option<PathBuf>,
    /// Commands of a scenario
    #[arg(skip)]
    pub(crate) commands: Option<Vec<String>>,
}

/// Reads a device.
type Read = fn(&str) -> Result<DeviceChoice, String>;

/// A scenario; each setting stands for the flag of its name, and flags go first.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Scenario {
    server: Option<String>,
    user: Option<String>,
    ticket: Option<String>,
    mic: Option<String>,
    speaker: Option<String>,
    camera: Option<String>,
    dump_audio: Option<PathBuf>,
    dump_picture: Option<PathBuf>,
    device: Option<String>,
    vocabulary: Option<Words>,
    #[serde(default)]
    media: Vec<SocketAddr>,
    times: Option<String>,
    #[serde(default)]
    no_meters: bool,
    commands: Vec<String>,
}

impl Options {
    /// Reads the scenario, where there is one.
    pub(crate) fn with_scenario(self) -> Result<Self> {
        let Some(path) = self.scenario.clone() else { return Ok(self) };
        let text = std::fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
        self.joined_with(&text).with_context(|| format!("in {}", path.display()))
    }

    fn joined_with(mut self, text: &str) -> Result<Self> {
        let scenario: Scenario = toml::from_str(text)?;
        let wrong = anyhow::Error::msg::<String>;
        let read = |given: Option<DeviceChoice>, text: Option<String>, read: Read| match (given, text) {
            (None, Some(text)) => read(&text).map(Some),
            (given, _) => Ok(given),
        };
        if let (None, Some(server)) = (&self.server, scenario.server) {
            self.server = Some(server.parse().map_err(|_| wrong(format!("{server} is no address")))?);
        }
        self.user = self.user.or(scenario.user);
        self.ticket = self.ticket.or(scenario.ticket);
        self.dump_audio = self.dump_audio.or(scenario.dump_audio);
        self.dump_picture = self.dump_picture.or(scenario.dump_picture);
        self.device = self.device.or(scenario.device);
        self.vocabulary = self.vocabulary.or(scenario.vocabulary);
        if self.media.is_empty() {
            self.media = scenario.media;
        }
        if let (None, Some(times)) = (self.times, scenario.times) {
            self.times = Some(times.parse().map_err(|error| wrong(format!("times: {error}")))?);
        }
        self.no_meters |= scenario.no_meters;
        self.mic = read(self.mic, scenario.mic, microphone).map_err(wrong)?;
        self.speaker = read(self.speaker, scenario.speaker, speaker).map_err(wrong)?;
        self.camera = read(self.camera, scenario.camera, camera_device).map_err(wrong)?;
        self.commands = Some(scenario.commands);
        Ok(self)
    }

    /// Server, user and ticket, where somebody signs in.
    pub(crate) fn sign_in(&self) -> Result<Option<(url::Url, protocol::UserId, String)>> {
        match (&self.server, &self.user, &self.ticket) {
            (Some(server), Some(user), Some(ticket)) => {
                Ok(Some((server.clone(), protocol::UserId::new(user.clone())?, ticket.clone())))
            }
            (_, None, None) => Ok(None),
            _ => bail!("signing in takes --server, --user and --ticket"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_setting_of_a_scenario_is_refused_by_name() {
        let error = toml::from_str::<Scenario>("usr = \"bob\"\ncommands = []").unwrap_err();
        assert!(error.to_string().contains("usr"), "{error}");
    }

    fn with(flags: &[&str], scenario: &str) -> Options {
        let options = Options::try_parse_from(["ahoy-headless"].iter().chain(flags)).expect("flags");
        options.joined_with(scenario).expect("a scenario")
    }

    #[test]
    fn a_scenario_has_a_setting_for_each_flag_and_flags_go_first() {
        let scenario = r#"
            server = "http://127.0.0.1:7880"
            user = "bob"
            ticket = "eJw"
            mic = "none"
            speaker = "none"
            camera = "none"
            dump-audio = "heard.wav"
            dump-picture = "seen.y4m"
            device = "desk"
            vocabulary = "old"
            media = ["127.0.0.1:0"]
            times = "lost=4"
            no-meters = true
            commands = ["sleep 1"]
        "#;
        let options = with(&[], scenario);
        assert_eq!((options.device.as_deref(), options.vocabulary), (Some("desk"), Some(Words::Old)));
        assert_eq!((options.media.len(), options.no_meters), (1, true));
        assert_eq!(options.times.expect("times").lost, std::time::Duration::from_secs(4));
        let options = with(&["--vocabulary", "new", "--times", "lost=5", "--media", "[::1]:9"], scenario);
        assert_eq!(options.vocabulary, Some(Words::New));
        assert_eq!(options.times.expect("times").lost, std::time::Duration::from_secs(5));
        assert_eq!(options.media.first().map(ToString::to_string).as_deref(), Some("[::1]:9"));
        // Every flag but the scenario itself and what ends the program at once.
        use clap::CommandFactory as _;
        let command = Options::command();
        let flags = command.get_arguments().filter_map(clap::Arg::get_long);
        let missing: Vec<_> =
            flags.filter(|flag| *flag != "scenario" && !scenario.contains(&format!("{flag} ="))).collect();
        assert!(missing.is_empty(), "{missing:?}");
    }
}
