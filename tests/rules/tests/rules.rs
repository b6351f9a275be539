//! The rules of the house, each as a test that names the offending lines.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use tests_rules::{code, files, packages, root, without_tests};

/// Crates that decide and touch nothing: time and chance are arguments.
const PURE: [&str; 3] = ["protocol", "call", "room"];

/// A file of one subject stays below this; past it, it is split.
const LINES_LIMIT: usize = 600;

type Edges = BTreeMap<String, BTreeSet<String>>;

fn allowed_edges() -> Edges {
    let text = fs::read_to_string(root().join(".ci/edges")).expect(".ci/edges exists");
    text.lines()
        .filter(|line| !line.starts_with('#') && !line.trim().is_empty())
        .map(|line| {
            let (name, targets) = line.split_once(':').expect("crate: crates");
            (name.to_owned(), targets.split_whitespace().map(str::to_owned).collect())
        })
        .collect()
}

#[test]
fn crates_depend_on_each_other_as_the_table_says() {
    let mut found = Edges::new();
    for package in packages() {
        let name = package["name"].as_str().expect("a name").to_owned();
        if name.starts_with("tests-") {
            continue;
        }
        let edges = found.entry(name).or_default();
        for dependency in package["dependencies"].as_array().expect("a list") {
            if dependency["path"].is_string() && dependency["kind"].is_null() {
                edges.insert(dependency["name"].as_str().expect("a name").to_owned());
            }
        }
    }
    assert_eq!(found, allowed_edges(), "left: the manifests, right: .ci/edges");
}

#[test]
fn pure_crates_touch_no_clock_thread_socket_file_or_chance() {
    const WORLD: [&str; 15] = [
        "Instant::now",
        "SystemTime::now",
        "std::thread",
        "std::net",
        "std::fs",
        "std::env",
        "std::process",
        "UdpSocket",
        "TcpStream",
        "tokio",
        "Mutex<",
        "RwLock<",
        "HashMap",
        "HashSet",
        "rand::",
    ];
    let mut offences = Vec::new();
    for name in PURE {
        let sources = files(&format!("crates/{name}/src"), &["rs"]);
        assert!(!sources.is_empty(), "crates/{name}/src has sources");
        let top = sources.iter().find(|(path, _)| path.ends_with("src/lib.rs")).expect("a lib.rs");
        assert!(top.1.contains("#![forbid(unsafe_code)]"), "{} forbids unsafe code", top.0);
        for (path, text) in &sources {
            if path.contains("/tests/") || path.ends_with("tests.rs") {
                continue;
            }
            for (number, line) in without_tests(text).lines().enumerate() {
                offences.extend(
                    WORLD.iter().filter(|w| code(line).contains(*w)).map(|w| format!("{path}:{}: {w}", number + 1)),
                );
            }
        }
    }
    assert!(offences.is_empty(), "{}", offences.join("\n"));
}

#[test]
fn pure_crates_need_only_pure_libraries() {
    const FINE: [&str; 13] = [
        "protocol",
        "serde",
        "serde_json",
        "thiserror",
        "tracing",
        "base64",
        "flate2",
        "hmac",
        "sha2",
        "subtle",
        "prost",
        "livekit-protocol",
        // Behind a feature: how the types read in TypeScript.
        "specta",
    ];
    for package in packages() {
        let name = package["name"].as_str().expect("a name");
        if !PURE.contains(&name) {
            continue;
        }
        for dependency in package["dependencies"].as_array().expect("a list") {
            let needed = dependency["name"].as_str().expect("a name");
            assert!(!dependency["kind"].is_null() || FINE.contains(&needed), "{name} needs {needed}");
        }
    }
}

#[test]
fn the_shell_knows_the_server_in_one_module() {
    let sources = files("src-tauri/src", &["rs"]);
    assert!(!sources.is_empty());
    let offences: Vec<&String> = sources
        .iter()
        .filter(|(path, _)| !path.contains("src/host"))
        .filter(|(_, text)| {
            text.lines().any(|line| code(line).contains("server::") && !code(line).contains("_server::"))
        })
        .map(|(path, _)| path)
        .collect();
    assert!(offences.is_empty(), "only the module host names the crate server: {offences:?}");
}

#[test]
fn files_stay_small() {
    let mut offences = Vec::new();
    for folder in ["crates", "src-tauri", "tests", "ui/src"] {
        for (path, text) in files(folder, &["rs", "ts", "svelte"]) {
            let lines = without_tests(&text).lines().count();
            if lines > LINES_LIMIT && !path.contains("/generated/") && !path.ends_with("bindings.ts") {
                offences.push(format!("{path}: {lines} lines"));
            }
        }
    }
    assert!(offences.is_empty(), "split by subject:\n{}", offences.join("\n"));
}

#[test]
fn links_between_documents_lead_somewhere() {
    let mut pages = files("docs", &["md"]);
    for name in ["README.md", "CHANGELOG.md"] {
        pages.push((name.to_owned(), fs::read_to_string(root().join(name)).expect("the page exists")));
    }
    let mut offences = Vec::new();
    for (page, text) in &pages {
        let folder = root().join(page).parent().expect("a page lies in a folder").to_owned();
        for piece in text.split("](").skip(1) {
            let target = piece.split([')', '#', ' ']).next().unwrap_or_default();
            if !target.is_empty() && !target.contains("://") && !folder.join(target).exists() {
                offences.push(format!("{page} -> {target}"));
            }
        }
    }
    assert!(offences.is_empty(), "{}", offences.join("\n"));
}
