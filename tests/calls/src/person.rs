//! Somebody with an engine, and what it reported.

use crate::{House, PATIENCE};
use anyhow::{Context, Result, bail};
use engine::api::{Answer, Intent, Refusal, Reported, Secret};
use engine::{Engine, EngineConfig, Pictures};
use media::picture::timecode;
use media::{DeviceChoice, FrameSink, Picture, PictureId, Synthetic};
use protocol::{CallMediaType, DeviceId, Event, UserId};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Instant, SystemTime};
use tokio::sync::broadcast;

/// The documented name of an event.
pub fn name_of(event: &Event) -> String {
    let json = serde_json::to_value(event).unwrap_or_default();
    json["event"].as_str().unwrap_or_default().to_owned()
}

/// What is seen, by track.
#[derive(Default)]
pub struct Screen(Mutex<BTreeMap<PictureId, Seen>>);

#[derive(Default)]
struct Seen {
    timecodes: Vec<u32>,
    /// Width and height of the last picture, **pixels**.
    size: (u32, u32),
}

impl Screen {
    /// Timecodes seen on tracks other than `own`.
    pub fn timecodes(&self, own: Option<PictureId>) -> Vec<u32> {
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.iter().filter(|(id, _)| Some(**id) != own).flat_map(|(_, seen)| seen.timecodes.clone()).collect()
    }

    /// Width and height of the last picture on a track, **pixels**; zeros before the first.
    pub fn size(&self, track: PictureId) -> (u32, u32) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&track).map_or((0, 0), |seen| seen.size)
    }
}

impl FrameSink for Screen {
    fn show(&self, id: PictureId, picture: Picture) {
        if let Picture::Raw(picture) = picture {
            let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let seen = all.entry(id).or_default();
            seen.size = (picture.width, picture.height);
            seen.timecodes.extend(timecode::read(&picture));
        }
    }
    fn end(&self, _: PictureId) {}
    fn wants_keyframe(&self, _: PictureId) -> bool {
        false
    }
}

/// Somebody.
pub struct Person {
    /// Who.
    pub user: UserId,
    /// Their engine.
    pub engine: Engine,
    /// What they see.
    pub screen: Arc<Screen>,
    events: broadcast::Receiver<Reported>,
    /// Every event so far but volumes and quality, in order.
    pub history: Vec<Event>,
    /// When each of them was reported.
    times: Vec<SystemTime>,
    /// Those before were waited for.
    waited: usize,
}

impl Person {
    /// Signs in with a tone, a test pattern and a speaker that writes a file or nothing.
    pub async fn arrive(house: &House, name: &str, microphone: DeviceChoice, speaker: DeviceChoice) -> Result<Self> {
        Self::arrive_by(house, house.url(), name, microphone, speaker).await
    }

    /// The same, by another way to the server.
    pub async fn arrive_by(
        house: &House,
        way: url::Url,
        name: &str,
        microphone: DeviceChoice,
        speaker: DeviceChoice,
    ) -> Result<Self> {
        let ticket = house.ticket(&UserId::new(name)?);
        let camera = DeviceChoice::Synthetic(Synthetic::Pattern(name.to_owned()));
        Self::arrive_as(way, (name, "laptop"), ticket, (microphone, speaker, camera)).await
    }

    /// A person with a tone, deaf ears and no camera, on a device of this name, with a ticket of their own.
    pub async fn on_device(house: &House, name: &str, device: &str, ticket: String) -> Result<Self> {
        let devices = (DeviceChoice::Synthetic(Synthetic::Tone(440)), DeviceChoice::None, DeviceChoice::None);
        Self::arrive_as(house.url(), (name, device), ticket, devices).await
    }

    async fn arrive_as(
        way: url::Url,
        (name, device): (&str, &str),
        ticket: String,
        (microphone, speaker, camera): (DeviceChoice, DeviceChoice, DeviceChoice),
    ) -> Result<Self> {
        let user = UserId::new(name)?;
        let mut config = EngineConfig::new(DeviceId::new(format!("test-{name}-{device}"))?);
        config.microphone = microphone;
        config.speaker = speaker;
        config.camera = camera;
        config.pictures = Pictures::Decoded;
        config.watch_devices = false;
        let engine = Engine::start(config);
        let screen = Arc::new(Screen::default());
        engine.set_screen(screen.clone()).await;
        let events = engine.events();
        let ticket = Secret(ticket);
        engine.request(Intent::SignIn { server: way, user: user.clone(), ticket }).await.context("signing in")?;
        Ok(Self { user, engine, screen, events, history: Vec::new(), times: Vec::new(), waited: 0 })
    }

    /// A person with a tone and deaf ears.
    pub async fn simple(house: &House, name: &str) -> Result<Self> {
        Self::arrive(house, name, DeviceChoice::Synthetic(Synthetic::Tone(440)), DeviceChoice::None).await
    }

