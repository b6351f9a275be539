//! Rooms' events become inputs. Rooms and people that the call plane cannot name are none of its business.

use super::Input;
use super::socket::stopping;
use crate::rooms::{FinishedWhy, LeftWhy, RoomEvent, Rooms};
use call::call::RoomNews;
use call::switchboard::RoomsEvent;
use protocol::{RoomId, UserId};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::broadcast::{Receiver, error::RecvError};
use tokio::sync::{mpsc, watch};
use tokio::time::MissedTickBehavior;

/// How long to wait before rooms that cannot be asked now are asked again. Until they answer, the members of running
/// calls count as missing.
const RETRY: Duration = Duration::from_secs(1);

/// Runs until `stop` turns true. Begins with who is where: rooms that others carry went on while this server was away,
/// and may have been listed before anybody listened.
pub(super) async fn forward(
    mut news: Receiver<RoomEvent>,
    rooms: Arc<dyn Rooms>,
    input: mpsc::Sender<Input>,
    mut stop: watch::Receiver<bool>,
) {
    let mut known = false;
    let mut retry = tokio::time::interval(RETRY);
    retry.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let event = tokio::select! {
            biased;
            () = stopping(&mut stop) => return,
            _ = retry.tick(), if !known => {
                let present = present(rooms.as_ref()).await;
                known = present.is_some();
                present
            }
            event = news.recv() => match event {
                Ok(event) => translate(event),
                Err(RecvError::Lagged(missed)) => {
                    tracing::warn!(missed, "fell behind the rooms' events; asking who is where");
                    known = false;
                    retry.reset_immediately();
                    None
                }
                Err(RecvError::Closed) => return,
            },
        };
        if let Some(event) = event
            && input.send(Input::Rooms(event)).await.is_err()
        {
            return;
        }
    }
}

fn translate(event: RoomEvent) -> Option<RoomsEvent> {
    let member = |room: String, identity: &str, news| {
        let room = RoomId::from_wire_name(&room).ok()?;
        Some(RoomsEvent::Member { room, user: UserId::new(identity).ok()?, news })
    };
    match event {
        RoomEvent::Joined { room, who } => member(room, &who.identity, RoomNews::Joined),
        RoomEvent::Left { room, who, why } => match why {
            LeftWhy::Own => member(room, &who.identity, RoomNews::Left),
            LeftWhy::Lost => member(room, &who.identity, RoomNews::Lost),
            LeftWhy::Removed { by } => member(room, &who.identity, RoomNews::Removed { by }),
            // The room's own end follows; the other connection of the same person is in.
            LeftWhy::Dismissed { .. } | LeftWhy::Replaced => None,
        },
        RoomEvent::Finished { room, why: FinishedWhy::Dismissed { by }, .. } => {
            Some(RoomsEvent::Dismissed { room: RoomId::from_wire_name(&room).ok()?, by })
        }
        // The call plane knows who is in; what they publish is theirs.
        RoomEvent::Finished { why: FinishedWhy::Empty, .. }
        | RoomEvent::Started { .. }
        | RoomEvent::Published { .. }
        | RoomEvent::Unpublished { .. }
        | RoomEvent::Muted { .. }
        | RoomEvent::Permitted { .. } => None,
    }
}

/// Nothing where the rooms cannot be asked now.
async fn present(rooms: &dyn Rooms) -> Option<RoomsEvent> {
    let all = match rooms.list_all().await {
        Ok(all) => all,
        Err(error) => {
            tracing::warn!(%error, "the call plane does not know who is where");
            return None;
        }
    };
    let members = all.into_iter().flat_map(|info| {
        let room = RoomId::from_wire_name(&info.room).ok();
        info.members.into_iter().filter_map(move |member| Some((room.clone()?, UserId::new(member.identity).ok()?)))
    });
    Some(RoomsEvent::Present(members.collect::<BTreeSet<_>>()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rooms::{Admission, Blocked, Member, RoomInfo, RoomsError};
    use crate::tokens::Grants;
    use async_trait::async_trait;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tokio::sync::broadcast;

    /// One room with one member, which cannot be asked for the first few times.
    struct Deaf(AtomicUsize);

    #[async_trait]
    impl Rooms for Deaf {
        async fn open(&self, _: &str) -> Result<(), RoomsError> {
            Ok(())
        }
        fn admit(&self, _: &str, _: &str, _: Grants) -> Result<Admission, RoomsError> {
            Err(RoomsError::NotExist)
        }
        fn revoke(&self, _: &str, _: &str) {}
        async fn remove(&self, _: &str, _: &str, _: Option<String>) -> Result<(), RoomsError> {
            Ok(())
        }
        async fn block(&self, _: &str, _: &str, _: Blocked) -> Result<(), RoomsError> {
            Ok(())
        }
        async fn dismiss(&self, _: &str, _: Option<String>) -> Result<(), RoomsError> {
            Ok(())
        }
        async fn list(&self, _: &str) -> Result<Vec<Member>, RoomsError> {
            Ok(Vec::new())
        }
        async fn list_all(&self) -> Result<Vec<RoomInfo>, RoomsError> {
            if self.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok() {
                return Err(RoomsError::Unavailable("not yet".to_owned()));
            }
            let alice = Member { identity: "alice".to_owned(), sid: "PA_x".to_owned() };
            Ok(vec![RoomInfo { room: "n:7".to_owned(), members: vec![alice] }])
        }
        fn events(&self) -> Receiver<RoomEvent> {
            broadcast::channel(1).1
        }
    }

    #[tokio::test]
    async fn who_is_where_is_asked_at_the_start_and_after_a_gap_until_it_is_known() {
        let rooms = Arc::new(Deaf(AtomicUsize::new(1)));
        let (say, happened) = broadcast::channel(2);
        let (input, mut inputs) = mpsc::channel(16);
        let (_go, stop) = watch::channel(false);
        let task = tokio::spawn(forward(happened, Arc::clone(&rooms) as Arc<dyn Rooms>, input, stop));
        let here = BTreeSet::from([(RoomId::number(7).unwrap(), UserId::new("alice").unwrap())]);
        let is_present = |input| matches!(input, Input::Rooms(RoomsEvent::Present(present)) if present == here);
        let patience = Duration::from_secs(10);
        let first = tokio::time::timeout(patience, inputs.recv()).await.unwrap().unwrap();
        assert!(is_present(first));
        // More than the channel holds, before the task gets to run.
        rooms.0.store(1, Ordering::SeqCst);
        for _ in 0..8 {
            let room = "n:7".to_owned();
            say.send(RoomEvent::Left { room, who: Arc::default(), why: LeftWhy::Replaced }).unwrap();
        }
        let again = tokio::time::timeout(patience, inputs.recv()).await.unwrap().unwrap();
        assert!(is_present(again));
        assert_eq!(rooms.0.load(Ordering::SeqCst), 0);
        task.abort();
    }
}
