// Stand-in until the generated file lands.
/* eslint-disable */
import { invoke as TAURI_INVOKE } from '@tauri-apps/api/core';
import { listen, type EventCallback } from '@tauri-apps/api/event';
export type Result<T, E> = { status: 'ok'; data: T } | { status: 'error'; error: E };
async function r<T>(name: string, args?: Record<string, unknown>): Promise<Result<T, Refusal>> {
  try { return { status: 'ok', data: await TAURI_INVOKE(name, args) }; }
  catch (e) { if (e instanceof Error) throw e; return { status: 'error', error: e as Refusal }; }
}
export const commands = {
  async getView(): Promise<View> { return await TAURI_INVOKE('get_view'); },
  async signIn(server: string, user: string, ticket: string, remember: boolean) { return r<null>('sign_in', { server, user, ticket, remember }); },
  async signInRemembered() { return r<null>('sign_in_remembered'); },
  async forgetSignIn() { return r<null>('forget_sign_in'); },
  async signOut() { return r<null>('sign_out'); },
  async call(callees: string[], media: CallMedia) { return r<null>('call', { callees, media }); },
  async accept(camera: boolean) { return r<null>('accept', { camera }); },
  async reject() { return r<null>('reject'); },
  async hangup() { return r<null>('hangup'); },
  async enterRoom(room: RoomChoice, camera: boolean) { return r<null>('enter_room', { room, camera }); },
  async exitRoom() { return r<null>('exit_room'); },
  async setMicrophone(on: boolean) { return r<null>('set_microphone', { on }); },
  async setCamera(on: boolean) { return r<null>('set_camera', { on }); },
  async selectMicrophone(choice: ChoiceView) { return r<null>('select_microphone', { choice }); },
  async selectSpeaker(choice: ChoiceView) { return r<null>('select_speaker', { choice }); },
  async selectCamera(choice: ChoiceView) { return r<null>('select_camera', { choice }); },
  async dismissEnded() { return r<null>('dismiss_ended'); },
  async hostStart() { return r<null>('host_start'); },
  async hostInvite(user: string) { return r<Invitation>('host_invite', { user }); },
  async videoLane(): Promise<VideoLane> { return await TAURI_INVOKE('video_lane'); },
};
export const events = {
  viewChanged: { listen: (cb: EventCallback<ViewChanged>) => listen('view-changed', cb) },
  levelsChanged: { listen: (cb: EventCallback<LevelsChanged>) => listen('levels-changed', cb) },
};
export type View = { session: SessionView; stage: StageView; devices: DevicesView; remembered: RememberedView | null; host: HostView; version: string };
export type SessionView = { kind: 'signedOut'; refused: Refusal | null } | { kind: 'signingIn'; user: string } | { kind: 'online'; user: string } | { kind: 'offline'; user: string } | { kind: 'kickedOffline'; user: string } | { kind: 'ticketExpired'; user: string };
export type StageView = { kind: 'idle' } | { kind: 'calling'; call: string; callees: string[]; media: CallMedia; ringing: boolean } | { kind: 'incoming'; call: string; caller: string; others: string[]; media: CallMedia } | { kind: 'entering'; room: string } | { kind: 'live'; live: LiveView } | { kind: 'ended'; ended: EndedView };
export type LiveView = { call: string | null; room: string; media: CallMedia; role: Role; beganAt: number; link: LinkView; people: PersonView[] };
export type CallMedia = 'voice' | 'video';
export type Role = 'unknown' | 'caller' | 'called';
export type LinkView = 'connecting' | 'up' | 'reconnecting';
export type PersonView = { user: string; local: boolean; presence: PresenceView; microphone: boolean; picture: number | null; quality: QualityView };
export type PresenceView = { kind: 'ringing' } | { kind: 'connecting' } | { kind: 'in' } | { kind: 'reconnecting' } | { kind: 'left'; reason: LeaveView };
export type LeaveView = 'left' | 'timedOut' | 'removed';
export type QualityView = 'unknown' | 'excellent' | 'good' | 'poor' | 'bad' | 'veryBad' | 'down';
export type EndedView = { kind: 'call'; media: CallMedia; reason: EndReasonView; by: string; with: string[]; seconds: number | null } | { kind: 'room'; reason: ExitView; by: string | null; seconds: number } | { kind: 'failed'; refusal: Refusal };
export type EndReasonView = 'unknown' | 'hangup' | 'reject' | 'noResponse' | 'offline' | 'lineBusy' | 'canceled' | 'otherDeviceAccepted' | 'otherDeviceReject' | 'endByServer';
export type ExitView = 'own' | 'removed' | 'dismissed';
export type DevicesView = { microphones: DeviceView[]; speakers: DeviceView[]; cameras: DeviceView[]; microphone: ChoiceView; speaker: ChoiceView; camera: ChoiceView; microphoneOn: boolean; cameraOn: boolean; cameraIsSynthetic: boolean; trouble: TroubleView[]; preview: number | null };
export type DeviceView = { id: string; name: string; isDefault: boolean };
export type ChoiceView = { kind: 'system' } | { kind: 'device'; id: string } | { kind: 'file'; path: string } | { kind: 'tone'; hertz: number } | { kind: 'pattern'; label: string } | { kind: 'none' };
export type DeviceKindView = 'microphone' | 'speaker' | 'camera';
export type TroubleView = { device: DeviceKindView; refusal: Refusal };
export type Refusal = { code: number; message: string };
export type RememberedView = { server: string; user: string; keptIn: KeptIn };
export type KeptIn = 'keyring' | 'file';
export type HostView = { kind: 'off' } | { kind: 'starting' } | { kind: 'running'; url: string } | { kind: 'failed'; refusal: Refusal };
export type Invitation = { server: string; user: string; ticket: string };
export type RoomChoice = { kind: 'number'; number: number } | { kind: 'text'; text: string };
export type VideoLane = { url: string; secret: string };
export type ViewChanged = View;
export type LevelsChanged = { volume: { [key: string]: number }; figures: { [key: string]: FiguresView } };
export type FiguresView = { lossPerMille: number; roundTripMs: number; jitterMs: number; bitsPerSecond: number };
