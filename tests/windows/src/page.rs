//! The few words of WebDriver (W3C) that a person's eyes and hands need.

use anyhow::{Context, Result, bail};
use reqwest::{Client, RequestBuilder};
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;

/// A web view that does not answer a question for so long hangs.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);
/// The key under which WebDriver names elements.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// The page in one window.
pub struct Page {
    client: Client,
    session: String,
}

impl Page {
    /// Lets the driver start the app and takes hold of its page.
    pub async fn open(driver: &str, app: &Path, arguments: &[String]) -> Result<Self> {
        let client = Client::builder().timeout(ANSWER_TIMEOUT).build()?;
        let options = json!({ "tauri:options": { "application": app, "args": arguments } });
        let body = json!({ "capabilities": { "alwaysMatch": options } });
        let opened = answer(client.post(format!("{driver}/session")).json(&body)).await.context("opening the app")?;
        let id = opened["sessionId"].as_str().context("the session has an id")?;
        Ok(Self { session: format!("{driver}/session/{id}"), client })
    }

    /// Runs the body of a function in the page.
    pub async fn run(&self, script: &str, arguments: &[Value]) -> Result<Value> {
        let body = json!({ "script": script, "args": arguments });
        answer(self.client.post(format!("{}/execute/sync", self.session)).json(&body)).await
    }

    /// Clicks in the middle of an element, where that is what lies there.
    pub async fn click(&self, selector: &str) -> Result<()> {
        self.act(selector, "click", json!({})).await
    }

    /// Types.
    pub async fn write(&self, selector: &str, text: &str) -> Result<()> {
        self.act(selector, "value", json!({ "text": text })).await
    }

    async fn act(&self, selector: &str, verb: &str, body: Value) -> Result<()> {
        let wanted = json!({ "using": "css selector", "value": selector });
        let found = answer(self.client.post(format!("{}/element", self.session)).json(&wanted)).await?;
        let element = found[ELEMENT].as_str().context("an element has an id")?;
        answer(self.client.post(format!("{}/element/{element}/{verb}", self.session)).json(&body)).await?;
        Ok(())
    }
}

async fn answer(request: RequestBuilder) -> Result<Value> {
    let mut answer: Value = request.send().await?.json().await?;
    let value = answer["value"].take();
    if let Some(error) = value["error"].as_str() {
        bail!("{error}: {}", value["message"].as_str().unwrap_or_default());
    }
    Ok(value)
}
