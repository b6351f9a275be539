//! The whole state as the screen shows it.

use super::Core;
use super::membership::{Membership, Remote, What};
use crate::api::{
    CallBook, DeviceTrouble, Devices, Link, Live, Person, Presence, Refusal, Snapshot, Stage, VideoRenderParams,
};
use call::session::{CallState, Live as LiveCall};
use media::{DeviceKind, DeviceState};
use protocol::{CallMediaType, CallRole, NetworkQuality, UserId};
use room::client;
use std::collections::BTreeMap;
use std::time::{Instant, SystemTime};

impl Core {
    /// Shows what changed.
    pub(super) fn show(&mut self) {
        let snapshot = Snapshot {
            session: self.session.clone(),
            stage: self.stage(),
            devices: self.own_devices(),
            book: self.book(),
        };
        self.snapshot.send_if_modified(|shown| {
            let changed = *shown != snapshot;
            *shown = snapshot;
            changed
        });
    }

    fn book(&self) -> CallBook {
        let Some(signed_in) = &self.signed_in else { return CallBook::default() };
        CallBook {
            cards: signed_in.calls.cards().to_vec(),
            recent: signed_in.recent.clone(),
            profiles: signed_in.calls.profiles().clone(),
            multi_device: signed_in.calls.multi_device(),
        }
    }

    /// The same moment on the wall clock: by one pair of both for the engine's life, so that a snapshot differs only
    /// where something changed.
    fn wall(&self, at: Instant) -> SystemTime {
        let (instant, wall) = self.began;
        match at.checked_duration_since(instant) {
            Some(later) => wall + later,
            None => wall - instant.saturating_duration_since(at),
        }
    }

    fn stage(&self) -> Stage {
        let ended = || self.ended.clone().map_or(Stage::Idle, Stage::Ended);
        let call = self.signed_in.as_ref().map(|signed_in| signed_in.calls.call());
        match (call, &self.membership) {
            // Put out of the room: the call plane's word follows.
            (Some(CallState::Live(_)), None) if self.ended.is_some() => ended(),
            (Some(CallState::Live(live)), membership) => Stage::Live(self.live_call(live, membership.as_ref())),
            (Some(CallState::Placing(placing)), _) => Stage::Calling {
                call: None,
                callees: placing.callees.clone(),
                media: placing.media,
                ringing: false,
                ring_until: None,
            },
            (Some(CallState::Outgoing(outgoing)), _) => Stage::Calling {
                call: Some(outgoing.call.clone()),
                callees: outgoing.callees.clone(),
                media: outgoing.media,
                ringing: outgoing.ringing,
                ring_until: call.and_then(CallState::ring_until).map(|until| self.wall(until)),
            },
            (Some(CallState::Incoming(incoming)), _) => Stage::Incoming {
                call: incoming.call.clone(),
                caller: incoming.caller.clone(),
                others: incoming.callees.iter().filter(|user| !self.is_me(user)).cloned().collect(),
                media: incoming.media,
                answering: incoming.answering,
            },
            (Some(CallState::Joining(joining)), _) => {
                Stage::Entering { call: Some(joining.call.clone()), room: String::new() }
            }
            (_, Some(membership)) if matches!(membership.what, What::Call(_)) => ended(),
            (_, Some(membership)) if membership.entered_at.is_none() => {
                Stage::Entering { call: None, room: membership.room_name.clone() }
            }
            (_, Some(membership)) => Stage::Live(self.live_room(membership)),
            (_, None) => match self.entering() {
                Some(room) => Stage::Entering { call: None, room },
                None => ended(),
            },
        }
    }

    fn is_me(&self, user: &UserId) -> bool {
        self.signed_in.as_ref().is_some_and(|signed_in| signed_in.calls.user() == user)
    }

