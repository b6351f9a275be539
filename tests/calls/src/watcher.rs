//! Looking at a process from outside: does it hold a capture device?

use anyhow::Result;

/// Names of the threads of this process that capture: every kind of microphone and camera, also files and made-up ones,
/// lives on a thread of its own with one of these names.
pub fn capture_threads() -> Result<Vec<String>> {
    let mut found = Vec::new();
    for thread in std::fs::read_dir("/proc/self/task")? {
        // A thread that ends while it is looked at is not there.
        let Ok(name) = std::fs::read_to_string(thread?.path().join("comm")) else { continue };
        let name = name.trim();
        if matches!(name, "voice-capture" | "camera" | "encoder") {
            found.push(name.to_owned());
        }
    }
    found.sort();
    Ok(found)
}
