//! tauri-driver with the WebKitWebDriver that it starts, and whatever app that one starts: a process group of its own.

use crate::{Machine, PATIENCE, build_folder};
use anyhow::{Context, Result, bail, ensure};
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Stdio};
use std::time::{Duration, Instant};

/// Runs the driver until nobody holds the other end of standard input, then kills the whole group: also where the test is
/// killed itself and can clear nothing away.
const LEADER: &str = "tauri-driver \"$@\" & read -r _; kill -KILL 0";
/// Between the choice of two free ports and their use somebody else may take one.
const ATTEMPTS: u32 = 3;
/// A driver that has lost its port never answers; one that has it answers in far less.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(15);

/// A running driver; everything that it started ends with it.
pub struct Driver {
    leader: Child,
    input: Option<ChildStdin>,
    address: String,
}

impl Driver {
    /// Starts it on a machine, which its app will run on too.
    pub async fn start(machine: &Machine, environment: &[(&str, String)], log: &Path) -> Result<Self> {
        for _ in 0..ATTEMPTS {
            let driver = Self::try_start(machine, environment, log)?;
            if driver.answers().await {
                return Ok(driver);
            }
        }
        bail!("tauri-driver does not answer; see {}", log.display())
    }

    fn try_start(machine: &Machine, environment: &[(&str, String)], log: &Path) -> Result<Self> {
        // Both are held until both are known: else the second could be the first again.
        let free = [TcpListener::bind("127.0.0.1:0")?, TcpListener::bind("127.0.0.1:0")?];
        let [port, native] = [free[0].local_addr()?.port(), free[1].local_addr()?.port()];
        drop(free);
        let log = std::fs::OpenOptions::new().create(true).append(true).open(log)?;
        let mut command = machine.command("sh");
        command.args(["-c", LEADER, "driver", "--port", &port.to_string(), "--native-port", &native.to_string()]);
        command.envs(environment.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::piped()).stdout(log.try_clone()?).stderr(log).process_group(0);
        let mut leader = command.spawn().context("starting tauri-driver")?;
        let input = leader.stdin.take();
        Ok(Self { leader, input, address: format!("http://127.0.0.1:{port}") })
    }

    async fn answers(&self) -> bool {
        let client = reqwest::Client::new();
        let until = Instant::now() + ANSWER_TIMEOUT;
        while Instant::now() < until {
            let status = client.get(format!("{}/status", self.address)).timeout(ANSWER_TIMEOUT).send().await;
            if status.is_ok_and(|answer| answer.status().is_success()) {
                return true;
            }
            tokio::time::sleep(crate::LOOK_INTERVAL).await;
        }
        false
    }

    /// Where it takes WebDriver's commands.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The process of the app that it started, while that runs.
    pub fn app(&self) -> Option<u32> {
        let app = app().ok()?;
        let processes = std::fs::read_dir("/proc").ok()?;
        processes.flatten().find_map(|process| {
            let pid = process.file_name().to_str()?.parse().ok()?;
            let is_app = std::fs::read_link(process.path().join("exe")).is_ok_and(|exe| exe == app);
            (is_app && group(&process.path()) == Some(self.leader.id())).then_some(pid)
        })
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        drop(self.input.take());
        // Its end is the group's end; it fails only where it was waited for before.
        let _ = self.leader.wait();
    }
}

/// The process group of a process by its folder under /proc.
fn group(process: &Path) -> Option<u32> {
    let stat = std::fs::read_to_string(process.join("stat")).ok()?;
    // Behind the name, which may hold anything: state, parent, group.
    stat.rsplit(')').next()?.split_whitespace().nth(2)?.parse().ok()
}

/// The app to test.
pub fn app() -> Result<PathBuf> {
    let built = std::env::var_os("AHOY_APP").map_or_else(|| build_folder().join("ahoy"), PathBuf::from);
    ensure!(
        built.is_file(),
        "the window tests need the app at {}: build it with `cargo build -p ahoy`, or name it by AHOY_APP",
        built.display()
    );
    built.canonicalize().context("the app has a path")
}

/// Waits until a process is gone.
pub async fn wait_for_end(pid: u32) -> Result<Duration> {
    let began = Instant::now();
    while Path::new("/proc").join(pid.to_string()).join("exe").exists() {
        ensure!(began.elapsed() < PATIENCE, "the app still runs after {PATIENCE:?}");
        tokio::time::sleep(crate::LOOK_INTERVAL).await;
    }
    Ok(began.elapsed())
}
