//! What the window tests share: a computer for each person, and the app's window on it, driven as a person would.
//!
//! ```text
//! Scene ── House                the server, in the test's own process
//!   └──── Machine (a person)    display, window manager, session bus, keyring, sound
//!           └──── Window        the app under tauri-driver and WebKitWebDriver
//! ```
//!
//! All of it ends with its owner, also where a test panics or is killed.

mod driver;
mod machine;
mod page;
mod picture;
mod scene;
mod window;

pub use machine::{Machine, Ring};
pub use picture::{Area, Picture};
pub use scene::{Scene, step};
pub use window::{Start, Window};

use std::path::PathBuf;
use std::time::Duration;

/// Whatever has not happened by then does not happen: generous, because machines that run tests are busy.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks at something that is waited for.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);

/// The folder of the build in which the running test lies.
fn build_folder() -> PathBuf {
    let here = std::env::current_exe().expect("the running test has a path");
    // target/debug/deps/windows-…
    here.ancestors().nth(2).expect("tests lie two folders deep").to_owned()
}

/// Where pictures are kept for people to look at.
#[must_use]
pub fn gallery() -> PathBuf {
    let target = build_folder().parent().expect("the build lies in the target folder").join("dev/screenshots");
    std::fs::create_dir_all(&target).expect("the target folder can be written");
    target
}
