//! One window of the app: what a person sees in it and does with it.

use crate::driver::{Driver, app, wait_for_end};
use crate::page::Page;
use crate::picture::{Area, Picture};
use crate::{LOOK_INTERVAL, Machine, PATIENCE, gallery};
use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Looked at by [`Window::tiles_were`]: what each tile said, in order, also what it said for a moment only.
const WATCH_TILES: &str = r#"
    const seen = (window.__tiles ??= []);
    const note = () => {
      for (const tile of document.querySelectorAll('[role="group"][data-testid^="tile-"]')) {
        const says = `${tile.dataset.testid} ${tile.dataset.state} ${tile.querySelector('.note, .over')?.textContent.trim() ?? ''}`;
        if (says !== seen.findLast((other) => other.startsWith(`${tile.dataset.testid} `))) seen.push(says);
      }
    };
    const told = (window.__qualities ??= []);
    const rate = () => {
      for (const badge of document.querySelectorAll('[data-quality]')) told.push(`${badge.dataset.testid} ${badge.dataset.quality}`);
    };
    new MutationObserver(rate).observe(document.body, { subtree: true, attributes: true, attributeFilter: ['data-quality'] });
    new MutationObserver(note).observe(document.body, { subtree: true, childList: true, attributes: true });
    note();
    return true;
"#;
/// `document.querySelector` by test id, for scripts.
const BY_ID: &str = "const id = (name) => document.querySelector(`[data-testid=\"${name}\"]`);\n";
/// GStreamer's decoders of H.264, hidden from the web view: it then has pictures decoded in the app.
const NO_DECODER: &str =
    "avdec_h264:NONE,openh264dec:NONE,vah264dec:NONE,vaapih264dec:NONE,v4l2h264dec:NONE,nvh264dec:NONE";

/// How the app starts.
#[derive(Clone, Debug, Default)]
pub struct Start {
    /// Signs in by the command line: server and ticket.
    pub sign_in: Option<(String, String)>,
    /// The web view cannot decode H.264.
    pub without_decoder: bool,
}

/// A running app with its window.
pub struct Window<'m> {
    page: Page,
    driver: Driver,
    /// Where it runs.
    pub machine: &'m Machine,
}

impl<'m> Window<'m> {
    /// Opens it.
    pub async fn open(machine: &'m Machine, start: Start) -> Result<Self> {
        let user = machine.user();
        let mut environment = Vec::new();
        let mut arguments = vec!["--profile".to_owned(), user.to_owned()];
        arguments.extend(["--events".to_owned(), events(machine).display().to_string()]);
        if let Some((server, ticket)) = start.sign_in {
            arguments.extend(["--server".to_owned(), server, "--user".to_owned(), user.to_owned()]);
            environment.push(("AHOY_TICKET", ticket));
        }
        if start.without_decoder {
            environment.push(("GST_PLUGIN_FEATURE_RANK", NO_DECODER.to_owned()));
        }
        let log = gallery().join(format!("{user}.log"));
        let driver = Driver::start(machine, &environment, &log).await?;
        let page = Page::open(driver.address(), &app()?, &arguments)
            .await
            .with_context(|| format!("{user}'s window does not open; see {}", log.display()))?;
        let window = Self { page, driver, machine };
        window
            .until(
                "the first screen",
                "return id('loading-screen') === null && document.querySelector('main') !== null",
            )
            .await?;
        window.page.run(WATCH_TILES, &[]).await?;
        Ok(window)
    }

