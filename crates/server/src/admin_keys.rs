//! The keys of administrators: SecretId and SecretKey as Tencent Cloud has them, from the configuration and from a file
//! that `ahoy-server admin-key` writes while the server runs.
//!
//! The file is read at each request, so that a revoked key is dead at once: it is small, and such requests are few.

use crate::private;
use anyhow::{Context as _, Result, bail};
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::{Path, PathBuf};

const FILE: &str = "admin-keys.toml";

/// Held while the file is changed.
const LOCK: &str = "admin-keys.lock";

/// A SecretId has as many characters at most.
const ID_LIMIT: usize = 64;

/// A configured SecretKey has as many characters at least.
pub const SECRET_LENGTH: usize = 8;

/// One key pair.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct AdminKey {
    /// Whose key: it is shown to people who were put out, and in the audit log.
    pub secret_id: String,
    /// Never printed after it was made.
    pub secret_key: String,
    /// Seconds since 1970; 0 for those of the configuration.
    #[serde(default)]
    pub created: u64,
}

impl std::fmt::Debug for AdminKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AdminKey").field("secret_id", &self.secret_id).finish_non_exhaustive()
    }
}

/// Whether a text can be a SecretId.
#[must_use]
pub fn is_secret_id(text: &str) -> bool {
    (1..=ID_LIMIT).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
}

#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Contents {
    #[serde(default)]
    key: Vec<AdminKey>,
}

/// All keys of one server.
#[derive(Clone, Debug)]
pub struct AdminKeys {
    configured: Vec<AdminKey>,
    data_dir: PathBuf,
}

impl AdminKeys {
    /// Those of the configuration, and those in the file of `data_dir`.
    #[must_use]
    pub fn new(configured: Vec<AdminKey>, data_dir: &Path) -> Self {
        Self { configured, data_dir: data_dir.to_owned() }
    }

    /// The key of this id. Reads the file; the configuration goes first.
    pub fn find(&self, secret_id: &str) -> Result<Option<AdminKey>> {
        if let Some(key) = self.configured.iter().find(|key| key.secret_id == secret_id) {
            return Ok(Some(key.clone()));
        }
        Ok(read(&self.data_dir)?.key.into_iter().find(|key| key.secret_id == secret_id))
    }

    /// The keys in the file.
    pub fn list(&self) -> Result<Vec<AdminKey>> {
        Ok(read(&self.data_dir)?.key)
    }

    /// Makes a key with a new secret and keeps it. A running server takes it at once.
    pub fn create(&self, secret_id: &str, now: u64) -> Result<AdminKey> {
        if !is_secret_id(secret_id) {
            bail!("a SecretId has 1 to {ID_LIMIT} characters of A-Z a-z 0-9 _ and -");
        }
        self.change(|contents| {
            let is_taken = |key: &AdminKey| key.secret_id == secret_id;
            if contents.key.iter().any(is_taken) || self.configured.iter().any(is_taken) {
                bail!("there is a key \"{secret_id}\" already");
            }
            let key = AdminKey { secret_id: secret_id.to_owned(), secret_key: private::random_hex(), created: now };
            contents.key.push(key.clone());
            Ok(key)
        })
    }

    /// Drops a key of the file. A running server refuses it at once.
    pub fn revoke(&self, secret_id: &str) -> Result<()> {
        self.change(|contents| {
            let before = contents.key.len();
            contents.key.retain(|key| key.secret_id != secret_id);
            if contents.key.len() < before {
                return Ok(());
            }
            if self.configured.iter().any(|key| key.secret_id == secret_id) {
                bail!("the key \"{secret_id}\" is in the configuration: take it out there and start the server again");
            }
            bail!("there is no key \"{secret_id}\"")
        })
    }

    fn change<T>(&self, change: impl FnOnce(&mut Contents) -> Result<T>) -> Result<T> {
        private::make_dir(&self.data_dir)?;
        let lock = self.data_dir.join(LOCK);
        let file = fs::OpenOptions::new().write(true).create(true).truncate(false).open(&lock);
        let file = file.with_context(|| format!("{} cannot be opened", lock.display()))?;
        // Released with the file. Two that write at the same moment would lose one of the keys.
        file.lock().with_context(|| format!("{} cannot be locked", lock.display()))?;
        let mut contents = read(&self.data_dir)?;
        let done = change(&mut contents)?;
        private::replace(&self.data_dir.join(FILE), toml::to_string(&contents)?.as_bytes())?;
        Ok(done)
    }
}

