//! Processor time and memory of a process and all its children, from Linux's /proc; elsewhere nothing is known.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

/// What a family of processes has used.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Usage {
    /// Processor time since the start.
    pub processor: Duration,
    /// Proportional share of memory (PSS), or resident memory where that may not be read; **bytes**.
    pub memory: u64,
}

/// Linux reports processor time in hundredths of a second on every architecture (USER_HZ).
const TICK: Duration = Duration::from_millis(10);

/// The usage of `root` and all its descendants.
#[must_use]
pub fn of_family(root: u32) -> Usage {
    let mut parents = BTreeMap::new();
    let mut ticks = BTreeMap::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(id) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        let Ok(stat) = fs::read_to_string(entry.path().join("stat")) else { continue };
        if let Some((parent, used)) = parse_stat(&stat) {
            parents.insert(id, parent);
            ticks.insert(id, used);
        }
    }
    let mut usage = Usage::default();
    for id in ticks.keys().copied().filter(|id| descends(*id, root, &parents)) {
        usage.processor += TICK * ticks[&id];
        usage.memory += memory(id);
    }
    usage
}

fn descends(mut id: u32, root: u32, parents: &BTreeMap<u32, u32>) -> bool {
    while id != root {
        match parents.get(&id) {
            Some(parent) if *parent != 0 => id = *parent,
            _ => return false,
        }
    }
    true
}

/// Parent and used ticks (user and system) from /proc/PID/stat; the name in brackets may hold anything.
fn parse_stat(stat: &str) -> Option<(u32, u32)> {
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let parent = fields.get(1)?.parse().ok()?;
    let user: u32 = fields.get(11)?.parse().ok()?;
    let system: u32 = fields.get(12)?.parse().ok()?;
    Some((parent, user + system))
}

fn memory(id: u32) -> u64 {
    let kilobytes = |path: String, key: &str| -> Option<u64> {
        let text = fs::read_to_string(path).ok()?;
        text.lines().find_map(|line| line.strip_prefix(key)?.split_whitespace().next()?.parse().ok())
    };
    let pss = kilobytes(format!("/proc/{id}/smaps_rollup"), "Pss:");
    pss.or_else(|| kilobytes(format!("/proc/{id}/status"), "VmRSS:")).unwrap_or_default() * 1024
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stat_line_with_brackets_in_its_name_is_read() {
        let line = "42 (a (strange) name) S 7 42 42 0 -1 4194304 100 0 0 0 150 50 0 0 20 0 1 0 100 1000 10";
        assert_eq!(parse_stat(line), Some((7, 200)));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn the_running_process_uses_memory() {
        assert!(of_family(std::process::id()).memory > 100_000);
    }
}
