//! Tracks of ours that the server ends because they may not be published any more, and that we publish again once they
//! may. LiveKit does so to whoever is blocked; embedded rooms leave the track and forward nothing of it.

use super::super::transport::Kind;
use super::Session;
use livekit_protocol as proto;
use proto::TrackSource;
use std::collections::BTreeMap;

impl Session {
    /// The server has ended a track of ours: nothing of it leaves until it may be published again.
    pub(super) async fn handle_unpublished(&mut self, sid: &str) {
        let is_it = |published: &Option<proto::TrackInfo>| published.as_ref().is_some_and(|track| track.sid == sid);
        let Some(kind) = self.own.iter().find(|(_, own)| is_it(&own.published)).map(|(kind, _)| *kind) else { return };
        let Some(own) = self.own.remove(&kind) else { return };
        tracing::info!(?kind, "the room has ended a track of ours");
        own.line.send_replace(None);
        if let Some(transport) = &self.transport
            && let Err(error) = transport.unpublish(&own.track).await
        {
            tracing::debug!(%error, "an ended track");
        }
        self.lines.insert(kind, (own.on, own.line));
        self.negotiate().await;
    }

    /// What this user may do, whenever the server says so.
    pub(super) async fn handle_permission(&mut self, permission: &proto::ParticipantPermission) {
        let wanted = std::mem::take(&mut self.lines);
        let (allowed, barred): (BTreeMap<_, _>, BTreeMap<_, _>) =
            wanted.into_iter().partition(|(kind, _)| may_publish(permission, *kind));
        let is_news = !allowed.is_empty();
        self.lines = allowed;
        if is_news {
            self.publish().await;
        }
        self.lines.extend(barred);
    }
}

/// No sources named means all of them.
fn may_publish(permission: &proto::ParticipantPermission, kind: Kind) -> bool {
    let source = match kind {
        Kind::Voice => TrackSource::Microphone,
        Kind::Picture => TrackSource::Camera,
    };
    let sources = &permission.can_publish_sources;
    permission.can_publish && (sources.is_empty() || sources.contains(&i32::from(source)))
}
