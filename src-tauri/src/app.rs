//! Puts the parts together and runs them until the window closes.

use crate::home::Home;
use crate::host::Host;
use crate::lane::Lane;
use crate::memory::Memory;
use crate::options::Options;
use crate::settings::Settings;
use crate::shell::{Remember, Shell};
use crate::{graphics, ipc, logs, script, send, window};
use anyhow::Context;
use clap::Parser;
use engine::api::Secret;
use engine::{Engine, EngineConfig, Pictures};
use std::sync::Arc;
use tauri::AppHandle;
use tauri::utils::config::Csp;

/// The program.
///
/// # Errors
/// When the platform has no home directory, no port of loopback or no window to give.
pub fn run() -> anyhow::Result<()> {
    graphics::prepare();
    let options = Options::parse();
    let home = Home::of_profile(&options.profile)?;
    let _logs = logs::start(&home.logs);
    let runtime = tokio::runtime::Builder::new_multi_thread().thread_name("network").enable_all().build()?;
    tauri::async_runtime::set(runtime.handle().clone());
    let shell = runtime.block_on(assemble(&options, &home))?;
    if let Some(path) = &options.events {
        let out = script::open(path).with_context(|| format!("cannot write {}", path.display()))?;
        runtime.spawn(script::write_events(shell.engine().events(), out));
    }
    let commands = options.commands;
    runtime.spawn(sign_in_at_start(shell.clone(), options));
    open_window(shell, home, commands)
}

async fn assemble(options: &Options, home: &Home) -> anyhow::Result<Arc<Shell>> {
    let engine = Engine::start(EngineConfig {
        microphone: options.mic.clone(),
        speaker: options.speaker.clone(),
        camera: options.camera.clone(),
        pictures: Pictures::Compressed,
        times: options.times,
        ..EngineConfig::new(home.device_id()?)
    });
    let lane = Lane::start().await.context("no port for pictures")?;
    let memory = Memory::new(&home.config, &options.profile);
    let host = Host::new(options.host, home.data.join("server"));
    let settings = Settings::of_profile(&home.config);
    Ok(Shell::new(engine, lane, memory, host, settings).await)
}

/// What the command line asks for; a refusal is shown by the window.
async fn sign_in_at_start(shell: Arc<Shell>, options: Options) {
    if options.host.is_some()
        && let Err(refusal) = shell.host_start().await
    {
        return tracing::error!(code = refusal.code, reason = refusal.message, "the embedded server did not start");
    }
    let Some(user) = options.user else { return };
    let signed_in = match (options.server, options.ticket) {
        (Some(server), Some(ticket)) => shell.sign_in(&server, user, Secret(ticket), Remember::AsItIs).await,
        (_, None) if options.host.is_some() => match shell.host_invite(&user).await {
            Ok(invitation) => {
                shell.sign_in(&invitation.server, user, Secret(invitation.ticket), Remember::AsItIs).await
            }
            Err(refusal) => Err(refusal),
        },
        (_, _) => return tracing::error!("--user needs --server and --ticket, or --host"),
    };
    if let Err(refusal) = signed_in {
        tracing::error!(code = refusal.code, "not signed in");
    }
}

fn open_window(shell: Arc<Shell>, home: Home, commands: bool) -> anyhow::Result<()> {
    let bridge = ipc::builder();
    let mut context = tauri::generate_context!();
    allow_lane(&mut context, &shell.video_lane().url);
    tauri::Builder::default()
        .invoke_handler(bridge.invoke_handler())
        .manage(shell.clone())
        .setup(move |app| {
            bridge.mount_events(app);
            let handle = app.handle().clone();
            let window = window::open(&handle, &home)?;
            window::close_properly(&window, shell.clone());
            tauri::async_runtime::spawn(send::views(window.clone(), shell.views()));
            tauri::async_runtime::spawn(send::levels(window.clone(), shell.engine().levels()));
            tauri::async_runtime::spawn(send::events(window.clone(), shell.clone(), shell.engine().events()));
            tauri::async_runtime::spawn(window::Frame::new(window).follow(shell.views()));
            if commands {
                tauri::async_runtime::spawn(follow_commands(handle.clone(), shell.clone()));
            }
            tauri::async_runtime::spawn(quit_on_signal(handle, shell));
            Ok(())
        })
        .run(context)
        .context("the window could not be run")
}

/// Narrows the content security policy from any port of loopback to the one of this run's frame lane.
fn allow_lane(context: &mut tauri::Context, lane: &str) {
    let security = &mut context.config_mut().app.security;
    if let Some(Csp::Policy(policy)) = &mut security.csp {
        *policy = policy.replace("ws://127.0.0.1:*", lane.trim_end_matches('/'));
    }
}

async fn follow_commands(app: AppHandle, shell: Arc<Shell>) {
    if script::follow_commands(shell.engine().clone()).await {
        window::quit(&app, shell);
    }
}

/// A script that ends the process with SIGTERM or SIGINT gets the same proper end as a person who closes the window.
async fn quit_on_signal(app: AppHandle, shell: Arc<Shell>) {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let Ok(mut terminate) = signal(SignalKind::terminate()) else { return };
        tokio::select! {
            _ = terminate.recv() => {}
            _ = tokio::signal::ctrl_c() => {}
        }
    }
    #[cfg(not(unix))]
    if tokio::signal::ctrl_c().await.is_err() {
        return;
    }
    window::quit(&app, shell);
}
