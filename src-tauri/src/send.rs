//! Views, levels and events on their way to the web view.
//!
//! The bridge itself has no back-pressure: a web view that sleeps would let its queue grow. So one message of each kind is
//! under way at a time: a script sent behind it says when the web view has taken it. Meanwhile the latest view and the
//! latest levels wait, and of events the oldest go.

use crate::shell::{Shell, Views};
use crate::view::{EngineEvent, LevelsChanged, ViewChanged};
use engine::api::{Levels, Reported};
use protocol::UserId;
use protocol::vocabulary::Older;
use serde::Serialize;
use std::sync::Arc;
use std::time::Duration;
use tauri::WebviewWindow;
use tauri_specta::Event;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{Notify, broadcast, watch};

/// A page that is being reloaded never answers; after so long the next message goes all the same.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

/// Each new view.
pub async fn views(window: WebviewWindow, mut views: Views) {
    let mut road = Road::to(window);
    while let Some(view) = views.next().await {
        road.send(ViewChanged(view)).await;
    }
}

/// The fast lane.
pub async fn levels(window: WebviewWindow, mut levels: watch::Receiver<Levels>) {
    let mut road = Road::to(window);
    while levels.changed().await.is_ok() {
        let latest = LevelsChanged::from(levels.borrow_and_update().clone());
        road.send(latest).await;
    }
}

/// Every event of the engine, in the words of both pages.
pub async fn events(window: WebviewWindow, shell: Arc<Shell>, mut events: broadcast::Receiver<Reported>) {
    let mut road = Road::to(window);
    let mut older: Option<(UserId, Older)> = None;
    loop {
        match events.recv().await {
            Ok(reported) => {
                let user = shell.user();
                if older.as_ref().map(|(user, _)| user) != user.as_ref() {
                    older = user.map(|user| (user.clone(), Older::new(user)));
                }
                let told = older.as_mut().and_then(|(_, older)| older.tell(&reported.event));
                road.send(EngineEvent::new(reported, told.as_ref())).await;
            }
            Err(RecvError::Lagged(missed)) => tracing::warn!(missed, "events were lost on their way to the window"),
            Err(RecvError::Closed) => return,
        }
    }
}

/// The way to one web view for one kind of message.
struct Road {
    window: WebviewWindow,
    taken: Arc<Notify>,
}

impl Road {
    fn to(window: WebviewWindow) -> Self {
        Self { window, taken: Arc::default() }
    }

    /// Sends, and waits until the web view has taken it.
    async fn send(&mut self, message: impl Event + Serialize + Clone) {
        if let Err(error) = message.emit(&self.window) {
            return tracing::debug!(%error, "the web view is gone");
        }
        // A late answer to an earlier message must not count for this one.
        self.taken = Arc::default();
        let taken = self.taken.clone();
        if self.window.eval_with_callback("0", move |_| taken.notify_one()).is_ok() {
            // Without an answer in time the next message goes all the same.
            let _ = tokio::time::timeout(ANSWER_TIMEOUT, self.taken.notified()).await;
        }
    }
}
