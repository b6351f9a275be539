//! What the web view may ask for. A command translates and hands on; it decides nothing.

use crate::shell::{Remember, Shell};
use crate::view::{CallMedia, ChoiceView, Invitation, QuietView, Refusal, RoomChoice, VideoLane, View};
use engine::api::{Intent, Rotation, Secret, VideoEncoderParams, VideoRenderParams, VideoResolution};
use protocol::{CallId, UserId};
use std::sync::Arc;
use tauri::State;

type Desk<'a> = State<'a, Arc<Shell>>;
type Done = Result<(), Refusal>;

fn user_id(text: String) -> Result<UserId, Refusal> {
    UserId::new(text).map_err(|error| Refusal { code: -3319, message: format!("{error}.") })
}

fn call_id(text: String) -> Result<CallId, Refusal> {
    CallId::new(text).map_err(|error| Refusal::bad_parameter(format!("{error}.")))
}

/// The view as it is; later ones come by [`crate::view::ViewChanged`].
#[tauri::command]
#[specta::specta]
pub fn get_view(shell: Desk) -> View {
    shell.view()
}

/// Connects to a server; with `remember` the sign-in is kept for the next start once the server has accepted it, without it
/// what was kept of this user at this server is forgotten.
#[tauri::command]
#[specta::specta]
pub async fn sign_in(shell: Desk<'_>, server: String, user: String, ticket: String, remember: bool) -> Done {
    let remember = if remember { Remember::Keep } else { Remember::Forget };
    shell.sign_in(&server, user_id(user)?, Secret(ticket.trim().to_owned()), remember).await
}

/// Signs in with what this computer remembers.
#[tauri::command]
#[specta::specta]
pub async fn sign_in_remembered(shell: Desk<'_>) -> Done {
    shell.sign_in_remembered().await
}

/// Forgets the remembered sign-in.
#[tauri::command]
#[specta::specta]
pub async fn forget_sign_in(shell: Desk<'_>) -> Done {
    shell.forget_sign_in().await
}

/// Leaves whatever is under way and disconnects.
#[tauri::command]
#[specta::specta]
pub async fn sign_out(shell: Desk<'_>) -> Done {
    shell.request(Intent::SignOut).await
}

/// Rings 1 to 8 people.
#[tauri::command]
#[specta::specta]
pub async fn call(shell: Desk<'_>, callees: Vec<String>, media: CallMedia) -> Done {
    let callees = callees.into_iter().map(user_id).collect::<Result<Vec<_>, _>>()?;
    let media = media.into();
    shell.request(Intent::Call { callees, media, user_data: String::new(), timeout: None, room: None }).await
}

/// Answers the ringing call; `camera: false` is "voice only".
#[tauri::command]
#[specta::specta]
pub async fn accept(shell: Desk<'_>, camera: bool) -> Done {
    shell.request(Intent::Accept { camera }).await
}

/// Declines the ringing call.
#[tauri::command]
#[specta::specta]
pub async fn reject(shell: Desk<'_>) -> Done {
    shell.request(Intent::Reject).await
}

/// Takes back or ends the call.
#[tauri::command]
#[specta::specta]
pub async fn hangup(shell: Desk<'_>) -> Done {
    shell.request(Intent::Hangup).await
}

/// Rings 1 to 8 more people for the present call. `add_person` makes a call for two a call for more.
#[tauri::command]
#[specta::specta]
pub async fn invite_user(shell: Desk<'_>, users: Vec<String>, add_person: bool) -> Done {
    let users = users.into_iter().map(user_id).collect::<Result<Vec<_>, _>>()?;
    shell.request(Intent::InviteUser { users, user_data: String::new(), timeout: None, add_person }).await
}

/// Enters a running call of the cards.
#[tauri::command]
#[specta::specta]
pub async fn join(shell: Desk<'_>, call: String, camera: bool) -> Done {
    let call = Some(call_id(call)?);
    shell.request(Intent::JoinCall { call, camera }).await
}

/// Makes the running video call for two a voice call.
#[tauri::command]
#[specta::specta]
pub async fn switch_to_voice(shell: Desk<'_>) -> Done {
    shell.request(Intent::SwitchCallMediaType(protocol::CallMediaType::Voice)).await
}

/// Says how this user calls themselves; both may be empty.
#[tauri::command]
#[specta::specta]
pub async fn set_self_info(shell: Desk<'_>, nickname: String, avatar: String) -> Done {
    let (nickname, avatar) = (nickname.trim().to_owned(), avatar.trim().to_owned());
    shell.request(Intent::SetSelfInfo(protocol::Profile { nickname, avatar })).await
}

