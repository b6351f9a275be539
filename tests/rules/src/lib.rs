//! Reading the repository as text, for the rules under `tests/`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The repository's top folder.
#[must_use]
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the workspace is where it was compiled")
}

/// All files under a folder of the repository, by path from the top; empty where the folder is missing.
#[must_use]
pub fn files(folder: &str, extensions: &[&str]) -> Vec<(String, String)> {
    let mut found = Vec::new();
    walk(&root().join(folder), &mut found);
    let mut named: Vec<(String, String)> = found
        .into_iter()
        .filter(|path| path.extension().and_then(|e| e.to_str()).is_some_and(|e| extensions.contains(&e)))
        .map(|path| {
            let name = path.strip_prefix(root()).unwrap_or(&path).to_string_lossy().replace('\\', "/");
            (name, fs::read_to_string(&path).expect("a source file is readable UTF-8"))
        })
        .collect();
    named.sort();
    named
}

fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
    const NOT_OURS: [&str; 5] = ["node_modules", "target", "dist", ".git", "gen"];
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        let name = entry.file_name();
        if path.is_dir() && !NOT_OURS.iter().any(|n| name == *n) {
            walk(&path, found);
        } else if path.is_file() {
            found.push(path);
        }
    }
}

/// The part of a Rust file before its unit tests.
#[must_use]
pub fn without_tests(text: &str) -> &str {
    text.find("#[cfg(test)]").map_or(text, |at| &text[..at])
}

/// A line without its comment, roughly: good enough to look for names of functions.
#[must_use]
pub fn code(line: &str) -> &str {
    line.find("//").map_or(line, |at| &line[..at])
}

/// What `cargo metadata` says of the workspace's own packages.
#[must_use]
pub fn packages() -> Vec<serde_json::Value> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--format-version", "1", "--manifest-path"])
        .arg(root().join("Cargo.toml"))
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    let value: serde_json::Value = serde_json::from_slice(&output.stdout).expect("cargo metadata writes JSON");
    value["packages"].as_array().expect("a list of packages").clone()
}
