//! What the call tests share: a server, people with engines, a network that can be cut, ears.

mod ears;
mod headless;
mod house;
mod person;
mod proxy;
pub mod steps;
mod told;
mod watcher;

pub use ears::{melody, strongest_tones};
pub use headless::Headless;
pub use house::House;
pub use person::{Person, Screen, name_of};
pub use proxy::Proxy;
pub use told::Names;
pub use watcher::capture_threads;

use std::time::Duration;

/// Whatever has not happened by then does not happen: generous, because machines that run tests are busy.
pub const PATIENCE: Duration = Duration::from_secs(30);