    fn live_call(&self, live: &LiveCall, membership: Option<&Membership>) -> Live {
        use super::calls::RoomName;
        let mut people = vec![self.me(membership)];
        for peer in &live.peers {
            let remote = membership.and_then(|membership| membership.remotes.get(&peer.user));
            let mut person = other(&peer.user, remote, &self.renders);
            if let Some(until) = peer.rings_until {
                person.presence = Presence::Ringing { until: Some(self.wall(until)) };
            }
            people.push(person);
        }
        // Guests of the room, and those who have just left the call.
        for (user, remote) in membership.iter().flat_map(|membership| &membership.remotes) {
            if !live.peers.iter().any(|peer| peer.user == *user) {
                people.push(other(user, Some(remote), &self.renders));
            }
        }
        Live {
            call: Some(live.call.clone()),
            room: live.room.to_string_for_people(),
            media: live.media,
            role: live.role,
            began_at: membership.map_or_else(SystemTime::now, |membership| membership.began_at),
            link: membership.map_or(Link::Connecting, link),
            group: live.group,
            people,
        }
    }

    fn live_room(&self, membership: &Membership) -> Live {
        let mut people = vec![self.me(Some(membership))];
        people.extend(membership.remotes.iter().map(|(user, remote)| other(user, Some(remote), &self.renders)));
        Live {
            call: None,
            room: membership.room_name.clone(),
            media: CallMediaType::Video,
            role: CallRole::Unknown,
            began_at: membership.began_at,
            link: link(membership),
            group: false,
            people,
        }
    }

    fn me(&self, membership: Option<&Membership>) -> Person {
        let signed_in = self.signed_in.as_ref().map(|signed_in| signed_in.calls.user());
        let user = membership.map(|membership| &membership.me).or(signed_in);
        Person {
            user: user.cloned().unwrap_or_else(|| UserId::new("me").expect("two letters")),
            local: true,
            presence: Presence::In,
            microphone: self.microphone_wanted && self.studio.microphone_is_open(),
            picture: self.studio.preview(),
            quality: membership.map_or(NetworkQuality::Unknown, |membership| membership.local_quality),
            render: user.and_then(|user| self.renders.get(user)).copied().unwrap_or_default(),
        }
    }

    fn own_devices(&self) -> Devices {
        let trouble = self.device_states.iter().filter_map(|(kind, state)| match state {
            DeviceState::Open { .. } => None,
            DeviceState::Failed { code, message } | DeviceState::Lost { code, message } => {
                let refusal = Refusal { code: *code, message: message.clone() };
                Some(DeviceTrouble { device: *kind, refusal })
            }
        });
        let stand_in = |state: &DeviceState| matches!(state, DeviceState::Open { is_stand_in: true, .. });
        Devices {
            list: self.devices.clone(),
            microphone: self.choices.microphone.clone(),
            speaker: self.choices.speaker.clone(),
            camera: self.choices.camera.clone(),
            encoder: self.choices.encoder,
            microphone_on: self.microphone_wanted && self.studio.microphone_is_open(),
            camera_on: self.studio.camera_is_open(),
            camera_is_synthetic: self.device_states.get(&DeviceKind::Camera).is_some_and(stand_in),
            trouble: trouble.collect(),
            preview: self.studio.preview(),
        }
    }
}

/// "Connecting" until the first remote media.
fn link(membership: &Membership) -> Link {
    match membership.link {
        client::Link::Connecting => Link::Connecting,
        client::Link::Reconnecting => Link::Reconnecting,
        client::Link::Up => {
            let alone = !membership.remotes.values().any(|remote| remote.present && (remote.voice || remote.picture));
            let in_call = matches!(membership.what, What::Call(_));
            if membership.has_flowed || (alone && !in_call) { Link::Up } else { Link::Connecting }
        }
    }
}

fn other(user: &UserId, remote: Option<&Remote>, renders: &BTreeMap<UserId, VideoRenderParams>) -> Person {
    let picture = remote
        .filter(|remote| remote.picture)
        .and_then(|remote| remote.streams.iter().rev().find_map(|stream| stream.picture));
    Person {
        user: user.clone(),
        local: false,
        presence: remote.map_or(Presence::Connecting, Remote::presence),
        microphone: remote.is_some_and(|remote| remote.voice),
        picture,
        quality: remote.and_then(|remote| remote.quality).unwrap_or(NetworkQuality::Unknown),
        render: renders.get(user).copied().unwrap_or_default(),
    }
}
