//! The desktop shell: the window, the typed bridge to the web view, the frame lane, the keyring, the embedded server.
//!
//! Intents go to the engine, its snapshots and events to the screen; no call logic lives here.

mod app;
mod commands;
mod graphics;
mod home;
mod host;
mod ipc;
mod lane;
mod logs;
mod memory;
mod options;
mod script;
mod send;
mod settings;
mod shell;
mod view;
mod window;

pub use app::run;