    /// Whose it is.
    #[must_use]
    pub fn user(&self) -> &'m str {
        self.machine.user()
    }

    // ---- what a person does ----

    /// Clicks a control, as soon as it is there and lets itself be clicked.
    pub async fn click(&self, control: &str) -> Result<()> {
        self.act(control, async || self.page.click(&selector(control)).await).await
    }

    /// Writes into a field in place of what it holds.
    pub async fn write(&self, field: &str, text: &str) -> Result<()> {
        self.act(field, async || self.page.click(&selector(field)).await).await?;
        self.ask(&format!("id({}).select(); return true", json!(field))).await?;
        self.page.write(&selector(field), text).await?;
        self.until(
            &format!("{field} holding what was typed"),
            &format!("return id({}).value === {}", json!(field), json!(text)),
        )
        .await?;
        Ok(())
    }

    /// Presses a key on an element that has the focus or takes it.
    pub async fn press(&self, element: &str, key: char) -> Result<()> {
        self.page.write(&selector(element), &key.to_string()).await
    }

    async fn act(&self, control: &str, act: impl AsyncFn() -> Result<()>) -> Result<()> {
        self.until(
            &format!("{control} to use"),
            &format!("const it = id({}); return it !== null && !it.disabled", json!(control)),
        )
        .await?;
        let until = Instant::now() + PATIENCE;
        // What moves or lies under something else for a moment is tried again.
        while let Err(error) = act().await {
            if Instant::now() > until {
                return Err(error.context(self.complaint(&format!("way to use {control}")).await));
            }
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
        Ok(())
    }

    /// Closes the window by its frame and waits for the process to end.
    pub async fn close(self) -> Result<Duration> {
        let pid = self.pid()?;
        self.machine.close(&format!("{} - Ahoy", self.user()))?;
        wait_for_end(pid).await.with_context(|| format!("{} closed the window", self.user()))
    }

    /// The app's process dies without a word.
    pub async fn kill(self) -> Result<()> {
        let pid = self.pid()?;
        drop(self.driver);
        wait_for_end(pid).await.map(drop)
    }

    /// The process of the app.
    pub fn pid(&self) -> Result<u32> {
        self.driver.app().with_context(|| format!("{}'s app does not run", self.user()))
    }

    // ---- what a person sees ----

    /// Waits until something is there.
    pub async fn sees(&self, what: &str) -> Result<()> {
        self.until(what, &format!("return id({}) !== null", json!(what))).await.map(drop)
    }

    /// Waits until something is gone.
    pub async fn loses(&self, what: &str) -> Result<()> {
        self.until(&format!("end of {what}"), &format!("return id({}) === null", json!(what))).await.map(drop)
    }

    /// Whether something is there now.
    pub async fn has(&self, what: &str) -> Result<bool> {
        let there = self.ask(&format!("return id({}) !== null", json!(what))).await?;
        Ok(there == Value::Bool(true))
    }

    /// Waits until something says this among other things.
    pub async fn reads(&self, what: &str, words: &str) -> Result<()> {
        self.until(
            &format!("{what} that says \"{words}\""),
            &format!("return id({})?.innerText.replace(/\\s+/g, ' ').includes({}) === true", json!(what), json!(words)),
        )
        .await
        .map(drop)
    }

    /// What something says now.
    pub async fn text(&self, what: &str) -> Result<String> {
        let text = self.until(what, &format!("return id({})?.innerText", json!(what))).await?;
        Ok(text.as_str().unwrap_or_default().to_owned())
    }

    /// Waits until an attribute has this value.
    pub async fn shows(&self, what: &str, attribute: &str, value: &str) -> Result<()> {
        self.until(
            &format!("{what} with {attribute}={value}"),
            &format!("return id({})?.getAttribute({}) === {}", json!(what), json!(attribute), json!(value)),
        )
        .await
        .map(drop)
    }

    /// Waits until a script (the body of a function, in which `id` finds by test id) gives something true, and gives it.
    pub async fn until(&self, what: &str, script: &str) -> Result<Value> {
        let until = Instant::now() + PATIENCE;
        loop {
            let answer = self.ask(script).await;
            match &answer {
                Ok(Value::Null | Value::Bool(false)) | Err(_) => {}
                Ok(_) => return answer,
            }
            if Instant::now() > until {
                let complaint = self.complaint(what).await;
                return answer.context(complaint.clone()).and_then(|_| bail!(complaint));
            }
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
    }

    /// Runs a script once.
    pub async fn ask(&self, script: &str) -> Result<Value> {
        self.page.run(&format!("{BY_ID}{script}"), &[]).await
    }

    /// Forgets what tiles have said so far: [`Self::tiles_were`] looks only at what comes.
    pub async fn forget_tiles(&self) -> Result<()> {
        self.ask("(window.__tiles ??= []).length = 0; return true").await.map(drop)
    }

    /// Waits until a tile has said all of this, in this order: `state` and perhaps the words over it.
    pub async fn tiles_were(&self, user: &str, states: &[&str]) -> Result<()> {
        let wanted: Vec<String> = states.iter().map(|state| format!("tile-{user} {state}")).collect();
        self.until(
            &format!("tile of {user} that was {states:?}"),
            &format!(
                "const left = {}; for (const says of window.__tiles) if (left.length && says.startsWith(left[0])) left.shift();
                 return left.length === 0",
                json!(wanted)
            ),
        )
        .await
        .map(drop)
    }

    /// Waits until the picture of a tile has been drawn many times more, and moves on the display.
    pub async fn watches(&self, user: &str) -> Result<()> {
        const MORE: u32 = 30;
        const MOVED: f64 = 0.005;
        let tile = format!("tile-{user}");
        let drawn = format!(
            "const canvas = id({})?.querySelector('canvas'); return canvas && (window.__ahoy?.frames[canvas.dataset.picture] ?? 0)",
            json!(tile)
        );
        let first = self.until(&format!("picture of {user}"), &drawn).await?.as_u64().unwrap_or_default();
        let more = format!("{} > {}", drawn.replacen("return ", "return (", 1) + ")", first + u64::from(MORE));
        self.until(&format!("{MORE} more pictures of {user}"), &more).await?;
        let until = Instant::now() + PATIENCE;
        let before = self.picture_of(&tile).await?;
        loop {
            let now = self.picture_of(&tile).await?;
            if now.brightness() > 8.0 && now.colours() > 64 && before.difference(&now) > MOVED {
                return Ok(());
            }
            if Instant::now() > until {
                bail!(self.complaint(&format!("moving picture of {user} on the display")).await);
            }
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
    }

    /// How something looks on the display.
    pub async fn picture_of(&self, what: &str) -> Result<Picture> {
        let place = self
            .until(
                what,
                &format!(
                    "const b = id({})?.getBoundingClientRect(); return b && [b.x, b.y, b.width, b.height]",
                    json!(what)
                ),
            )
            .await?;
        let pixels = |at: usize| place[at].as_f64().unwrap_or_default().max(0.0).round() as u32;
        let area = Area { x: pixels(0), y: pixels(1), width: pixels(2), height: pixels(3) };
        tokio::task::block_in_place(|| self.machine.look_at(area))
    }

    /// Waits until the window manager holds the window above all others, or no longer.
    pub async fn stands_before_others(&self, yes: bool) -> Result<()> {
        let until = Instant::now() + PATIENCE;
        let name = format!("{} - Ahoy", self.user());
        while self.machine.property(&name, "_NET_WM_STATE").contains("_NET_WM_STATE_ABOVE") != yes {
            if Instant::now() > until {
                bail!(self.complaint(if yes { "window before all others" } else { "window among the others" }).await);
            }
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
        Ok(())
    }

    /// Keeps a picture of the window, for people, once it has drawn what it has to show.
    pub async fn photograph(&self, moment: &str) -> Result<PathBuf> {
        self.ask(
            "window.__drawn = false; requestAnimationFrame(() => requestAnimationFrame(() => (window.__drawn = true)))",
        )
        .await?;
        // Rings and pulses go on for ever; what comes or goes comes to an end.
        self.until(
            "drawn window",
            "return window.__drawn && document.getAnimations().every(
               (it) => it.playState !== 'running' || it.effect.getComputedTiming().iterations === Infinity)",
        )
        .await?;
        self.photograph_now(moment)
    }

    fn photograph_now(&self, moment: &str) -> Result<PathBuf> {
        let file = gallery().join(format!("{moment}-{}.png", self.user()));
        tokio::task::block_in_place(|| self.machine.photograph(&file))?;
        Ok(file)
    }

    /// Waits until the engine has reported an event by its documented name.
    pub async fn reports(&self, event: &str) -> Result<()> {
        let until = Instant::now() + PATIENCE;
        while !self.events().iter().any(|line| line["event"] == event) {
            if Instant::now() > until {
                bail!(self.complaint(event).await);
            }
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
        Ok(())
    }

    /// Events that the engine has reported so far.
    #[must_use]
    pub fn events(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(events(self.machine)).unwrap_or_default();
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// What went wrong, with what the window shows instead.
    async fn complaint(&self, what: &str) -> String {
        const SHOWN: &str =
            "return [...document.querySelectorAll('[data-testid]')].map((it) => it.dataset.testid).join(' ')
            + '; it says: ' + document.body.innerText.replace(/\\s+/g, ' ')
            + '; tiles were: ' + (window.__tiles ?? []).join(', ')
            + '; lane: ' + JSON.stringify(window.__ahoy)";
        let shown = match self.page.run(SHOWN, &[]).await {
            Ok(shown) => shown.as_str().unwrap_or_default().to_owned(),
            Err(error) => format!("nothing ({error:#})"),
        };
        let picture = match self.photograph_now("failed") {
            Ok(file) => file.display().to_string(),
            Err(error) => format!("{error:#}"),
        };
        format!("{}: no {what} within {PATIENCE:?}. The window has: {shown}. Picture: {picture}", self.user())
    }
}

fn selector(control: &str) -> String {
    format!("[data-testid=\"{control}\"]")
}

fn events(machine: &Machine) -> PathBuf {
    machine.home().join("events.jsonl")
}
