//! A computer for one person: a display with a window manager, a session bus with a keyring, a sound server with a voice in
//! its microphone.

use crate::PATIENCE;
use crate::picture::{Area, Picture};
use anyhow::{Result, ensure};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;
use tests_bench::host::Host;
use tests_bench::process::{Process, wait_until};

/// What the tests start, and where it comes from.
const TOOLS: [(&str, &str); 10] = [
    ("tauri-driver", "cargo install tauri-driver --version 2.1.0"),
    ("WebKitWebDriver", "package webkit2gtk-driver"),
    ("Xvfb", "package xvfb"),
    ("openbox", "package openbox"),
    ("wmctrl", "package wmctrl"),
    ("xprop", "package x11-utils"),
    ("import", "package imagemagick"),
    ("pulseaudio", "package pulseaudio"),
    ("dbus-daemon", "package dbus"),
    ("gnome-keyring-daemon", "package gnome-keyring"),
];

/// Whether the computer has a keyring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ring {
    /// The Secret Service answers.
    Present,
    /// No session bus at all.
    Absent,
}

/// A running computer; ends when dropped.
pub struct Machine {
    // Ended in this order.
    _keyring: Option<Process>,
    _bus: Option<Process>,
    _manager: Process,
    host: Host,
    bus: Option<String>,
    user: String,
    home: TempDir,
}

impl Machine {
    /// Sets it up for somebody whose voice has this pitch (hertz).
    pub fn start(user: &str, pitch: f32, ring: Ring) -> Result<Self> {
        check_tools()?;
        let home = tempfile::tempdir()?;
        let host = Host::start(home.path(), pitch)?;
        let plain = |program: &str| {
            let mut command = Command::new(program);
            host.carry(&mut command);
            command
        };
        let manager = start_manager(home.path(), plain("openbox"))?;
        ensure!(wait_until(PATIENCE, || succeeds(plain("wmctrl").arg("-m"))), "openbox does not manage the display");
        let (bus, keyring, address) = match ring {
            Ring::Absent => (None, None, None),
            Ring::Present => {
                let (bus, address) = start_bus(home.path(), plain("dbus-daemon"))?;
                let keyring = start_keyring(home.path(), plain, &address)?;
                (Some(bus), Some(keyring), Some(address))
            }
        };
        let user = user.to_owned();
        Ok(Self { _keyring: keyring, _bus: bus, _manager: manager, host, bus: address, user, home })
    }

    /// Whose it is.
    #[must_use]
    pub fn user(&self) -> &str {
        &self.user
    }

    /// Its files; the app's are under `data`, `config` and `cache`.
    #[must_use]
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// A program that will run on it.
    #[must_use]
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        self.host.carry(&mut command);
        if let Some(bus) = &self.bus {
            command.env("DBUS_SESSION_BUS_ADDRESS", bus);
        }
        for kind in ["DATA", "CONFIG", "CACHE"] {
            command.env(format!("XDG_{kind}_HOME"), self.home().join(kind.to_lowercase()));
        }
        command
    }

    /// Somebody speaks into the microphone, until the process is dropped.
    pub fn speak(&self) -> Result<Process> {
        self.host.speak()
    }

    /// Whether any program listens to the microphone: asked of the sound server, not of the app.
    #[must_use]
    pub fn is_listened_to(&self) -> bool {
        let mut command = self.command("pactl");
        command.arg("--server").arg(self.host.sound()).args(["list", "short", "source-outputs"]);
        let Ok(output) = command.output() else { return false };
        // Number, source, client: the sound server's own streams have no client.
        let of_a_client = |line: &str| line.split('\t').nth(2).is_some_and(|client| client != "-");
        String::from_utf8_lossy(&output.stdout).lines().any(of_a_client)
    }

    /// The loudest sample (of 32 768) that its speaker gets during this time.
    pub fn loudest(&self, time: Duration) -> Result<u16> {
        // It takes that time: the windows' tests share few threads.
        tokio::task::block_in_place(|| self.host.loudest(time))
    }

    /// Keeps what the display shows.
    pub fn photograph(&self, to: &Path) -> Result<()> {
        self.host.photograph(to)
    }

    /// A part of what the display shows.
    pub fn look_at(&self, area: Area) -> Result<Picture> {
        Picture::take(self.command("import"), area)
    }

    /// What the window manager holds of the one window: its property by name.
    #[must_use]
    pub fn property(&self, window: &str, name: &str) -> String {
        let output = self.command("xprop").args(["-name", window, name]).output();
        output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default()
    }

    /// Closes a window as a person does, by its frame.
    pub fn close(&self, window: &str) -> Result<()> {
        ensure!(succeeds(self.command("wmctrl").args(["-c", window])), "there is no window {window}");
        Ok(())
    }
}

