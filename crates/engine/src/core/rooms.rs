//! Entering and leaving rooms, what comes from them, and the own devices in them.

use super::calls::Waiting;
use super::membership::{Membership, Remote, Stream, What};
use super::{Core, refuse};
use crate::api::{Answer, Refusal, Secret};
use crate::incoming::{self, IncomingEvent};
use crate::outgoing::{self, OutgoingEvent};
use crate::report::Report;
use crate::room::{
    Denied, Kind, Member, MembershipId, RemoteTrack, Renewal, RoomCommand, RoomConfig, RoomEvent, RoomHandle,
};
use base64::Engine as _;
use media::{DeviceChoice, DeviceKind};
use protocol::event::DeviceInfo;
use protocol::message::Ticket;
use protocol::{Code, Event, LeaveReason, RoomAccess, RoomId, UserId};
use room::client::{Happened, Purpose};
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::oneshot;

impl Core {
    // ---- in ----

    #[expect(clippy::too_many_arguments, reason = "what a membership is made of")]
    pub(super) fn enter(
        &mut self,
        what: What,
        me: UserId,
        room_name: String,
        url: url::Url,
        token: Secret,
        purpose: Purpose,
        permitted: bool,
    ) {
        let id = MembershipId(self.next_membership);
        self.next_membership += 1;
        let config = RoomConfig {
            url,
            token,
            purpose,
            times: self.config.times,
            renewable: what != What::Token,
            addresses: self.config.media_addresses.clone(),
            permitted,
            voice_on: self.microphone_wanted,
            picture_on: self.camera_wanted,
        };
        let room = RoomHandle::enter(config, id, self.room_tx.clone());
        let voice = outgoing::voice_road(room.voice.clone());
        let picture = outgoing::picture_road(room.picture.clone(), self.outgoing_tx.clone());
        self.studio.connect(Some(voice), Some(picture));
        self.membership = Some(Membership::new(id, what, me, room_name, room));
    }

    pub(super) fn enter_with(
        &mut self,
        room: RoomId,
        key: Option<Secret>,
        asked_at: Instant,
        access: &RoomAccess,
    ) -> Result<Answer, Refusal> {
        use super::calls::RoomName;
        let url = access.url.parse().map_err(|_| refuse(Code::RoomEnterFailed, "The room's address is none."))?;
        let signed_in = self.signed_in.as_mut().ok_or_else(|| refuse(Code::NotSignedIn, "Sign in first."))?;
        let me = signed_in.calls.user().clone();
        let name = room.to_string_for_people();
        self.enter(What::Room(room, key), me, name, url, Secret(access.token.clone()), Purpose::Room, true);
        if let Some(membership) = &mut self.membership {
            membership.permit(asked_at);
        }
        Ok(Answer::Done)
    }

    pub(super) fn enter_by_token(&mut self, url: url::Url, token: Secret, camera: bool) -> Result<Answer, Refusal> {
        if !self.is_idle() || self.is_entering() {
            return Err(refuse(Code::WrongState, "Leave the room first."));
        }
        let claims = Claims::read(&token.0).ok_or_else(|| refuse(Code::TokenWrong, "This is no room token."))?;
        if let Some(signed_in) = &mut self.signed_in {
            signed_in.calls.set_occupied(true);
        }
        self.start_afresh(camera);
        self.open_devices();
        self.enter(What::Token, claims.user, claims.room, url, token, Purpose::Room, true);
        if let Some(membership) = &mut self.membership {
            membership.permit(Instant::now());
        }
        Ok(Answer::Done)
    }

    // ---- out ----

    /// Releases the devices and says goodbye in the background.
    pub(super) async fn leave_room_now(&mut self) {
        self.release_devices().await;
        if let Some(membership) = self.membership.take() {
            membership.command(RoomCommand::Exit);
            self.last_report = membership.full_report();
            self.leaving.insert(membership.id, membership);
        }
    }

