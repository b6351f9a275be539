/** Every screen in every state, for eyes, for photographs and for the tests. */

import type {
  DevicesView,
  EndedView,
  EndReasonView,
  Event,
  LevelsChanged,
  LiveView,
  PersonView,
  QualityView,
  Refusal,
  StageView,
  View,
} from '../bindings';
import { book, missed, noBook, NOW, recent } from './book';

export interface GalleryState {
  /** In the address: `gallery.html?state=…`. */
  id: string;
  title: string;
  view: View | null;
  frozen?: number[];
  waiting?: number[];
  levels?: Record<string, number>;
  /** Done after the screen is there: selectors to click, or text to type into one. */
  steps?: ({ click: string } | { type: string; text: string })[];
  /** What the engine reports then. */
  events?: Event[];
  /** Requests that are never answered. */
  silent?: string[];
  /** Requests that are refused. */
  refuse?: Record<string, Refusal>;
}

const ME = 'alice';

export const devices: DevicesView = {
  microphones: [
    { id: 'mic-1', name: 'Built-in microphone', isDefault: true },
    { id: 'mic-2', name: 'Jabra Evolve2 65', isDefault: false },
  ],
  speakers: [
    { id: 'spk-1', name: 'Built-in speakers', isDefault: true },
    { id: 'spk-2', name: 'Jabra Evolve2 65', isDefault: false },
  ],
  cameras: [{ id: 'cam-1', name: 'FaceTime HD camera', isDefault: true }],
  microphone: { kind: 'system' },
  speaker: { kind: 'system' },
  camera: { kind: 'system' },
  resolution: 112,
  microphoneOn: true,
  cameraOn: true,
  cameraIsSynthetic: false,
  trouble: [],
  preview: null,
};

/** Before and after calls. */
const idle: DevicesView = { ...devices, microphoneOn: false, cameraOn: false };

export const base: View = {
  book: noBook,
  quiet: 'off',
  session: { kind: 'online', user: ME },
  stage: { kind: 'idle' },
  devices: idle,
  remembered: null,
  host: { kind: 'off' },
  version: '0.1.0',
};

export function person(user: string, over: Partial<PersonView> = {}): PersonView {
  const local = user === ME;
  return {
    user,
    local,
    presence: { kind: 'in' },
    microphone: true,
    picture: null,
    quality: 'good',
    fit: false,
    rotation: 0,
    ...over,
  };
}

export function live(people: PersonView[], over: Partial<LiveView> = {}): StageView {
  const call: LiveView = {
    call: 'c1',
    room: '4711',
    media: 'video',
    role: 'caller',
    beganAt: NOW - 257_000,
    link: 'up',
    group: people.length > 2,
    people,
    ...over,
  };
  return { kind: 'live', live: call };
}

type Incoming = Extract<StageView, { kind: 'incoming' }>;
const ringing = (over: Partial<Incoming> = {}): Incoming => {
  return { kind: 'incoming', call: 'c1', caller: 'bob', others: [], media: 'video', answering: false, ...over };
};

const camera = { ...devices, preview: 6 };
const me = person(ME, { picture: 6, quality: 'excellent' });
const bob = person('bob', { picture: 7 });
const pair = (stage: Partial<LiveView> = {}, over: Partial<PersonView> = {}, own: Partial<DevicesView> = {}): View => ({
  ...base,
  devices: { ...camera, ...own },
  stage: live(
    [
      { ...me, picture: own.cameraOn === false ? null : me.picture },
      { ...bob, ...over },
    ],
    stage,
  ),
});

const noMicrophone = { code: -1317, message: 'No microphone was found. Others will not hear you' };
const denied = { code: -1314, message: 'The system does not let Ahoy use the camera. Allow it in the system settings' };
const lost = { code: -1319, message: 'It was unplugged. The call goes on without it' };

function endedCall(
  reason: EndReasonView,
  by: string,
  seconds: number | null,
  media: 'voice' | 'video' = 'video',
): View {
  const ended: EndedView = { kind: 'call', media, reason, by, with: ['bob'], seconds };
  return { ...base, stage: { kind: 'ended', ended } };
}