/// Says what is missing before anything fails less clearly.
fn check_tools() -> Result<()> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let missing: Vec<String> = TOOLS
        .iter()
        .filter(|(tool, _)| !folders.iter().any(|folder| folder.join(tool).is_file()))
        .map(|(tool, source)| format!("{tool} ({source})"))
        .collect();
    ensure!(missing.is_empty(), "the window tests need {}; ./dev test installs all of it", missing.join(", "));
    Ok(())
}

fn succeeds(command: &mut Command) -> bool {
    command.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

/// A manager whose windows have no frames, so that the display shows the window and nothing else.
fn start_manager(home: &Path, mut openbox: Command) -> Result<Process> {
    const CONFIGURATION: &str = r#"<?xml version="1.0"?>
<openbox_config xmlns="http://openbox.org/3.4/rc">
  <theme><keepBorder>no</keepBorder></theme>
  <applications>
    <application class="*"><decor>no</decor><position force="yes"><x>0</x><y>0</y></position></application>
  </applications>
</openbox_config>
"#;
    let file = home.join("openbox.xml");
    std::fs::write(&file, CONFIGURATION)?;
    openbox.arg("--sm-disable").arg("--config-file").arg(file).stdout(Stdio::null()).stderr(Stdio::null());
    Process::start("openbox", &mut openbox)
}

/// A bus that starts nothing by itself.
fn start_bus(home: &Path, mut daemon: Command) -> Result<(Process, String)> {
    let socket = home.join("bus");
    let address = format!("unix:path={}", socket.display());
    let configuration = format!(
        r#"<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN" "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>session</type>
  <listen>{address}</listen>
  <policy context="default"><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/></policy>
</busconfig>
"#
    );
    let file = home.join("bus.xml");
    std::fs::write(&file, configuration)?;
    daemon.arg("--nofork").arg("--config-file").arg(file).stdout(Stdio::null()).stderr(Stdio::null());
    let bus = Process::start("dbus-daemon", &mut daemon)?;
    ensure!(wait_until(PATIENCE, || socket.exists()), "dbus-daemon did not start");
    Ok((bus, address))
}

/// The Secret Service, unlocked with a password of no worth.
fn start_keyring(home: &Path, plain: impl Fn(&str) -> Command, bus: &str) -> Result<Process> {
    let mut daemon = plain("gnome-keyring-daemon");
    daemon.args(["--foreground", "--components=secrets", "--unlock"]).env("DBUS_SESSION_BUS_ADDRESS", bus);
    daemon.env("XDG_DATA_HOME", home.join("data")).env("HOME", home);
    daemon.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut keyring = Process::start("gnome-keyring-daemon", &mut daemon)?;
    if let Some(mut input) = keyring.child().stdin.take() {
        input.write_all(b"tests")?;
    }
    let answers = || {
        let mut ask = plain("dbus-send");
        ask.env("DBUS_SESSION_BUS_ADDRESS", bus).args(["--session", "--print-reply", "--dest=org.freedesktop.secrets"]);
        ask.args(["/org/freedesktop/secrets", "org.freedesktop.DBus.Peer.Ping"]);
        succeeds(&mut ask)
    };
    ensure!(wait_until(PATIENCE, answers), "the keyring does not answer");
    Ok(keyring)
}