    pub(super) async fn release_devices(&mut self) {
        self.studio.close().await;
        self.device_states.clear();
    }

    /// "Removed" is final for a membership: whoever wants back in asks the call plane first.
    fn ask_for_access(&mut self, reply: oneshot::Sender<Renewal>) {
        let Some(membership) = &self.membership else { return };
        let Some(signed_in) = &mut self.signed_in else { return };
        let asked = match &membership.what {
            What::Call(_) => signed_in.calls.room_access(),
            What::Room(room, key) => {
                signed_in.calls.enter_room(room.clone(), true, key.clone().map(|key| Ticket(key.0)))
            }
            What::Token => return,
        };
        match asked {
            Ok(id) => {
                self.waiting.insert(id, Waiting::Access(reply));
            }
            // No call any more: nothing to come back to.
            Err(refusal) => drop(reply.send(Renewal::Refused(refusal.code))),
        }
    }

    // ---- what rooms report ----

    pub(super) async fn handle_room(&mut self, id: MembershipId, event: RoomEvent) {
        if self.leaving.contains_key(&id) {
            return self.handle_leaving(id, event);
        }
        if self.membership.as_ref().is_none_or(|membership| membership.id != id) {
            return;
        }
        match event {
            RoomEvent::Happened(Happened::Ended(ending)) => self.handle_ended(ending).await,
            RoomEvent::Happened(happened) => self.handle_happened(happened),
            RoomEvent::CloseDevices => {
                self.release_devices().await;
                if let Some(membership) = &self.membership {
                    membership.command(RoomCommand::DevicesClosed);
                }
            }
            RoomEvent::Members(members) => self.handle_members(members),
            RoomEvent::Track { identity, track } => self.handle_track(&identity, track),
            RoomEvent::TrackEnded { sid } => {
                if let Some(membership) = &mut self.membership {
                    membership.end_stream(&sid);
                }
            }
            RoomEvent::AccessWanted(reply) => self.ask_for_access(reply),
            RoomEvent::Denied(denied) => self.handle_denied(denied).await,
            RoomEvent::KeyframeWanted => self.studio.force_keyframe(),
            RoomEvent::Quality(list) => {
                if let Some(membership) = &mut self.membership {
                    for (identity, quality) in list {
                        let user = user_of(&identity);
                        if user == membership.me {
                            membership.own_server_quality = Some(quality);
                        } else if let Some(remote) = membership.remotes.get_mut(&user) {
                            remote.server_quality = Some(quality);
                        }
                    }
                }
            }
            RoomEvent::Speakers(list) => {
                if let Some(membership) = &mut self.membership {
                    for (identity, level) in list {
                        if let Some(remote) = membership.remotes.get_mut(&user_of(&identity)) {
                            remote.server_level = (level * 100.0).clamp(0.0, 100.0) as u8;
                        }
                    }
                }
            }
            RoomEvent::Figures(figures) => {
                if let Some(membership) = &mut self.membership {
                    membership.take_figures(figures);
                }
            }
        }
    }

    /// The room lets this user in, but not do everything. What may not be sent is not captured either.
    async fn handle_denied(&mut self, denied: Denied) {
        let (code, message) = match denied {
            Denied::Send(Kind::Voice) => (Code::NoPrivilege, "You may not send your voice in this room."),
            Denied::Send(Kind::Picture) => (Code::NoVideoPrivilege, Code::NoVideoPrivilege.sentence()),
            Denied::Receive => (Code::NoPrivilege, "You may not receive everything in this room."),
        };
        self.report(Event::OnError { code: code.number(), message: message.to_owned() });
        match denied {
            Denied::Send(Kind::Voice) => {
                self.microphone_wanted = false;
                self.switch_microphone();
            }
            Denied::Send(Kind::Picture) => {
                self.camera_wanted = false;
                self.switch_camera().await;
            }
            Denied::Receive => {}
        }
    }

