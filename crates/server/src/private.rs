//! Files that only their owner may read, and secrets to put into them.

use anyhow::{Context as _, Result};
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// 256 random bits in hexadecimal.
pub fn random_hex() -> String {
    let bytes: [u8; 32] = rand::random();
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Makes a directory of mode 0700 where there is none.
pub fn make_dir(path: &Path) -> Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path).with_context(|| format!("{} cannot be made", path.display()))
}

/// Writes a whole file of mode 0600 beside `path`, under a name of its own, and gives that name back.
pub fn write_beside(path: &Path, contents: &[u8]) -> Result<PathBuf> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let fresh = path.with_file_name(format!(".{name}.{}", random_hex()));
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&fresh).with_context(|| format!("{} cannot be written", fresh.display()))?;
    file.write_all(contents)?;
    file.sync_all()?;
    Ok(fresh)
}

/// Puts new contents in the place of a file, so that a reader sees either all of the old ones or all of the new ones.
pub fn replace(path: &Path, contents: &[u8]) -> Result<()> {
    let fresh = write_beside(path, contents)?;
    fs::rename(&fresh, path).with_context(|| format!("{} cannot be written", path.display()))
}
