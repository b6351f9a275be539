//! The audit log: one JSON line for every act of an administrator, whichever way it came.
//!
//! A file of its own, `audit.jsonl` in the data directory, opened anew for each line: it may be moved away or shortened
//! while the server runs. It names people, because that is what it is for; it holds no secret.

pub mod room_service;

use anyhow::{Context as _, Result};
use protocol::UnixMillis;
use serde::{Deserialize, Serialize};
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

const FILE: &str = "audit.jsonl";

/// Result of an act that was carried out.
pub const OK: &str = "ok";

/// One act.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// When it was asked.
    pub at: UnixMillis,
    /// As in the answer.
    pub request_id: String,
    /// The key that signed it: SecretId, or LiveKit API key.
    pub by: String,
    /// Which API.
    pub api: Plane,
    /// By its documented name.
    pub act: String,
    /// Name on the wire; absent where the request could not be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub room: Option<String>,
    /// Whom it was about.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub users: Vec<String>,
    /// What else was asked, where the act alone does not say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// [`OK`], or the code of the refusal.
    pub result: String,
}

/// The ways in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Plane {
    /// Tencent Cloud API 3.0.
    Tc3,
    /// LiveKit's RoomService.
    Twirp,
    /// `ahoy-server` on this machine.
    Local,
}

impl Plane {
    fn name(self) -> &'static str {
        match self {
            Self::Tc3 => "tc3",
            Self::Twirp => "twirp",
            Self::Local => "local",
        }
    }
}

impl std::fmt::Display for Entry {
    /// As people read it: `2026-11-20 18:21:14 support RemoveUser n:5 alice,bob: ok (tc3, 6a1f…)`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} {}", crate::utc::date_time(self.at.seconds()), self.by, self.act)?;
        let users = (!self.users.is_empty()).then(|| self.users.join(","));
        for part in [&self.room, &users, &self.detail].into_iter().flatten() {
            // Names of rooms and people come from outside: nothing in them may move a terminal's cursor.
            write!(f, " {}", part.escape_debug())?;
        }
        write!(f, ": {} ({}, {})", self.result, self.api.name(), self.request_id)
    }
}

/// The log of one data directory.
#[derive(Clone, Debug)]
pub struct Audit {
    path: Arc<PathBuf>,
}

impl Audit {
    /// Makes sure that it can be written: a server that cannot write down what its administrators do does not start.
    pub fn open(data_dir: &Path) -> Result<Self> {
        crate::private::make_dir(data_dir)?;
        let audit = Self { path: Arc::new(data_dir.join(FILE)) };
        audit.append(b"")?;
        Ok(audit)
    }

    /// Writes one line. A full disk keeps nobody from removing somebody: it is told in the server's log.
    pub async fn write(&self, entry: Entry) {
        let audit = self.clone();
        let written = tokio::task::spawn_blocking(move || audit.write_now(&entry)).await;
        match written {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(%error, "an act is missing in the audit log"),
            Err(_) => tracing::error!("an act is missing in the audit log"),
        }
    }

    /// The same for programs without a runtime.
    pub fn write_now(&self, entry: &Entry) -> Result<()> {
        let mut line = serde_json::to_vec(entry)?;
        line.push(b'\n');
        self.append(&line)
    }

    /// In one write to the end of the file, so that lines of several writers do not mix.
    fn append(&self, line: &[u8]) -> Result<()> {
        let mut options = fs::OpenOptions::new();
        options.append(true).create(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let written = options.open(self.path.as_path()).and_then(|mut file| file.write_all(line));
        written.with_context(|| format!("{} cannot be written", self.path.display()))
    }
}

/// The last `count` lines of a data directory's log, oldest first, as they stand there.
pub fn last(data_dir: &Path, count: usize) -> Result<Vec<String>> {
    let path = data_dir.join(FILE);
    let file = match fs::File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error).with_context(|| format!("{} cannot be read", path.display())),
    };
    let mut lines = std::collections::VecDeque::new();
    for line in BufReader::new(file).split(b'\n') {
        let line = line.with_context(|| format!("{} cannot be read", path.display()))?;
        lines.push_back(String::from_utf8_lossy(&line).into_owned());
        if lines.len() > count {
            lines.pop_front();
        }
    }
    Ok(lines.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(act: &str) -> Entry {
        Entry {
            at: UnixMillis(1_795_198_874_123),
            request_id: "6a1f".into(),
            by: "support".into(),
            api: Plane::Tc3,
            act: act.into(),
            room: Some("n:5".into()),
            users: vec!["alice".into(), "b\u{1b}[2Job".into()],
            detail: None,
            result: OK.into(),
        }
    }

    #[tokio::test]
    async fn lines_are_added_and_the_last_ones_read() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(last(dir.path(), 5).unwrap(), [""; 0]);
        let audit = Audit::open(dir.path()).unwrap();
        for number in 0..4 {
            audit.write(entry(&format!("Act{number}"))).await;
        }
        fs::rename(dir.path().join(FILE), dir.path().join("kept")).unwrap();
        audit.write(entry("Act4")).await;
        audit.write(entry("Act5")).await;
        let lines = last(dir.path(), 1).unwrap();
        assert_eq!(serde_json::from_str::<Entry>(&lines[0]).unwrap(), entry("Act5"));
        assert_eq!(last(dir.path(), 100).unwrap().len(), 2);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = fs::metadata(dir.path().join(FILE)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
    }

    #[test]
    fn people_read_it_without_tricks() {
        let text = "2026-11-20 18:21:14 support RemoveUser n:5 alice,b\\u{1b}[2Job: ok (tc3, 6a1f)";
        assert_eq!(entry("RemoveUser").to_string(), text);
    }

    #[test]
    fn a_log_that_cannot_be_written_is_refused_at_the_start() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join(FILE)).unwrap();
        assert!(Audit::open(dir.path()).unwrap_err().to_string().contains(FILE));
    }
}