    /// Of a membership that is saying goodbye only its end is still news.
    fn handle_leaving(&mut self, id: MembershipId, event: RoomEvent) {
        if let (RoomEvent::CloseDevices, Some(leaving)) = (&event, self.leaving.get(&id)) {
            leaving.command(RoomCommand::DevicesClosed);
        } else if let RoomEvent::Happened(Happened::Ended(ending)) = event {
            let Some(left) = self.leaving.remove(&id) else { return };
            // A room that was only prepared was never entered as far as anybody knows.
            if left.has_begun() {
                self.report_exit(ending, matches!(left.what, What::Call(_)));
            }
        }
    }

    /// A room that is prepared while it rings is reported as entered when the call begins.
    pub(super) fn report_entered(&mut self) {
        let Some(membership) = self.membership.as_mut().filter(|membership| membership.has_begun()) else { return };
        if let Some(took) = membership.entered_after.take() {
            let result = i64::try_from(took.as_millis()).unwrap_or(i64::MAX).max(1);
            self.report(Event::OnEnterRoom { result });
        }
    }

    fn handle_happened(&mut self, happened: Happened) {
        let Some(membership) = &mut self.membership else { return };
        let remote = |membership: &mut Membership, identity: &str, change: &dyn Fn(&mut Remote)| {
            change(membership.remotes.entry(user_of(identity)).or_default());
        };
        match happened {
            Happened::Entered(took) => {
                membership.entered_at = Some(Instant::now());
                membership.entered_after = Some(took);
                self.report_entered();
            }
            Happened::Link(link) => membership.link = link,
            Happened::RemoteEntered(identity) => {
                remote(membership, &identity, &|remote| {
                    (remote.present, remote.left) = (true, None);
                    (remote.leave_told, remote.reconnecting) = (false, false);
                });
                self.report(Event::OnRemoteUserEnterRoom { user_id: user_of(&identity) });
            }
            Happened::RemoteLeft(identity, reason) => self.note_left(user_of(&identity), reason),
            Happened::RemoteReconnecting(identity, silent) => {
                remote(membership, &identity, &|remote| remote.reconnecting = silent);
            }
            Happened::ConnectionLost => self.report(Event::OnConnectionLost),
            Happened::TryToReconnect => self.report(Event::OnTryToReconnect),
            Happened::ConnectionRecovery => self.report(Event::OnConnectionRecovery),
            Happened::Ended(_) => {}
        }
    }

    /// Somebody is out of the room. Said once, by whoever hears of it first: the room or the call plane.
    pub(super) fn note_left(&mut self, user_id: UserId, reason: LeaveReason) {
        let Some(membership) = &mut self.membership else { return };
        let Some(remote) = membership.remotes.get_mut(&user_id).filter(|remote| remote.is_in()) else { return };
        remote.leave_told = true;
        remote.left = Some((reason, Instant::now()));
        remote.end_streams(|_| true);
        self.report(Event::OnRemoteUserLeaveRoom { user_id, reason });
    }

    fn handle_members(&mut self, members: Vec<Member>) {
        let Some(membership) = &mut self.membership else { return };
        let named: Vec<_> = members.into_iter().map(|member| (user_of(&member.identity), member)).collect();
        let before: std::collections::BTreeMap<_, _> =
            membership.remotes.iter().map(|(user, remote)| (user.clone(), (remote.voice, remote.picture))).collect();
        membership.set_members(&named);
        let changes: Vec<_> = membership
            .remotes
            .iter()
            .map(|(user, remote)| {
                (user.clone(), before.get(user).copied().unwrap_or_default(), (remote.voice, remote.picture))
            })
            .collect();
        for (user_id, (voice, picture), (voice_now, picture_now)) in changes {
            if voice != voice_now {
                let user_id = user_id.clone();
                self.report(Event::OnUserAudioAvailable { user_id, is_audio_available: voice_now });
            }
            if picture != picture_now {
                self.report(Event::OnUserVideoAvailable { user_id, is_video_available: picture_now });
            }
        }
    }

