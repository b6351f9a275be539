//! Where the app keeps its things: one set of directories per profile.

use anyhow::Context;
use protocol::DeviceId;
use std::path::{Path, PathBuf};

/// The directories of one profile.
#[derive(Clone, Debug)]
pub struct Home {
    /// Settings and the remembered sign-in.
    pub config: PathBuf,
    /// The device's id, the web view's data, the embedded server's store.
    pub data: PathBuf,
    /// Logs, where the platform expects them.
    pub logs: PathBuf,
}

impl Home {
    /// The platform's directories for this profile; nothing is created.
    ///
    /// # Errors
    /// When the user of the computer has no home directory.
    pub fn of_profile(profile: &str) -> anyhow::Result<Self> {
        let directories = directories::ProjectDirs::from("org", "", "Ahoy").context("no home directory")?;
        let data = directories.data_local_dir();
        Ok(Self {
            config: directories.config_dir().join(profile),
            data: data.join(profile),
            logs: log_directory(data).join(profile),
        })
    }

    /// The id of this installation, made at the first start.
    ///
    /// # Errors
    /// When it can be neither read nor written.
    pub fn device_id(&self) -> anyhow::Result<DeviceId> {
        let file = self.data.join("device-id");
        let kept = std::fs::read_to_string(&file).ok();
        if let Some(id) = kept.and_then(|text| DeviceId::new(text.trim()).ok()) {
            return Ok(id);
        }
        let id = DeviceId::new(format!("{:032x}", rand::random::<u128>()))?;
        std::fs::create_dir_all(&self.data)?;
        std::fs::write(&file, id.as_str()).with_context(|| format!("cannot write {}", file.display()))?;
        Ok(id)
    }
}

#[cfg(target_os = "macos")]
fn log_directory(data: &Path) -> PathBuf {
    let home = directories::UserDirs::new().map(|user| user.home_dir().join("Library/Logs/org.ahoy.desktop"));
    home.unwrap_or_else(|| data.join("logs"))
}

#[cfg(not(target_os = "macos"))]
fn log_directory(data: &Path) -> PathBuf {
    data.join("logs")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_keeps_its_id_and_a_damaged_one_is_replaced() {
        let directory = tempfile::tempdir().expect("directory");
        let path = directory.path().to_owned();
        let home = Home { config: path.clone(), data: path.join("data"), logs: path.clone() };
        let first = home.device_id().expect("made");
        assert_eq!(home.device_id().expect("read"), first);
        std::fs::write(home.data.join("device-id"), "no id!").expect("written");
        assert_ne!(home.device_id().expect("replaced"), first);
    }
}