fn read(data_dir: &Path) -> Result<Contents> {
    let path = data_dir.join(FILE);
    match fs::read_to_string(&path) {
        // The parser's message may quote the file, and with it a secret.
        Ok(text) => toml::from_str(&text).map_err(|_| anyhow::anyhow!("{} is damaged", path.display())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Contents::default()),
        Err(error) => Err(error).with_context(|| format!("{} cannot be read", path.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_made_found_and_revoked_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let server = AdminKeys::new(Vec::new(), dir.path());
        let tool = server.clone();
        assert_eq!(server.find("support").unwrap(), None);
        let made = tool.create("support", 7).unwrap();
        assert_eq!(made.secret_key.len(), 64);
        assert_eq!(server.find("support").unwrap(), Some(made.clone()));
        let other = tool.create("night-shift", 8).unwrap();
        assert_ne!(made.secret_key, other.secret_key);
        assert_eq!(server.list().unwrap(), [made, other.clone()]);
        assert!(tool.create("support", 9).unwrap_err().to_string().contains("already"));
        tool.revoke("support").unwrap();
        assert_eq!(server.find("support").unwrap(), None);
        assert_eq!(server.list().unwrap(), [other]);
        assert!(tool.revoke("support").unwrap_err().to_string().contains("no key"));
    }

    #[test]
    fn configured_keys_are_found_and_cannot_be_revoked_or_taken() {
        let dir = tempfile::tempdir().unwrap();
        let key = AdminKey { secret_id: "ops".into(), secret_key: "secretexample".into(), created: 0 };
        let keys = AdminKeys::new(vec![key.clone()], dir.path());
        assert_eq!(keys.find("ops").unwrap(), Some(key));
        assert!(keys.create("ops", 1).is_err());
        assert!(keys.revoke("ops").unwrap_err().to_string().contains("configuration"));
    }

    #[test]
    fn ids_that_cannot_be_one_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let keys = AdminKeys::new(Vec::new(), dir.path());
        for id in ["", "a b", "a:b", "a/b", "ü", &"x".repeat(65)] {
            assert!(keys.create(id, 1).is_err(), "{id}");
        }
        assert!(!dir.path().join(FILE).exists());
    }

    #[test]
    fn a_damaged_file_is_told_without_its_secrets_and_kept() {
        let dir = tempfile::tempdir().unwrap();
        let text = "[[key]]\nsecret-id = \"a\"\nsecret-key = \"hush-hush-hush\" x\n";
        fs::write(dir.path().join(FILE), text).unwrap();
        let keys = AdminKeys::new(Vec::new(), dir.path());
        for error in [keys.find("a").unwrap_err(), keys.create("b", 1).unwrap_err()] {
            let told = format!("{error:?}");
            assert!(told.contains("damaged") && !told.contains("hush"), "{told}");
        }
        assert_eq!(fs::read_to_string(dir.path().join(FILE)).unwrap(), text);
    }

    #[test]
    fn keys_made_at_the_same_moment_are_all_kept() {
        let dir = tempfile::tempdir().unwrap();
        let keys = AdminKeys::new(Vec::new(), dir.path());
        std::thread::scope(|scope| {
            for number in 0..8 {
                let keys = &keys;
                scope.spawn(move || keys.create(&format!("k{number}"), 1).unwrap());
            }
        });
        assert_eq!(keys.list().unwrap().len(), 8);
        assert!(!format!("{keys:?} {:?}", keys.list()).contains(&keys.list().unwrap()[0].secret_key));
    }

    #[cfg(unix)]
    #[test]
    fn the_file_is_for_its_owner_s_eyes() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        AdminKeys::new(Vec::new(), dir.path()).create("a", 1).unwrap();
        let mode = fs::metadata(dir.path().join(FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