/// Lets several devices of this user be signed in and ring; or the later one takes over.
#[tauri::command]
#[specta::specta]
pub async fn enable_multi_device(shell: Desk<'_>, enable: bool) -> Done {
    shell.request(Intent::EnableMultiDevice(enable)).await
}

/// Deletes records of calls, for this user.
#[tauri::command]
#[specta::specta]
pub async fn delete_record_calls(shell: Desk<'_>, calls: Vec<String>) -> Done {
    let calls = calls.into_iter().map(call_id).collect::<Result<Vec<_>, _>>()?;
    shell.request(Intent::DeleteRecordCalls(calls)).await
}

/// Hands in a new ticket; a running call goes on.
#[tauri::command]
#[specta::specta]
pub async fn renew_ticket(shell: Desk<'_>, ticket: String) -> Done {
    shell.renew_ticket(Secret(ticket.trim().to_owned())).await
}

/// The largest picture that the own camera sends, from now on: 108 (360p), 110 (540p), 112 (720p) or 114 (1080p).
#[tauri::command]
#[specta::specta]
pub async fn set_video_encoder_params(shell: Desk<'_>, resolution: u32, portrait: bool) -> Done {
    let resolution = VideoResolution::from_number(resolution)
        .ok_or_else(|| Refusal::bad_parameter("A resolution is 108, 110, 112 or 114."))?;
    shell.request(Intent::VideoEncoderParams(VideoEncoderParams { resolution, portrait })).await
}

/// How somebody's picture is shown; `rotation` in degrees: 0, 90, 180 or 270.
#[tauri::command]
#[specta::specta]
pub async fn set_video_render_params(shell: Desk<'_>, user: String, fit: bool, rotation: u32) -> Done {
    let rotation =
        Rotation::from_degrees(rotation).ok_or_else(|| Refusal::bad_parameter("A rotation is 0, 90, 180 or 270."))?;
    let params = VideoRenderParams { fit, rotation };
    shell.request(Intent::VideoRenderParams { user: user_id(user)?, params }).await
}

/// What an incoming call does here.
#[tauri::command]
#[specta::specta]
pub async fn set_quiet(shell: Desk<'_>, quiet: QuietView) -> Done {
    shell.set_quiet(quiet).await
}

/// Enters a room without a call.
#[tauri::command]
#[specta::specta]
pub async fn enter_room(shell: Desk<'_>, room: RoomChoice, camera: bool) -> Done {
    let room = room.try_into()?;
    shell.request(Intent::EnterRoom { room, camera, key: None }).await
}

/// Leaves the room.
#[tauri::command]
#[specta::specta]
pub async fn exit_room(shell: Desk<'_>) -> Done {
    shell.request(Intent::ExitRoom).await
}

/// Own microphone on or off.
#[tauri::command]
#[specta::specta]
pub async fn set_microphone(shell: Desk<'_>, on: bool) -> Done {
    shell.request(Intent::Microphone(on)).await
}

/// Own camera on or off.
#[tauri::command]
#[specta::specta]
pub async fn set_camera(shell: Desk<'_>, on: bool) -> Done {
    shell.request(Intent::Camera(on)).await
}

/// Which microphone, from now on and in the next call.
#[tauri::command]
#[specta::specta]
pub async fn select_microphone(shell: Desk<'_>, choice: ChoiceView) -> Done {
    shell.request(Intent::SelectMicrophone(choice.into())).await
}

/// Which speaker, from now on and in the next call.
#[tauri::command]
#[specta::specta]
pub async fn select_speaker(shell: Desk<'_>, choice: ChoiceView) -> Done {
    shell.request(Intent::SelectSpeaker(choice.into())).await
}

/// Which camera, from now on and in the next call.
#[tauri::command]
#[specta::specta]
pub async fn select_camera(shell: Desk<'_>, choice: ChoiceView) -> Done {
    shell.request(Intent::SelectCamera(choice.into())).await
}

/// The person has read why the last call or room ended.
#[tauri::command]
#[specta::specta]
pub async fn dismiss_ended(shell: Desk<'_>) -> Done {
    shell.request(Intent::DismissEnded).await
}

/// "Host on this computer": starts the embedded server, once.
#[tauri::command]
#[specta::specta]
pub async fn host_start(shell: Desk<'_>) -> Done {
    shell.host_start().await
}

/// Mints what lets a user sign in at the embedded server.
#[tauri::command]
#[specta::specta]
pub async fn host_invite(shell: Desk<'_>, user: String) -> Result<Invitation, Refusal> {
    shell.host_invite(&user_id(user)?).await
}

/// Where pictures come from.
#[tauri::command]
#[specta::specta]
pub fn video_lane(shell: Desk) -> VideoLane {
    shell.video_lane()
}
