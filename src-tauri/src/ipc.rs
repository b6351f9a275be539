//! The typed bridge to the web view: which commands and events there are, and the TypeScript made of them.

use crate::{commands, view};
use specta_typescript::Typescript;
use std::path::Path;
use tauri_specta::{Builder, ErrorHandlingMode, collect_commands, collect_events};

/// All commands and events. Numbers that Rust counts in 64 bits are times and durations far below 2^53.
pub fn builder() -> Builder<tauri::Wry> {
    Builder::new()
        .commands(collect_commands![
            commands::get_view,
            commands::sign_in,
            commands::sign_in_remembered,
            commands::forget_sign_in,
            commands::sign_out,
            commands::call,
            commands::accept,
            commands::reject,
            commands::hangup,
            commands::enter_room,
            commands::exit_room,
            commands::set_microphone,
            commands::set_camera,
            commands::select_microphone,
            commands::select_speaker,
            commands::select_camera,
            commands::dismiss_ended,
            commands::host_start,
            commands::host_invite,
            commands::video_lane,
        ])
        .events(collect_events![view::ViewChanged, view::LevelsChanged, view::EngineEvent])
        .error_handling(ErrorHandlingMode::Result)
        .dangerously_cast_bigints_to_number()
        .disable_serde_phases()
}

/// Writes `bindings.ts`.
///
/// # Errors
/// When a type has no TypeScript form or the file cannot be written.
pub fn export(path: &Path) -> Result<(), specta_typescript::Error> {
    let header = "// Generated from src-tauri/src/view.rs and commands.rs; refresh with `AHOY_WRITE_BINDINGS=1 cargo test -p tests-windows --test bindings`.\n/* eslint-disable */\n";
    builder().export(Typescript::default().header(header), path)?;
    Ok(())
}
