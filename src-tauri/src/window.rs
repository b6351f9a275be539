//! The one window: its title, its place before the others while somebody rings, and its proper end.

use crate::home::Home;
use crate::shell::{Shell, Views};
use crate::view::{QuietView, SessionView, StageView, View};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tauri::{AppHandle, Manager, UserAttentionType, WebviewUrl, WebviewWindow, WebviewWindowBuilder, WindowEvent};

/// The window's label, which `src-tauri/capabilities` grants its rights to.
pub const LABEL: &str = "main";
/// Logical pixels.
const SIZE: (f64, f64) = (1120.0, 760.0);
/// Below it the call bar would wrap.
const SMALLEST: (f64, f64) = (720.0, 540.0);

/// Opens it; the web view keeps its data in the profile's directory.
///
/// # Errors
/// When the platform cannot open a window.
pub fn open(app: &AppHandle, home: &Home) -> tauri::Result<WebviewWindow> {
    WebviewWindowBuilder::new(app, LABEL, WebviewUrl::default())
        .title("Ahoy")
        .inner_size(SIZE.0, SIZE.1)
        .min_inner_size(SMALLEST.0, SMALLEST.1)
        .data_directory(home.data.join("web"))
        .build()
}

/// Ends the call before the window goes: it disappears at once, the process when the others have been told.
pub fn close_properly(window: &WebviewWindow, shell: Arc<Shell>) {
    let closing = AtomicBool::new(false);
    let app = window.app_handle().clone();
    let hidden = window.clone();
    window.on_window_event(move |event| {
        if let WindowEvent::CloseRequested { api, .. } = event {
            api.prevent_close();
            if !closing.swap(true, Ordering::Relaxed) {
                // A window that cannot be hidden stays until the process ends.
                let _ = hidden.hide();
                quit(&app, shell.clone());
            }
        }
    });
}

/// Ends whatever is under way, then the process.
pub fn quit(app: &AppHandle, shell: Arc<Shell>) {
    let app = app.clone();
    tauri::async_runtime::spawn(async move {
        shell.close().await;
        app.exit(0);
    });
}

/// What the frame of the window makes of a view: only changes reach the platform.
pub struct Frame {
    window: WebviewWindow,
    title: String,
    rings: bool,
}

impl Frame {
    pub fn new(window: WebviewWindow) -> Self {
        Self { window, title: String::new(), rings: false }
    }

    /// Follows the views to the end.
    pub async fn follow(mut self, mut views: Views) {
        while let Some(view) = views.next().await {
            self.show(&view);
        }
    }

    fn show(&mut self, view: &View) {
        let title = title(&view.session);
        if title != self.title {
            report(self.window.set_title(&title));
            self.title = title;
        }
        let rings =
            matches!(view.stage, StageView::Incoming { answering: false, .. }) && view.quiet != QuietView::DoNotDisturb;
        if rings != self.rings {
            self.rings = rings;
            self.come_forward(rings);
        }
    }

    /// Before all other windows for as long as it rings; afterwards it may be covered again.
    fn come_forward(&self, rings: bool) {
        report(self.window.set_always_on_top(rings));
        if rings {
            report(self.window.unminimize());
            report(self.window.show());
            report(self.window.set_focus());
        }
        report(self.window.request_user_attention(rings.then_some(UserAttentionType::Critical)));
    }
}

fn title(session: &SessionView) -> String {
    match session {
        SessionView::SignedOut { .. } | SessionView::SigningIn { .. } => "Ahoy".to_owned(),
        SessionView::Online { user }
        | SessionView::Offline { user }
        | SessionView::KickedOffline { user }
        | SessionView::TicketExpired { user } => format!("{user} - Ahoy"),
    }
}

/// A window manager that does not do as asked is no reason to stop.
fn report(done: tauri::Result<()>) {
    if let Err(error) = done {
        tracing::debug!(%error, "the window manager refused");
    }
}
