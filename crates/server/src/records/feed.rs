//! Follows the rooms' events and hands them to the records' thread, with the time at which they came.

use super::Command;
use crate::rooms::Rooms;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::sync::{mpsc, watch};

/// How often old records are dropped and the time is noted that a crash would leave rooms to have ended at.
const TICK: Duration = Duration::from_secs(60);

/// Runs until `stop` turns true or its sender is gone.
pub(super) async fn run(rooms: Arc<dyn Rooms>, records: mpsc::Sender<Command>, mut stop: watch::Receiver<bool>) {
    // Before the list is asked for: what happens meanwhile is heard after it, and taking it twice does no harm.
    let mut news = rooms.events();
    let mut compared = compare(rooms.as_ref(), &records).await;
    let mut tick = tokio::time::interval(TICK);
    loop {
        let command = tokio::select! {
            biased;
            () = stopping(&mut stop) => break,
            event = news.recv() => match event {
                Ok(event) => Command::Event { event, now: now() },
                Err(RecvError::Lagged(missed)) => {
                    tracing::warn!(missed, "fell behind the rooms' events; asking who is where");
                    compared = compare(rooms.as_ref(), &records).await;
                    continue;
                }
                Err(RecvError::Closed) => break,
            },
            _ = tick.tick() => {
                if !compared {
                    compared = compare(rooms.as_ref(), &records).await;
                }
                Command::Tick { now: now() }
            }
        };
        if records.send(command).await.is_err() {
            return;
        }
    }
    loop {
        match news.try_recv() {
            Ok(event) => drop(records.send(Command::Event { event, now: now() }).await),
            Err(TryRecvError::Lagged(_)) => {}
            Err(TryRecvError::Empty | TryRecvError::Closed) => break,
        }
    }
    // Refused only where the thread has ended already.
    let _ = records.send(Command::Stop { now: now() }).await;
}

async fn stopping(stop: &mut watch::Receiver<bool>) {
    // An error means that the server is gone: stop as well.
    let _ = stop.wait_for(|stopped| *stopped).await;
}

/// False where the rooms cannot be asked now.
async fn compare(rooms: &dyn Rooms, records: &mpsc::Sender<Command>) -> bool {
    match rooms.list_all().await {
        Ok(rooms) => records.send(Command::Present { rooms, now: now() }).await.is_ok(),
        Err(error) => {
            tracing::warn!(%error, "the records do not know who is where");
            false
        }
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}