    /// A person with a tone, deaf ears and no camera.
    pub async fn plain(house: &House, name: &str) -> Result<Self> {
        Self::on_device(house, name, "laptop", house.ticket(&UserId::new(name)?)).await
    }

    /// Asks the engine for something.
    pub async fn ask(&self, intent: Intent) -> Result<Answer, Refusal> {
        self.engine.request(intent).await
    }

    /// Calls somebody.
    pub async fn call(&self, who: &str, media: CallMediaType) -> Result<Answer> {
        self.call_for(who, media, None).await
    }

    /// Calls somebody and lets it ring for so long.
    pub async fn call_for(
        &self,
        who: &str,
        media: CallMediaType,
        timeout: Option<std::time::Duration>,
    ) -> Result<Answer> {
        let callees = vec![UserId::new(who)?];
        let intent = Intent::Call { callees, media, user_data: String::new(), timeout, room: None };
        Ok(self.ask(intent).await?)
    }

    /// Takes in what was reported meanwhile.
    pub fn listen(&mut self) {
        while let Ok(reported) = self.events.try_recv() {
            self.keep(reported);
        }
    }

    fn keep(&mut self, Reported { event, at }: Reported) {
        if !matches!(event, Event::OnUserVoiceVolumeChanged { .. } | Event::OnUserNetworkQualityChanged { .. }) {
            self.history.push(event);
            self.times.push(at);
        }
    }

    /// When an event of this name was reported last.
    pub fn time_of(&self, name: &str) -> Result<SystemTime> {
        let at = self.history.iter().rposition(|event| name_of(event) == name);
        at.map(|at| self.times[at]).with_context(|| format!("{}: no {name}", self.user))
    }

    /// Waits until something has been reported, whatever was waited for before.
    pub async fn has(&mut self, what: &str, wanted: impl Fn(&Event) -> bool) -> Result<()> {
        self.listen();
        if !self.history.iter().any(&wanted) {
            let waited = self.waited;
            self.wait_for(what, wanted).await?;
            self.waited = waited;
        }
        Ok(())
    }

    /// Waits for an event by its documented name that was not waited for before.
    pub async fn wait(&mut self, name: &str) -> Result<Event> {
        self.wait_for(name, |event| name_of(event) == name).await
    }

    /// Waits for an event that was not waited for before.
    pub async fn wait_for(&mut self, what: &str, wanted: impl Fn(&Event) -> bool) -> Result<Event> {
        self.wait_longer(what, PATIENCE, wanted).await
    }

    /// The same for what takes its time.
    pub async fn wait_longer(
        &mut self,
        what: &str,
        patience: std::time::Duration,
        wanted: impl Fn(&Event) -> bool,
    ) -> Result<Event> {
        let deadline = Instant::now() + patience;
        loop {
            if let Some(at) = self.history[self.waited..].iter().position(&wanted) {
                self.waited += at + 1;
                return Ok(self.history[self.waited - 1].clone());
            }
            match tokio::time::timeout_at(deadline.into(), self.events.recv()).await {
                Ok(Ok(reported)) => self.keep(reported),
                Ok(Err(error)) => bail!("{}: {error} while waiting for {what}", self.user),
                Err(_) => bail!("{}: no {what}; so far {:?}", self.user, self.names()),
            }
        }
    }

    /// Waits until a volume report says something that is wanted.
    pub async fn wait_for_volumes(&mut self, wanted: impl Fn(&BTreeMap<UserId, u8>) -> bool) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let reported = tokio::time::timeout_at(deadline.into(), self.events.recv()).await;
            let reported = reported.context("no such volumes")??;
            if let Event::OnUserVoiceVolumeChanged { volume_map } = &reported.event
                && wanted(volume_map)
            {
                return Ok(());
            }
            self.keep(reported);
        }
    }

    /// Starts a new history.
    pub fn forget(&mut self) {
        self.listen();
        self.history.clear();
        self.times.clear();
        self.waited = 0;
    }

    /// Names of everything so far.
    pub fn names(&self) -> Vec<String> {
        self.history.iter().map(name_of).collect()
    }

    /// Waits until the snapshot says something that is wanted.
    pub async fn see(&self, what: &str, wanted: impl Fn(&engine::api::Snapshot) -> bool) -> Result<()> {
        let mut snapshots = self.engine.snapshots();
        let seen = tokio::time::timeout(PATIENCE, snapshots.wait_for(wanted)).await.map(|seen| seen.map(|_| ()));
        match seen {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => bail!("{}: the engine stopped before {what}", self.user),
            Err(_) => bail!("{}: never {what}, but {:?}", self.user, *self.engine.snapshots().borrow()),
        }
    }
}