    fn handle_track(&mut self, identity: &str, track: RemoteTrack) {
        let user = user_of(identity);
        let id = self.new_picture();
        self.studio.open_speaker(&self.choices);
        let receiver = match track.kind {
            Kind::Voice => self.studio.listen(user.as_str()).map(Arc::new),
            Kind::Picture => None,
        };
        let screen = self.screen.borrow().clone();
        let events = self.incoming_tx.clone();
        let Some(membership) = &mut self.membership else { return };
        let remote = membership.remotes.entry(user.clone()).or_default();
        remote.end_streams(|stream| stream.sid == track.sid);
        let (sid, kind, ssrc) = (track.sid.clone(), track.kind, track.ssrc);
        let (road, picture) = match (kind, receiver) {
            (Kind::Voice, Some(receiver)) => {
                remote.receiver = Some(receiver.clone());
                (incoming::voice(track, user, receiver, events), None)
            }
            (Kind::Voice, None) => return,
            (Kind::Picture, _) => (incoming::picture(track, user, id, screen, events), Some(id)),
        };
        remote.streams.push(Stream { sid, kind, ssrc, road, picture });
        membership.has_flowed = true;
    }

    pub(super) fn handle_incoming(&mut self, event: IncomingEvent) {
        let Some(membership) = &mut self.membership else { return };
        let Some(from) = membership.clock_from else { return };
        let since = |at: Instant| u64::try_from(at.saturating_duration_since(from).as_millis()).unwrap_or(u64::MAX);
        match event {
            IncomingEvent::FirstVoice { user, at } => {
                let ms = since(at);
                membership.report.first_audio_ms.get_or_insert(ms);
                self.report(Event::OnFirstAudioFrame { user_id: user, ms });
            }
            IncomingEvent::FirstPicture { user, width, height, at } => {
                let ms = since(at);
                membership.report.first_video_ms.get_or_insert(ms);
                self.report(Event::OnFirstVideoFrame { user_id: user, width, height, ms });
            }
        }
    }

    pub(super) fn handle_outgoing(&mut self, event: OutgoingEvent) {
        match event {
            OutgoingEvent::PictureLine(open) => self.studio.send_picture(open),
        }
    }

    // ---- own devices ----

    /// Opens what is wanted. Only called once the local user has placed, accepted or entered.
    pub(super) fn open_devices(&mut self) {
        self.studio.open_speaker(&self.choices);
        self.studio.set_microphone(&self.choices, self.microphone_wanted);
        if self.camera_wanted {
            self.open_camera();
        }
    }

    fn open_camera(&mut self) {
        if self.studio.camera_is_open() {
            return;
        }
        let id = self.new_picture();
        let label = self.own_user().map_or_else(String::new, |user| user.as_str().to_owned());
        let sending = self.membership.as_ref().is_some_and(Membership::has_begun);
        self.studio.open_camera(&self.choices, &label, id, sending);
    }

    /// An open camera begins anew: what it sends has another format.
    pub(super) async fn reopen_camera(&mut self) {
        if self.studio.camera_is_open() {
            self.close_camera().await;
            self.open_camera();
        }
    }

    /// What was wrong with it is over.
    async fn close_camera(&mut self) {
        self.studio.close_camera().await;
        self.device_states.remove(&DeviceKind::Camera);
    }

    pub(super) fn own_user(&self) -> Option<&UserId> {
        let signed_in = self.signed_in.as_ref().map(|signed_in| signed_in.calls.user());
        self.membership.as_ref().map(|membership| &membership.me).or(signed_in)
    }

