//! The typed bridge to the web view: which commands and events there are, and the test that the committed
//! TypeScript is the one made of them.

use crate::{commands, view};
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
            commands::invite_user,
            commands::join,
            commands::switch_to_voice,
            commands::set_self_info,
            commands::enable_multi_device,
            commands::delete_record_calls,
            commands::renew_ticket,
            commands::set_video_encoder_params,
            commands::set_video_render_params,
            commands::set_quiet,
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

#[cfg(test)]
mod tests {
    use super::*;
    use specta_typescript::Typescript;
    use std::path::Path;

    /// Set, the test writes the committed file instead of comparing it.
    const WRITE: &str = "AHOY_WRITE_BINDINGS";
    const HEADER: &str = "// Generated from src-tauri/src/view.rs and commands.rs; refresh with `AHOY_WRITE_BINDINGS=1 cargo test -p ahoy bindings`.\n/* eslint-disable */\n";

    #[test]
    fn the_committed_bindings_are_the_generated_ones() {
        let committed = Path::new(env!("CARGO_MANIFEST_DIR")).join("ui/src/bindings.ts");
        let directory = tempfile::tempdir().expect("directory");
        let fresh = directory.path().join("bindings.ts");
        builder().export(Typescript::default().header(HEADER), &fresh).expect("bindings");
        let fresh = std::fs::read_to_string(fresh).expect("bindings");
        if std::env::var_os(WRITE).is_some() {
            std::fs::write(&committed, &fresh).expect("written");
        }
        let committed = std::fs::read_to_string(committed).unwrap_or_default();
        assert!(committed == fresh, "ui/src/bindings.ts is stale: run {WRITE}=1 cargo test -p ahoy bindings");
    }
}
