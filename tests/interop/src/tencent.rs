//! A whole server with a key for administrators, and the official SDKs of Tencent Cloud as processes that use it.

use crate::peer::{environment, here, set_up};
use anyhow::{Context as _, Result, ensure};
use livekit_token::{AccessToken, VideoGrants};
use serde_json::{Value, json};
use server::admin_keys::AdminKey;
use server::tokens::ApiKey;
use server::{Config, Server};
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

const ROOM_KEY: (&str, &str) = ("devkey", "a secret of the interop tests, long enough");
const ADMIN_KEY: (&str, &str) = ("AKIDexample", "secretexample");

/// An SDK answers within this, its start included, even on a loaded machine.
const DEADLINE: Duration = Duration::from_secs(120);

/// The running server.
pub struct AdminServer {
    server: Server,
    data: tempfile::TempDir,
}

impl AdminServer {
    /// Starts one in which the limit is out of the way.
    pub async fn start() -> Result<Self> {
        Self::start_with(10_000).await
    }

    /// Starts one that takes `rate` requests a second of each action.
    pub async fn start_with(rate: u32) -> Result<Self> {
        let data = tempfile::tempdir()?;
        let admin_key = AdminKey { secret_id: ADMIN_KEY.0.to_owned(), secret_key: ADMIN_KEY.1.to_owned(), created: 0 };
        let api_key = ApiKey { key: ROOM_KEY.0.to_owned(), secret: ROOM_KEY.1.to_owned() };
        let server = Server::start(Config {
            data_dir: data.path().to_owned(),
            api_keys: vec![api_key],
            admin_keys: vec![admin_key],
            admin_rate: rate,
            ..Config::default()
        });
        Ok(Self { server: server.await?, data })
    }

    /// Where clients of rooms connect.
    #[must_use]
    pub fn url(&self) -> String {
        format!("ws://{}", self.server.http_addr())
    }

    /// A room token for `identity`.
    pub fn token(&self, room: &str, identity: &str) -> Result<String> {
        let grants = VideoGrants { room_join: true, room: room.into(), ..VideoGrants::default() };
        let token = AccessToken::with_api_key(ROOM_KEY.0, ROOM_KEY.1).with_identity(identity).with_name(identity);
        Ok(token.with_grants(grants).to_jwt()?)
    }

    /// Starts an SDK that speaks to this server.
    pub async fn sdk(&self, sdk: TencentSdk, method: &str) -> Result<Administrator> {
        set_up().await?;
        let mut command = match sdk {
            TencentSdk::Python | TencentSdk::PythonIntl => {
                let mut command = Command::new(environment().join("python/bin/python"));
                command.arg(here().join("clients/tencent.py"));
                command
            }
            TencentSdk::Node => {
                let mut command = Command::new("node");
                command.arg(here().join("clients/tencent.mjs"));
                command
            }
        };
        if sdk == TencentSdk::PythonIntl {
            command.env("PYTHONPATH", environment().join("tencent-intl"));
        }
        let mut child = command
            .args([&self.server.http_addr().port().to_string(), ADMIN_KEY.0, ADMIN_KEY.1, method])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(if std::env::var_os("INTEROP_STDERR").is_some() { Stdio::inherit() } else { Stdio::null() })
            .kill_on_drop(true)
            .spawn()
            .context("an SDK cannot be started")?;
        let input = child.stdin.take().context("no standard input")?;
        let lines = BufReader::new(child.stdout.take().context("no standard output")?).lines();
        Ok(Administrator { _child: child, input, lines })
    }

    /// Every line of the audit log as act, room and result.
    pub fn audit(&self) -> Result<Vec<[String; 3]>> {
        let text = |line: &Value, name: &str| line[name].as_str().unwrap_or_default().to_owned();
        let lines = server::audit::last(self.data.path(), 1000)?;
        let lines = lines.iter().map(|line| {
            let line: Value = serde_json::from_str(line)?;
            Ok(["act", "room", "result"].map(|name| text(&line, name)))
        });
        lines.collect()
    }

    /// Stops it.
    pub async fn shutdown(self) {
        self.server.shutdown().await;
    }
}

/// Which official SDK.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TencentSdk {
    /// PyPI `tencentcloud-sdk-python-trtc`.
    Python,
    /// PyPI `tencentcloud-sdk-python-intl-en`, which alone has SetUserBlocked.
    PythonIntl,
    /// npm `tencentcloud-sdk-nodejs-common`.
    Node,
}

/// An administrator with an SDK.
pub struct Administrator {
    _child: Child,
    input: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Administrator {
    /// Gives one order as the scripts in `clients` take it, and gives their answer back.
    pub async fn order(&mut self, order: &Value) -> Result<Value> {
        self.input.write_all(format!("{order}\n").as_bytes()).await?;
        let line =
            tokio::time::timeout(DEADLINE, self.lines.next_line()).await.context("the SDK does not answer")??;
        Ok(serde_json::from_str(&line.context("the SDK has ended")?)?)
    }

    /// Calls an action that must succeed.
    pub async fn call(&mut self, action: &str, params: Value) -> Result<Value> {
        let answer = self.order(&json!({ "action": action, "params": params })).await?;
        let ok = &answer["ok"];
        ensure!(ok["RequestId"].as_str().is_some_and(|id| id.len() == 36), "{action}: {answer}");
        Ok(ok.clone())
    }

    /// Gives an order that must end with an exception of the SDK; gives its code back.
    pub async fn refused(&mut self, order: &Value) -> Result<String> {
        let answer = self.order(order).await?;
        ensure!(answer["requestId"].as_str().is_some_and(|id| id.len() == 36), "{order}: {answer}");
        Ok(answer["code"].as_str().context("a code")?.to_owned())
    }
}
