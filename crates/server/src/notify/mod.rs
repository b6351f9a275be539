//! What the outside is told of the rooms, over HTTP: LiveKit's webhooks and TRTC's event callbacks.
//!
//! ```text
//! Rooms::events ──▶ feed ──▶ webhook::Story  ── WebhookEvent ──▶ courier (one task for each receiver)
//!                     └────▶ callback::Story ── Event ─────────▶   Schedule decides, HTTP carries
//! ```
//!
//! The rooms wait for nobody here: they put their events into a broadcast channel, the feed only translates, and each
//! courier keeps its own bounded queue.

mod callback;
mod courier;
mod schedule;
mod webhook;

use crate::config::Config;
use crate::rooms::RoomEvent;
use anyhow::{Context as _, Result};
use callback::Callbacks;
use courier::{Form, Mailbox};
use protocol::UnixMillis;
use std::time::{Duration, SystemTime};
use tokio::sync::{broadcast, watch};
use tokio::task::JoinHandle;
use webhook::Webhooks;

/// How long a stopping server waits for what is still to be delivered.
const FAREWELL: Duration = Duration::from_secs(3);

/// One kind of notification and who receives it.
struct Subscription<F: Form> {
    story: F::Story,
    receivers: Vec<Mailbox<F>>,
}

/// Turns what happens in rooms into notifications of one kind.
trait Story {
    /// What is sent.
    type Event: Clone + Send + Sync + 'static;

    /// The notifications of one thing that happened, in order.
    fn read(&mut self, event: &RoomEvent, now: UnixMillis) -> Vec<Self::Event>;
}

impl<F: Form> Subscription<F> {
    /// `None` where nobody wants it.
    fn start(form: &F, story: F::Story, urls: &[url::Url], client: &reqwest::Client) -> Option<Self> {
        let receivers: Vec<_> =
            urls.iter().map(|url| courier::start(form.clone(), url.clone(), client.clone())).collect();
        (!receivers.is_empty()).then_some(Self { story, receivers })
    }

    fn tell(&mut self, event: &RoomEvent, now: UnixMillis) {
        for notification in self.story.read(event, now) {
            for receiver in &self.receivers {
                receiver.post(event.room(), notification.clone());
            }
        }
    }

    async fn finish(self) {
        for receiver in self.receivers {
            receiver.finish().await;
        }
    }
}

/// All that a configuration asks to be told, running.
#[derive(Debug)]
pub(crate) struct Notifier {
    stop: watch::Sender<bool>,
    feed: JoinHandle<()>,
}

impl Notifier {
    /// Starts telling; `None` where nobody wants to know anything. Has to be called inside a runtime.
    pub fn start(config: &Config, events: broadcast::Receiver<RoomEvent>) -> Result<Option<Self>> {
        if config.webhook_urls.is_empty() && config.callback_urls.is_empty() {
            return Ok(None);
        }
        let client = courier::client().context("no HTTP client for webhooks and callbacks")?;
        let webhooks = match signing_key(config)? {
            Some(key) => Subscription::start(
                &Webhooks::new(key),
                webhook::Story::new(rand::random()),
                &config.webhook_urls,
                &client,
            ),
            None => None,
        };
        let form = Callbacks::new(config.sdk_app_id, config.callback_key.clone());
        let callbacks = Subscription::start(&form, callback::Story::default(), &config.callback_urls, &client);
        let (stop, stopped) = watch::channel(false);
        let feed = tokio::spawn(feed(events, webhooks, callbacks, stopped));
        Ok(Some(Self { stop, feed }))
    }

    /// After the rooms have ended: delivers what it can within [`FAREWELL`].
    pub async fn finish(self) {
        self.stop.send_replace(true);
        if tokio::time::timeout(FAREWELL, self.feed).await.is_err() {
            tracing::warn!("the server stops before every webhook and callback was delivered");
        }
    }
}

/// Whether a configuration can be told of.
pub(crate) fn check(config: &Config) -> Result<()> {
    signing_key(config).map(|_| ())
}

/// The API key that signs webhooks, where there are any.
fn signing_key(config: &Config) -> Result<Option<crate::tokens::ApiKey>> {
    if config.webhook_urls.is_empty() {
        return Ok(None);
    }
    let name = config.webhook_api_key.as_ref().context("webhook-url: webhooks are signed, name a webhook-api-key")?;
    let key = config.api_keys.iter().find(|pair| pair.key == *name);
    let key = key.with_context(|| format!("webhook-api-key: there is no api-key of the name \"{name}\""))?;
    Ok(Some(key.clone()))
}

async fn feed(
    mut events: broadcast::Receiver<RoomEvent>,
    mut webhooks: Option<Subscription<Webhooks>>,
    mut callbacks: Option<Subscription<Callbacks>>,
    mut stopped: watch::Receiver<bool>,
) {
    let mut tell = |event: &RoomEvent| {
        let now = SystemTime::now().into();
        if let Some(webhooks) = &mut webhooks {
            webhooks.tell(event, now);
        }
        if let Some(callbacks) = &mut callbacks {
            callbacks.tell(event, now);
        }
    };
    loop {
        let event = tokio::select! {
            biased;
            event = events.recv() => event,
            // An error: the server was dropped without a goodbye.
            _ = stopped.wait_for(|stopped| *stopped) => break,
        };
        match event {
            Ok(event) => tell(&event),
            // Translating is faster than anything that happens in rooms: this machine is far behind everywhere.
            Err(broadcast::error::RecvError::Lagged(missed)) => {
                tracing::warn!(missed, "webhooks and callbacks fell behind the rooms' events");
            }
            Err(broadcast::error::RecvError::Closed) => break,
        }
    }
    let farewell = async {
        if let Some(webhooks) = webhooks {
            webhooks.finish().await;
        }
    };
    let and_callbacks = async {
        if let Some(callbacks) = callbacks {
            callbacks.finish().await;
        }
    };
    tokio::join!(farewell, and_callbacks);
}