    pub(super) fn switch_microphone(&mut self) {
        let on = self.microphone_wanted;
        if self.studio.is_capturing() || self.membership.is_some() {
            self.studio.set_microphone(&self.choices, on);
        }
        if let Some(membership) = &self.membership {
            membership.command(RoomCommand::Switch { kind: Kind::Voice, on });
        }
    }

    /// The camera is closed when it is off: its light says so.
    pub(super) async fn switch_camera(&mut self) {
        let on = self.camera_wanted;
        if !on {
            self.close_camera().await;
        } else if self.studio.is_capturing() || self.membership.is_some() {
            self.open_camera();
        }
        if let Some(membership) = &self.membership {
            membership.command(RoomCommand::Switch { kind: Kind::Picture, on });
        }
    }

    pub(super) fn report_devices(&self) {
        let infos = |list: &[media::DeviceInfo]| -> Vec<DeviceInfo> {
            list.iter()
                .map(|device| DeviceInfo { device_id: device.id.clone(), device_name: device.name.clone() })
                .collect()
        };
        let current = |kind, choice: &DeviceChoice, list: &[media::DeviceInfo]| match choice {
            DeviceChoice::Device(id) => id.clone(),
            DeviceChoice::System => list.iter().find(|d| d.is_default).map(|d| d.id.clone()).unwrap_or_default(),
            DeviceChoice::File(_) => "file".to_owned(),
            DeviceChoice::Synthetic(_) => match kind {
                DeviceKind::Camera => "pattern".to_owned(),
                DeviceKind::Microphone | DeviceKind::Speaker => "tone".to_owned(),
            },
            DeviceChoice::None => String::new(),
        };
        let list = &self.devices;
        self.report(Event::OnDeviceUpdated {
            microphone_list: infos(&list.microphones),
            camera_list: infos(&list.cameras),
            speaker_list: infos(&list.speakers),
            current_microphone_id: current(DeviceKind::Microphone, &self.choices.microphone, &list.microphones),
            current_camera_id: current(DeviceKind::Camera, &self.choices.camera, &list.cameras),
            current_speaker_id: current(DeviceKind::Speaker, &self.choices.speaker, &list.speakers),
        });
    }

    /// The numbers of the present membership, else of the last.
    pub(super) fn report_now(&self) -> Report {
        self.membership.as_ref().map_or_else(|| self.last_report.clone(), Membership::full_report)
    }
}

/// A guest from elsewhere may be called anything: what is no user id becomes one, the same each time.
fn user_of(identity: &str) -> UserId {
    if let Ok(user) = UserId::new(identity) {
        return user;
    }
    let word = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' };
    let hash = identity.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    let text: String = identity.chars().take(20).map(word).collect();
    UserId::new(format!("{text}-{hash:08x}")).expect("at most 29 characters of the allowed ones")
}

/// What a room token says of itself; its signature is the server's matter.
struct Claims {
    user: UserId,
    room: String,
}

impl Claims {
    fn read(token: &str) -> Option<Self> {
        let payload = token.split('.').nth(1)?;
        let json = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(payload).ok()?;
        let claims: serde_json::Value = serde_json::from_slice(&json).ok()?;
        let user = user_of(claims.get("sub")?.as_str()?);
        let wire = claims.get("video")?.get("room")?.as_str()?;
        let room = wire.strip_prefix("n:").or(wire.strip_prefix("s:")).unwrap_or(wire).to_owned();
        Some(Self { user, room })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guest_with_a_foreign_name_gets_a_user_id_that_stays() {
        assert_eq!(user_of("bob").as_str(), "bob");
        let guest = user_of("Zoë from München, with a very long name indeed");
        assert_eq!(guest, user_of("Zoë from München, with a very long name indeed"));
        assert_ne!(guest, user_of("Zoë from München, with a very long name instead"));
    }

    #[test]
    fn a_text_that_is_no_token_is_refused() {
        assert!(Claims::read("").is_none());
        assert!(Claims::read("a.b.c").is_none());
    }
}
