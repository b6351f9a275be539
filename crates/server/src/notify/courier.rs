//! Carries notifications to one receiver: a task that asks the [`Schedule`] what to send when, and sends it.

use super::Story;
use super::schedule::{Fate, Limits, Number, Schedule};
use protocol::UnixMillis;
use std::time::{Duration, Instant, SystemTime};
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};

/// A receiver that takes longer has not answered.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// Notifications on their way into the schedule, whose own bound is the one that counts: the task takes them out at
/// once. When full, the machine is beyond help, and the newest are dropped with a warning.
const MAILBOX_CAPACITY: usize = 1024;

/// A kind of notification on the wire.
pub(super) trait Form: Clone + Send + Sync + 'static {
    /// What makes them.
    type Story: Story;

    /// Writes one down, anew at each attempt.
    fn write(&self, event: &<Self::Story as Story>::Event, now: UnixMillis) -> anyhow::Result<Letter>;
}

/// A request's headers and body.
#[derive(Debug)]
pub(super) struct Letter {
    pub headers: Vec<(&'static str, String)>,
    pub body: Vec<u8>,
}

type Event<F> = <<F as Form>::Story as Story>::Event;

/// The way to one receiver's task.
pub(super) struct Mailbox<F: Form> {
    posts: mpsc::Sender<(String, Event<F>)>,
    task: JoinHandle<()>,
}

impl<F: Form> Mailbox<F> {
    /// Something to deliver about a room. Never waits.
    pub fn post(&self, room: &str, event: Event<F>) {
        if self.posts.try_send((room.to_owned(), event)).is_err() {
            tracing::warn!("a notification was dropped before it was scheduled");
        }
    }

    /// Ends when everything is delivered or given up; no retry is waited for.
    pub async fn finish(self) {
        drop(self.posts);
        // An error: it has panicked, and said so.
        let _ = self.task.await;
    }
}

/// The client of all couriers: connections are kept, redirects are not followed, since a signed request goes to whom it
/// was configured for.
pub(super) fn client() -> reqwest::Result<reqwest::Client> {
    reqwest::Client::builder()
        .timeout(ANSWER_TIMEOUT)
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("ahoy-server/", env!("CARGO_PKG_VERSION")))
        .build()
}

/// Starts a courier to `url`.
pub(super) fn start<F: Form>(form: F, url: url::Url, client: reqwest::Client) -> Mailbox<F> {
    let (posts, inbox) = mpsc::channel(MAILBOX_CAPACITY);
    let courier = Courier { form, url, client, schedule: Schedule::new(Limits::default()), requests: JoinSet::new() };
    Mailbox { posts, task: tokio::spawn(courier.run(inbox)) }
}

struct Courier<F: Form> {
    form: F,
    url: url::Url,
    client: reqwest::Client,
    schedule: Schedule<Event<F>>,
    requests: JoinSet<(Number, bool)>,
}

impl<F: Form> Courier<F> {
    async fn run(mut self, mut inbox: mpsc::Receiver<(String, Event<F>)>) {
        let mut open = true;
        loop {
            while let Some((number, event)) = self.schedule.poll_send(Instant::now()) {
                self.send(number, &event);
            }
            if !open && self.requests.is_empty() {
                return;
            }
            let due = self.schedule.poll_timeout();
            tokio::select! {
                post = inbox.recv(), if open => match post {
                    Some((room, event)) => self.take(&room, event),
                    None => open = false,
                },
                Some(answer) = self.requests.join_next() => self.answered(answer),
                () = sleep_until(due) => {}
            }
        }
    }

    fn take(&mut self, room: &str, event: Event<F>) {
        if self.schedule.push(Instant::now(), room, event).is_some() {
            tracing::warn!(receiver = self.receiver(), "too many notifications wait; the oldest was dropped");
        }
    }

    fn send(&mut self, number: Number, event: &Event<F>) {
        let now = SystemTime::now().into();
        let letter = match self.form.write(event, now) {
            Ok(letter) => letter,
            Err(error) => {
                tracing::error!(%error, "a notification cannot be written");
                // Nobody could ever take it.
                self.schedule.handle_answer(Instant::now(), number, true);
                return;
            }
        };
        let mut request = self.client.post(self.url.clone());
        for (name, value) in letter.headers {
            request = request.header(name, value);
        }
        let request = request.body(letter.body);
        self.requests.spawn(async move {
            match request.send().await {
                // The body of the answer says nothing that is needed.
                Ok(answer) => (number, answer.status().is_success()),
                Err(error) => {
                    tracing::debug!(error = %error.without_url(), "a notification did not arrive");
                    (number, false)
                }
            }
        });
    }

    fn answered(&mut self, answer: Result<(Number, bool), tokio::task::JoinError>) {
        let Ok((number, arrived)) = answer else { return tracing::error!("a delivery has panicked") };
        if self.schedule.handle_answer(Instant::now(), number, arrived) == Some(Fate::GivenUp) {
            tracing::warn!(receiver = self.receiver(), "a notification was given up: nobody takes it");
        }
    }

    /// Without path and query, which may hold secrets.
    fn receiver(&self) -> String {
        self.url.origin().ascii_serialization()
    }
}

async fn sleep_until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due.into()).await,
        None => std::future::pending().await,
    }
}