const group: [string, QualityView, number | null][] = [
  ['chiara', 'excellent', 8],
  ['daniel', 'poor', 9],
  ['emi', 'good', null],
  ['farid', 'veryBad', 10],
  ['grace', 'unknown', null],
];

const planning: View = {
  ...base,
  devices: camera,
  stage: live(
    [
      me,
      ...group.map(([user, quality, picture]) =>
        person(user, {
          quality,
          picture,
          microphone: user !== 'emi',
          presence: user === 'grace' ? { kind: 'ringing', until: NOW + 12_000 } : { kind: 'in' },
        }),
      ),
    ],
    { beganAt: NOW - 1_862_000, room: 'Planning' },
  ),
};

export const levels: LevelsChanged = {
  volume: { alice: 4, bob: 62, chiara: 70, daniel: 6, farid: 18 },
  figures: Object.fromEntries(
    ['alice', 'bob', 'chiara', 'daniel', 'farid'].map((user) => [
      user,
      { lossPerMille: 4, roundTripMs: 38, jitterMs: 6, bitsPerSecond: 1_380_000 },
    ]),
  ),
};

export const states: GalleryState[] = [
  { id: 'loading', title: 'Starting', view: null },
  { id: 'signin', title: 'Sign in', view: { ...base, session: { kind: 'signedOut', refused: null } } },
  {
    id: 'signin-remembered',
    title: 'Sign in, remembered',
    view: {
      ...base,
      session: { kind: 'signedOut', refused: null },
      remembered: { server: 'http://calls.example.org:7880', user: ME, keptIn: 'keyring' },
    },
  },
  {
    id: 'signin-kept-in-file',
    title: 'Sign in, remembered without a keyring',
    view: {
      ...base,
      session: { kind: 'signedOut', refused: null },
      remembered: { server: 'http://calls.example.org:7880', user: ME, keptIn: 'file' },
    },
  },
  {
    id: 'signin-empty',
    title: 'Sign in, fields missing',
    view: { ...base, session: { kind: 'signedOut', refused: null } },
    steps: [{ click: '[data-testid=signin-submit]' }],
  },
  {
    id: 'signin-wrong-ticket',
    title: 'Wrong ticket',
    view: {
      ...base,
      session: { kind: 'signedOut', refused: { code: -70013, message: 'This ticket belongs to another user' } },
    },
  },
  {
    id: 'signin-no-server',
    title: 'No server',
    view: {
      ...base,
      session: { kind: 'signedOut', refused: { code: -1301, message: 'No server answers at calls.example.org:7880' } },
    },
  },
  { id: 'signin-busy', title: 'Signing in', view: { ...base, session: { kind: 'signingIn', user: ME } } },
  {
    id: 'signin-host',
    title: 'Host on this computer',
    view: { ...base, session: { kind: 'signedOut', refused: null } },
    steps: [{ click: '[data-testid=signin-host]' }],
  },
  { id: 'signin-kicked', title: 'Kicked offline', view: { ...base, session: { kind: 'kickedOffline', user: ME } } },
  { id: 'signin-expired', title: 'Ticket expired', view: { ...base, session: { kind: 'ticketExpired', user: ME } } },

  { id: 'start', title: 'Start', view: base },
  {
    id: 'start-typed',
    title: 'Start, somebody typed',
    view: base,
    steps: [{ type: '[data-testid=dial-user]', text: 'bob' }],
  },
  {
    id: 'start-busy',
    title: 'Start, calling',
    view: base,
    silent: ['call'],
    steps: [{ type: '[data-testid=dial-user]', text: 'bob' }, { click: '[data-testid=dial-video]' }],
  },
  {
    id: 'start-wrong',
    title: 'Start, wrong id',
    view: base,
    steps: [{ type: '[data-testid=dial-user]', text: 'bob smith' }],
  },
  {
    id: 'start-refused',
    title: 'Start, unknown person',
    view: base,
    refuse: { call: { code: -1202, message: 'Nobody with the id bob has ever signed in here' } },
    steps: [{ type: '[data-testid=dial-user]', text: 'bob' }, { click: '[data-testid=dial-voice]' }],
  },
  {
    id: 'start-several',
    title: 'Start, several chosen',
    view: base,
    steps: [
      { type: '[data-testid=dial-user]', text: 'bob' },
      { click: '[data-testid=dial-user-add]' },
      { type: '[data-testid=dial-user]', text: 'chiara' },
    ],
  },
  { id: 'start-book', title: 'Start, recent and running calls', view: { ...base, book } },
  {
    id: 'start-missed',
    title: 'Start, missed calls alone',
    view: { ...base, book: { ...noBook, recent: [recent[0] ?? missed, missed] } },
    steps: [{ click: '[data-testid=recent-missed]' }],
  },
  { id: 'start-quiet', title: 'Start, do not disturb', view: { ...base, quiet: 'doNotDisturb' } },
  { id: 'start-room', title: 'Start, room', view: base, steps: [{ click: '[data-testid=way-room]' }] },
  { id: 'start-offline', title: 'Server offline', view: { ...base, session: { kind: 'offline', user: ME } } },
  {
    id: 'start-no-microphone',
    title: 'No device',
    view: {
      ...base,
      devices: { ...idle, microphones: [], trouble: [{ device: 'microphone', refusal: noMicrophone }] },
    },
  },
  {
    id: 'start-denied',
    title: 'Permission denied',
    view: { ...base, devices: { ...idle, trouble: [{ device: 'camera', refusal: denied }] } },
  },
  {
    id: 'start-hosting',
    title: 'Hosting',
    view: { ...base, host: { kind: 'running', url: 'http://192.168.1.20:7880' } },
  },
  {
    id: 'invite',
    title: 'Invite',
    view: { ...base, host: { kind: 'running', url: 'http://192.168.1.20:7880' } },
    steps: [
      { click: '[data-testid=rail-invite]' },
      { type: '[data-testid=invite-user]', text: 'bob' },
      { click: '[data-testid=invite-submit]' },
    ],
  },
  { id: 'settings', title: 'Settings', view: base, steps: [{ click: '[data-testid=rail-settings]' }] },
  {
    id: 'settings-theme',
    title: 'Settings, theme list',
    view: base,
    steps: [{ click: '[data-testid=rail-settings]' }, { click: '[data-testid=settings-theme]' }],
  },
  {
    id: 'settings-in-call',
    title: 'Settings, in a call',
    view: pair({}, {}, { trouble: [{ device: 'camera', refusal: denied }] }),
    steps: [{ click: '[data-testid=banner-device-camera-settings]' }],
  },
  {
    id: 'settings-refused',
    title: 'Settings, refused',
    view: base,
    refuse: { setSelfInfo: { code: -1202, message: 'A nickname is one line of text' } },
    steps: [
      { click: '[data-testid=rail-settings]' },
      { type: '[data-testid=settings-nickname]', text: 'Alice' },
      { click: '[data-testid=settings-nickname-save]' },
    ],
  },
  {
    id: 'console',
    title: 'Events',
    view: base,
    events: [
      { event: 'onUserAccept', userId: 'bob' },
      { event: 'onUserJoin', userId: 'bob' },
    ],
    steps: [{ click: '[data-testid=rail-settings]' }, { click: '[data-testid=settings-console]' }],
  },
  { id: 'account', title: 'Account menu', view: base, steps: [{ click: '[data-testid=rail-account]' }] },

  {
    id: 'calling',
    title: 'Calling',
    view: {
      ...base,
      devices: camera,
      stage: { kind: 'calling', call: null, callees: ['bob'], media: 'video', ringing: false, ringUntil: null },
    },
    waiting: [6],
  },
  {
    id: 'calling-ringing',
    title: 'Ringing, own preview',
    view: {
      ...base,
      devices: camera,
      stage: { kind: 'calling', call: 'c1', callees: ['bob'], media: 'video', ringing: true, ringUntil: NOW + 24_000 },
    },
  },
  {
    id: 'calling-voice',
    title: 'Ringing, voice',
    view: {
      ...base,
      devices: { ...devices, cameraOn: false },
      stage: { kind: 'calling', call: 'c1', callees: ['bob'], media: 'voice', ringing: true, ringUntil: NOW + 24_000 },
    },
  },
  {
    id: 'calling-camera-off',
    title: 'Ringing, camera off',
    view: {
      ...base,
      devices: idle,
      stage: { kind: 'calling', call: 'c1', callees: ['bob'], media: 'video', ringing: true, ringUntil: NOW + 24_000 },
    },
  },

  {
    id: 'incoming-video',
    title: 'Incoming, video',
    view: { ...base, stage: ringing({ others: ['chiara', 'daniel'] }) },
  },
  {
    id: 'incoming-voice',
    title: 'Incoming, voice',
    view: { ...base, stage: ringing({ media: 'voice' }) },
  },
  {
    id: 'incoming-refused',
    title: 'Incoming, accepting failed',
    view: { ...base, stage: ringing() },
    refuse: { accept: { code: -1301, message: 'The server did not answer' } },
    steps: [{ click: '[data-testid=incoming-accept]' }],
  },
  {
    id: 'incoming-answering',
    title: 'Incoming, accepted, not yet confirmed',
    view: {
      ...base,
      devices,
      stage: ringing({ answering: true }),
    },
  },
  {
    id: 'incoming-small',
    title: 'Incoming, minimised',
    view: { ...base, stage: ringing() },
    steps: [{ click: '[data-testid=incoming-minimise]' }],
  },

  {
    id: 'incoming-undisturbed',
    title: 'Incoming, do not disturb',
    view: {
      ...base,
      quiet: 'doNotDisturb',
      stage: ringing(),
    },
  },

  {
    id: 'entering',
    title: 'Entering a room',
    view: { ...base, stage: { kind: 'entering', call: null, room: 'Planning' } },
  },
  {
    id: 'joining',
    title: 'Joining a running call',
    view: { ...base, stage: { kind: 'entering', call: 'c7', room: '' } },
  },
  {
    id: 'call-connecting',
    title: 'Connecting',
    view: pair({ link: 'connecting' }, { presence: { kind: 'connecting' }, picture: null, quality: 'unknown' }),
  },
  { id: 'call', title: 'In call', view: pair() },
  {
    id: 'call-voice',
    title: 'In call, voice',
    view: {
      ...base,
      devices: { ...devices, cameraOn: false },
      stage: live(
        [
          { ...me, picture: null },
          { ...bob, picture: null },
        ],
        { media: 'voice' },
      ),
    },
  },
  { id: 'call-camera-off', title: 'Camera off over there', view: pair({}, { picture: null, microphone: false }) },
  {
    id: 'call-own-off',
    title: 'Own devices off',
    view: pair({}, {}, { cameraOn: false, microphoneOn: false, preview: null }),
  },
  { id: 'call-frozen', title: 'Picture stopped', view: pair({}, { quality: 'down' }), frozen: [7] },
  { id: 'call-reconnecting', title: 'Reconnecting', view: pair({ link: 'reconnecting' }, { quality: 'down' }) },
  {
    id: 'call-peer-reconnecting',
    title: 'The other one reconnects',
    view: pair({}, { presence: { kind: 'reconnecting' } }),
  },
  {
    id: 'call-left',
    title: 'The other one left',
    view: pair({}, { presence: { kind: 'left', reason: 'timedOut' }, picture: null }),
  },
  {
    id: 'call-poor',
    title: 'Poor connection',
    view: {
      ...base,
      devices: camera,
      stage: live([
        { ...me, quality: 'bad' },
        { ...bob, quality: 'poor' },
      ]),
    },
  },
  {
    id: 'call-device-lost',
    title: 'Device lost',
    view: pair({}, {}, { trouble: [{ device: 'microphone', refusal: lost }] }),
  },
  { id: 'call-synthetic', title: 'Synthetic camera', view: pair({}, {}, { cameras: [], cameraIsSynthetic: true }) },
  {
    id: 'call-server-offline',
    title: 'Server offline in a call',
    view: { ...pair(), session: { kind: 'offline', user: ME } },
  },
  { id: 'call-swapped', title: 'Own view swapped', view: pair(), steps: [{ click: '[data-testid=own-view]' }] },
  { id: 'call-devices', title: 'Device menu', view: pair(), steps: [{ click: '[data-testid=call-mic-menu]' }] },
  { id: 'call-camera-menu', title: 'Camera menu', view: pair(), steps: [{ click: '[data-testid=call-camera-menu]' }] },
  { id: 'call-figures', title: 'Quality figures', view: pair(), steps: [{ click: '[data-testid=tile-bob-quality]' }] },
  { id: 'call-group', title: 'Group', view: planning },
  {
    id: 'call-notices',
    title: 'Notices',
    view: planning,
    events: [
      { event: 'onUserReject', userId: 'hana' },
      { event: 'onUserLineBusy', userId: 'ivo' },
      { event: 'onUserLineBusy', userId: 'jana' },
      { event: 'onUserNoResponse', userId: 'kim' },
      { event: 'onUserLeave', userId: 'lea' },
    ],
  },
  {
    id: 'call-add-people',
    title: 'Add people',
    view: planning,
    refuse: { inviteUser: { code: -1202, message: 'Nobody with the id zoe has ever signed in here' } },
    steps: [
      { click: '[data-testid=call-add-people]' },
      { type: '[data-testid=add-people-user]', text: 'hana' },
      { click: '[data-testid=add-people-user-add]' },
      { type: '[data-testid=add-people-user]', text: 'zoe' },
      { click: '[data-testid=add-people-submit]' },
    ],
  },
  {
    id: 'call-nine',
    title: 'Nine people',
    view: {
      ...base,
      devices: camera,
      stage: live([
        me,
        ...['bob', 'chiara', 'daniel', 'emi', 'farid', 'grace', 'hana', 'ivo'].map((user, index) =>
          person(user, { picture: index % 3 === 2 ? null : 7 + index }),
        ),
      ]),
    },
  },
  {
    id: 'call-expired',
    title: 'Ticket expired in a call',
    view: { ...pair(), session: { kind: 'ticketExpired', user: ME } },
  },
  {
    id: 'call-renew',
    title: 'A new ticket in a call',
    view: { ...pair(), session: { kind: 'ticketExpired', user: ME } },
    refuse: { renewTicket: { code: -70009, message: 'This ticket is damaged' } },
    steps: [
      { click: '[data-testid=banner-expired-renew]' },
      { type: '[data-testid=renew-ticket]', text: 'eJw' },
      { click: '[data-testid=renew-submit]' },
    ],
  },
  {
    id: 'call-kicked',
    title: 'Kicked offline in a call',
    view: { ...pair(), session: { kind: 'kickedOffline', user: ME } },
  },
  {
    id: 'room-alone',
    title: 'Alone in a room',
    view: { ...base, devices: camera, stage: live([me], { call: null, room: 'Planning' }) },
  },

  { id: 'ended-hangup', title: 'Ended', view: endedCall('hangup', 'bob', 257) },
  { id: 'ended-declined', title: 'Declined', view: endedCall('reject', 'bob', null) },
  { id: 'ended-busy', title: 'Busy', view: endedCall('lineBusy', 'bob', null) },
  { id: 'ended-no-answer', title: 'No answer', view: endedCall('noResponse', 'bob', null) },
  { id: 'ended-missed', title: 'Missed', view: endedCall('noResponse', ME, null, 'voice') },
  { id: 'ended-offline', title: 'Connection lost for too long', view: endedCall('offline', ME, 1860) },
  { id: 'ended-elsewhere', title: 'Answered elsewhere', view: endedCall('otherDeviceAccepted', ME, null) },
  {
    id: 'ended-removed',
    title: 'Removed',
    view: { ...base, stage: { kind: 'ended', ended: { kind: 'room', reason: 'removed', by: null, seconds: 1862 } } },
  },
  {
    id: 'ended-dismissed',
    title: 'Dismissed',
    view: { ...base, stage: { kind: 'ended', ended: { kind: 'room', reason: 'dismissed', by: null, seconds: 1862 } } },
  },
  {
    id: 'ended-failed',
    title: 'Failed',
    view: {
      ...base,
      stage: {
        kind: 'ended',
        ended: { kind: 'failed', refusal: { code: -3301, message: 'The room could not be entered' } },
      },
    },
  },
];
