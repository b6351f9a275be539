import { screen, waitFor } from '@testing-library/svelte';
import userEvent from '@testing-library/user-event';
import { tick } from 'svelte';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Refusal, StageView, View } from '../src/bindings';
import { show, type Shown } from '../src/gallery/show';
import { base, devices, levels, live, person, states } from '../src/gallery/states';

const ringer = vi.hoisted(() => ({ rings: 0 }));
vi.mock('../src/lib/ringer', () => ({
  ring: () => {
    ringer.rings += 1;
    return () => (ringer.rings -= 1);
  },
  ringback: () => () => undefined,
}));

let shown: Shown;
const user = userEvent.setup();

async function open(id: string): Promise<Shown> {
  const state = states.find((candidate) => candidate.id === id);
  if (!state) throw new Error(`no state ${id}`);
  return openView(state.view ?? base, state.silent);
}

async function openView(view: View, silent?: string[]): Promise<Shown> {
  const target = document.createElement('div');
  document.body.append(target);
  shown = await show({ id: 'test', title: 'test', view, silent }, target);
  return shown;
}

const asked = () => shown.backend.asked.map(({ name, args }) => [name, ...args]);
const byId = (id: string) => screen.getByTestId(id);
const there = (id: string) => screen.queryByTestId(id) !== null;
const stage = async (next: StageView) => {
  shown.backend.push({ ...base, stage: next });
  await tick();
};

afterEach(async () => {
  vi.useRealTimers();
  await shown.close();
  document.body.innerHTML = '';
});

describe('signing in', () => {
  it('asks for what is missing before it asks the server', async () => {
    await open('signin');
    await user.click(byId('signin-submit'));
    expect(asked()).toEqual([]);
    expect(byId('signin-server')).toHaveAttribute('aria-invalid', 'true');
  });

  it('sends address, user and ticket, and takes http for granted', async () => {
    await open('signin');
    await user.type(byId('signin-server'), ' calls.example.org:7880');
    await user.type(byId('signin-user'), 'alice');
    await user.type(byId('signin-ticket'), 'eJw');
    await user.keyboard('{Enter}');
    expect(asked()).toEqual([['signIn', 'http://calls.example.org:7880', 'alice', 'eJw', true]]);
  });

  it('continues with what is remembered', async () => {
    await open('signin-remembered');
    await user.click(byId('signin-remembered'));
    expect(asked()).toEqual([['signInRemembered']]);
  });

  it('forgets what is remembered, in the form too', async () => {
    await open('signin-remembered');
    expect(byId('signin-user')).toHaveValue('alice');
    await user.click(byId('signin-forget'));
    expect(asked()).toEqual([['forgetSignIn']]);
    shown.backend.push({ ...shown.backend.view, remembered: null });
    await tick();
    expect(there('signin-remembered')).toBe(false);
    expect(byId('signin-user')).toHaveValue('');
    expect(byId('signin-server')).toHaveFocus();
  });

  it('says why it was refused, with the code', async () => {
    await open('signin-wrong-ticket');
    expect(byId('signin-error')).toHaveTextContent('This ticket belongs to another user. Code -70013');
    expect(byId('signin-error')).toHaveAttribute('role', 'alert');
  });

  it('hosts on this computer: starts the server, mints a ticket, signs in', async () => {
    await open('signin');
    await user.click(byId('signin-host'));
    expect(there('signin-ticket')).toBe(false);
    await user.type(byId('signin-user'), 'bob{Enter}');
    await waitFor(() => expect(asked().map(([name]) => name)).toEqual(['hostStart', 'hostInvite', 'signIn']));
  });
});

describe('the start screen', () => {
  it.each([
    ['dial-video', 'video'],
    ['dial-voice', 'voice'],
  ])('%s places a call', async (id, media) => {
    await open('start');
    await user.type(byId('dial-user'), 'bob');
    await user.click(byId(id));
    expect(asked()).toEqual([['call', ['bob'], media]]);
  });

  it('calls nobody by a wrong id, nor oneself', async () => {
    await open('start');
    await user.type(byId('dial-user'), 'alice{Enter}');
    expect(asked()).toEqual([]);
    await user.type(byId('dial-user'), ' b{Enter}');
    expect(asked()).toEqual([]);
    expect(byId('dial-user')).toHaveAttribute('aria-invalid', 'true');
  });

  it('has no call buttons to press while the server is away, and says why', async () => {
    await open('start-offline');
    expect(byId('dial-video')).toBeDisabled();
    expect(byId('banner-offline')).toHaveTextContent('Until then nobody can call you.');
  });

  it('tells a numbered room from a named one', async () => {
    await open('start-room');
    await user.click(byId('way-room'));
    await user.type(byId('dial-room'), '4711');
    await user.click(byId('room-voice'));
    await user.clear(byId('dial-room'));
    await user.type(byId('dial-room'), 'Planning');
    await user.click(byId('room-video'));
    await user.clear(byId('dial-room'));
    await user.type(byId('dial-room'), '"4711"');
    await user.click(byId('room-video'));
    expect(asked()).toEqual([
      ['enterRoom', { kind: 'number', number: 4711 }, false],
      ['enterRoom', { kind: 'text', text: 'Planning' }, true],
      ['enterRoom', { kind: 'text', text: '4711' }, true],
    ]);
  });

  it('shows a refusal until it is closed', async () => {
    await open('start');
    shown.backend.refusals.set('call', { code: -1202, message: 'nobody with this id is known' });
    await user.type(byId('dial-user'), 'zoe{Enter}');
    expect(byId('banner-refused')).toHaveTextContent('Nobody with this id is known. Code -1202');
    byId('banner-refused-close').focus();
    await user.keyboard('{Enter}');
    expect(there('banner-refused')).toBe(false);
    expect(screen.getByRole('heading', { level: 1 })).toHaveFocus();
  });

  it('has what was typed, and says why, when the call is refused on its way', async () => {
    await openView(base, ['call']);
    await user.type(byId('dial-user'), 'zoe');
    const refusal = { code: -1202, message: 'nobody with this id is known' };
    const call = Promise.resolve({ status: 'error' as const, error: refusal });
    await stage({ kind: 'calling', call: null, callees: ['zoe'], media: 'voice', ringing: false, ringUntil: null });
    expect(byId('calling-state')).toHaveTextContent('Calling…');
    // Answer and view come in either order.
    await shown.desk.ask('voice', call);
    await stage({ kind: 'idle' });
    expect(byId('dial-user')).toHaveValue('zoe');
    expect(byId('banner-refused')).toHaveTextContent('Nobody with this id is known.');
  });

  it('says nothing of a refusal to whoever took the call back', async () => {
    await openView(base, ['call']);
    let refuse: (outcome: { status: 'error'; error: Refusal }) => void = () => undefined;
    const call = new Promise<{ status: 'error'; error: Refusal }>((resolve) => (refuse = resolve));
    const asking = shown.desk.ask('voice', call);
    await stage({ kind: 'calling', call: null, callees: ['bob'], media: 'voice', ringing: false, ringUntil: null });
    await user.click(byId('call-hangup'));
    refuse({ status: 'error', error: { code: -1203, message: 'The call was taken back' } });
    await asking;
    await stage({ kind: 'idle' });
    expect(asked()).toEqual([['hangup']]);
    expect(there('banner-refused')).toBe(false);
  });

  it('begins empty after a call that worked', async () => {
    await open('start');
    await user.type(byId('dial-user'), 'bob{Enter}');
    await stage(live([person('alice'), person('bob')]));
    await stage({ kind: 'idle' });
    expect(byId('dial-user')).toHaveValue('');
  });

  it('shows at once that a call is on its way', async () => {
    await openView(base, ['call']);
    await user.type(byId('dial-user'), 'bob{Enter}');
    expect(byId('dial-video')).toHaveAttribute('aria-busy', 'true');
    expect(byId('dial-voice')).toBeDisabled();
  });
});

describe('several people', () => {
  it('are chosen one after the other and called together', async () => {
    await open('start');
    await user.type(byId('dial-user'), 'bob,chiara ');
    await user.type(byId('dial-user'), 'daniel');
    expect(byId('dial-video')).toHaveTextContent('Group video');
    await user.click(byId('dial-user-remove-bob'));
    await user.click(byId('dial-voice'));
    expect(asked()).toEqual([['call', ['chiara', 'daniel'], 'voice']]);
  });

  it('are eight at most, nobody twice, and never oneself', async () => {
    await open('start');
    for (const name of ['bob', 'bob', 'alice', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j']) {
      await user.clear(byId('dial-user'));
      await user.type(byId('dial-user'), name);
      if (!byId('dial-user-add').hasAttribute('disabled')) await user.click(byId('dial-user-add'));
    }
    expect(byId('dial-user')).toHaveAccessibleDescription('Only 8 more fit into the call.');
    await user.clear(byId('dial-user'));
    await user.keyboard('{Enter}');
    expect(asked()).toEqual([['call', ['bob', 'c', 'd', 'e', 'f', 'g', 'h', 'i'], 'video']]);
  });

  it('are added to a running call, which a call for two becomes by it', async () => {
    await open('call');
    await user.click(byId('call-add-people'));
    await user.type(byId('add-people-user'), 'bob');
    await user.click(byId('add-people-submit'));
    expect(asked()).toEqual([]);
    expect(byId('add-people-user')).toHaveAccessibleDescription('bob is in the call.');
    await user.clear(byId('add-people-user'));
    await user.type(byId('add-people-user'), 'chiara,daniel{Enter}');
    expect(asked()).toEqual([['inviteUser', ['chiara', 'daniel'], true]]);
    await waitFor(() => expect(there('add-people')).toBe(false));
  });

  it('are not added where the call is full', async () => {
    await open('call-nine');
    expect(there('call-add-people')).toBe(false);
  });
});

describe('the book of calls', () => {
  it('says what became of each call', async () => {
    await open('start-book');
    const outcomes = [1, 2, 3, 4, 5, 6].map((n) => byId(`recent-r${n}-outcome`).textContent);
    expect(outcomes).toEqual(['04:17', 'Missed', '1:02:05', 'Busy', 'No answer', 'Declined']);
    expect(byId('recent-r2')).toHaveTextContent('Chiara Rossi');
  });

  it('lists the missed ones alone', async () => {
    await open('start-book');
    await user.click(byId('recent-missed'));
    expect(there('recent-r2')).toBe(true);
    expect(there('recent-r1')).toBe(false);
  });

  it('calls the same people again, and forgets', async () => {
    await open('start-book');
    await user.click(byId('recent-r3-redial'));
    await user.click(byId('recent-r2-delete'));
    expect(asked()).toEqual([
      ['call', ['daniel', 'emi', 'farid'], 'video'],
      ['deleteRecordCalls', ['r2']],
    ]);
  });

  it('is cleared by keyboard: the focus goes to the next row, at last to the heading', async () => {
    await open('start-book');
    const without = async (...calls: string[]) => {
      const { view } = shown.backend;
      const left = view.book.recent.filter(({ call }) => !calls.includes(call));
      shown.backend.push({ ...view, book: { ...view.book, recent: left } });
      await tick();
    };
    byId('recent-r1-delete').focus();
    await user.keyboard('{Enter}');
    await without('r1');
    expect(byId('recent-r2-delete')).toHaveFocus();
    await without('r2', 'r3', 'r4', 'r5');
    byId('recent-r6-delete').focus();
    await user.keyboard('{Enter}');
    await without('r6');
    expect(screen.getByText('Recent calls')).toHaveFocus();
  });

  it('joins a running call, with or without the camera', async () => {
    await open('start-book');
    await user.click(byId('card-c7-join'));
    await user.click(byId('card-c7-join-voice'));
    await user.click(byId('card-c8-join'));
    expect(there('card-c8-join-voice')).toBe(false);
    expect(asked()).toEqual([
      ['join', 'c7', true],
      ['join', 'c7', false],
      ['join', 'c8', false],
    ]);
  });

  it('stops joining by hanging up, entering by leaving', async () => {
    await open('joining');
    await user.click(byId('call-hangup'));
    await stage({ kind: 'entering', call: null, room: '7' });
    await user.click(byId('call-hangup'));
    expect(asked()).toEqual([['hangup'], ['exitRoom']]);
  });
});

describe('notices', () => {
  const notices = () => screen.queryAllByTestId('notice').map((notice) => notice.textContent);

  it('come by the event stream, those of a kind in one line, and go by themselves', async () => {
    vi.useFakeTimers({ shouldAdvanceTime: true });
    await open('call-group');
    shown.backend.happen({ event: 'onUserReject', userId: 'hana' });
    shown.backend.happen({ event: 'onUserLineBusy', userId: 'ivo' });
    shown.backend.happen({ event: 'onUserLineBusy', userId: 'jana' });
    await tick();
    expect(notices()).toEqual(['hana declined', 'ivo and jana are in another call']);
    vi.advanceTimersByTime(5100);
    await tick();
    expect(notices()).toEqual([]);
  });

  it('belong to their call', async () => {
    await open('call-group');
    shown.backend.happen({ event: 'onUserLeave', userId: 'emi' });
    await stage({ kind: 'idle' });
    await stage(live([person('alice'), person('bob')]));
    expect(notices()).toEqual([]);
  });

  it('the stream is typed and can be heard by anybody', async () => {
    await open('call');
    const begun: string[] = [];
    const stop = shown.desk.on('onCallBegin', ({ callId, roomId }) => begun.push(`${callId} ${roomId.intRoomId ?? 0}`));
    const begin = {
      event: 'onCallBegin',
      callId: 'c1',
      roomId: { intRoomId: 7 },
      callMediaType: 1,
      callRole: 1,
    } as const;
    shown.backend.happen(begin);
    shown.backend.happen({ event: 'onUserJoin', userId: 'bob' });
    stop();
    shown.backend.happen(begin);
    expect(begun).toEqual(['c1 7']);
  });

  it('are all in the console, in the words of either page', async () => {
    await open('call');
    shown.backend.happen({ event: 'onUserJoin', userId: 'bob' }, '{"event":"onUserEnter","userID":"bob"}');
    shown.backend.happen({ event: 'onUserAccept', userId: 'bob' }, '{"event":"onUserAccept","userID":"bob"}');
    shown.backend.happen({ event: 'onUserVoiceVolumeChanged', volumeMap: { bob: 7 } });
    await user.keyboard('{Control>}{Shift>}L{/Shift}{/Control}');
    const lines = () => screen.queryAllByTestId('console-line').map((line) => line.textContent.slice(13));
    expect(lines()).toEqual(['{"event":"onUserJoin","userId":"bob"}']);
    await user.click(byId('console-old'));
    expect(lines()).toEqual(['{"event":"onUserAccept","userID":"bob"}', '{"event":"onUserEnter","userID":"bob"}']);
  });
});

describe('a call that ended because its user signed in elsewhere', () => {
  it('says so', async () => {
    const stage: StageView = {
      kind: 'ended',
      ended: { kind: 'call', media: 'video', reason: 'offline', by: 'alice', with: ['bob'], seconds: 9 },
    };
    await openView({ ...base, session: { kind: 'kickedOffline', user: 'alice' }, stage });
    expect(byId('banner-kicked')).toHaveTextContent('Signed in somewhere else');
  });
});

describe('a ticket that ends within a call', () => {
  it('is renewed there', async () => {
    await open('call-expired');
    await user.click(byId('banner-expired-renew'));
    await user.type(byId('renew-ticket'), 'eJw{Enter}');
    expect(asked()).toEqual([['renewTicket', 'eJw']]);
    await waitFor(() => expect(there('renew')).toBe(false));
  });
});

describe('a call for two', () => {
  it('becomes a voice call; a group does not', async () => {
    await open('call');
    await user.click(byId('call-to-voice'));
    expect(asked()).toEqual([['switchToVoice']]);
    await stage(live([person('alice'), person('bob'), person('chiara')]));
    expect(there('call-to-voice')).toBe(false);
  });
});

describe('quiet', () => {
  it('keeps the dialog away from whoever is not to be disturbed; the bar answers', async () => {
    await open('incoming-undisturbed');
    expect(there('incoming-dialog')).toBe(false);
    await user.click(byId('incoming-bar-open'));
    expect(there('incoming-dialog')).toBe(true);
  });

  it('is chosen in the settings', async () => {
    await open('settings');
    await user.click(byId('rail-settings'));
    await user.click(byId('settings-quiet'));
    await user.click(byId('settings-quiet-doNotDisturb'));
    expect(asked()).toEqual([['setQuiet', 'doNotDisturb']]);
  });
});

describe('an incoming call', () => {
  beforeEach(() => {
    vi.useFakeTimers({ shouldAdvanceTime: true });
  });

  it('says who, what and with whom', async () => {
    await open('incoming-video');
    expect(byId('incoming-dialog')).toHaveAccessibleName('bob');
    expect(byId('incoming-dialog')).toHaveTextContent('is calling you with chiara and daniel');
    expect(byId('incoming-dialog')).toHaveTextContent('Your camera and microphone start only when you accept.');
  });

  it.each([
    ['incoming-accept', ['accept', true]],
    ['incoming-voice-only', ['accept', false]],
    ['incoming-decline', ['reject']],
  ])('%s by the mouse works at once', async (id, request) => {
    await open('incoming-video');
    await user.click(byId(id));
    expect(asked()).toEqual([request]);
  });

  it('a voice call is accepted without camera and offers no "voice only"', async () => {
    await open('incoming-voice');
    expect(there('incoming-voice-only')).toBe(false);
    await user.click(byId('incoming-accept'));
    expect(asked()).toEqual([['accept', false]]);
  });

  it('Enter accepts only after a second of focus', async () => {
    await open('incoming-video');
    byId('incoming-accept').focus();
    await user.keyboard('{Enter}');
    expect(asked()).toEqual([]);
    await vi.advanceTimersByTimeAsync(1100);
    await user.keyboard('{Enter}');
    expect(asked()).toEqual([['accept', true]]);
  });

  it('the second begins anew when the focus comes back', async () => {
    await open('incoming-video');
    byId('incoming-accept').focus();
    await vi.advanceTimersByTimeAsync(1100);
    byId('incoming-decline').focus();
    byId('incoming-accept').focus();
    await user.keyboard('{Enter}');
    expect(asked()).toEqual([]);
  });

  it('Escape declines nothing: the call becomes a bar from which it can be answered', async () => {
    await open('incoming-video');
    byId('incoming-accept').focus();
    await user.keyboard('{Escape}');
    await waitFor(() => expect(there('incoming-dialog')).toBe(false));
    expect(asked()).toEqual([]);
    expect(byId('incoming-bar')).toHaveTextContent('bob is calling you');
    await user.click(byId('incoming-bar-open'));
    await waitFor(() => expect(there('incoming-dialog')).toBe(true));
  });

  it('closes the settings and takes away what was refused before', async () => {
    await open('start');
    shown.backend.refusals.set('call', { code: -1202, message: 'nobody with this id is known' });
    await user.type(byId('dial-user'), 'zoe{Enter}');
    await user.click(byId('rail-settings'));
    expect(there('settings')).toBe(true);
    await stage({ kind: 'incoming', call: 'c2', caller: 'emi', others: [], media: 'voice', answering: false });
    await waitFor(() => expect(there('settings')).toBe(false));
    expect(byId('incoming-dialog')).toBeVisible();
    expect(there('incoming-error')).toBe(false);
    expect(there('banner-refused')).toBe(false);
  });

  it('is silent once it is accepted, says that it connects, and can still be declined', async () => {
    await open('incoming-video');
    expect(ringer.rings).toBe(1);
    shown.backend.silent.add('accept');
    await user.click(byId('incoming-accept'));
    await stage({ kind: 'incoming', call: 'c1', caller: 'bob', others: [], media: 'video', answering: true });
    expect(byId('incoming-connecting')).toHaveTextContent('Connecting…');
    expect(byId('incoming-dialog')).not.toHaveTextContent('only when you accept');
    expect(there('incoming-accept')).toBe(false);
    expect(ringer.rings).toBe(0);
    expect(byId('incoming-decline')).not.toHaveFocus();
    await user.click(byId('incoming-decline'));
    expect(asked()).toEqual([['accept', true], ['reject']]);
  });

  it('goes when the caller gives up', async () => {
    await open('incoming-video');
    await stage({ kind: 'idle' });
    await waitFor(() => expect(there('incoming-dialog')).toBe(false));
    expect(there('incoming-bar')).toBe(false);
  });
});

describe('calling', () => {
  it('tells calling from ringing and can be taken back', async () => {
    await open('calling');
    expect(byId('calling-state')).toHaveTextContent('Calling…');
    await stage({
      kind: 'calling',
      call: 'c1',
      callees: ['bob'],
      media: 'video',
      ringing: true,
      ringUntil: Date.now() + 24_000,
    });
    expect(byId('calling-state')).toHaveTextContent('Ringing… 0:24');
    await user.click(byId('call-hangup'));
    expect(asked()).toEqual([['hangup']]);
  });
});

describe('in a call', () => {
  it('says connecting until media flows, then counts', async () => {
    await open('call-connecting');
    expect(byId('call-connecting')).toHaveTextContent('Connecting…');
    expect(there('call-timer')).toBe(false);
    await stage(live([person('alice'), person('bob')], { beganAt: Date.now() - 5000 }));
    expect(byId('call-timer')).toHaveTextContent('00:05');
  });

  it('hangs up a call, leaves a room', async () => {
    await open('call');
    await user.click(byId('call-hangup'));
    await stage(live([person('alice')], { call: null, room: 'Planning' }));
    expect(byId('call-hangup')).toHaveAccessibleName('Leave the room');
    await user.click(byId('call-hangup'));
    expect(asked()).toEqual([['hangup'], ['exitRoom']]);
  });

  it('shows the own mute at once, and the truth when it was refused', async () => {
    await open('call');
    expect(byId('call-mic')).toHaveAttribute('aria-pressed', 'true');
    shown.backend.silent.add('setMicrophone');
    await user.click(byId('call-mic'));
    expect(byId('call-mic')).toHaveAttribute('aria-pressed', 'false');
    shown.backend.refusals.set('setCamera', { code: -1314, message: 'not allowed' });
    await user.click(byId('call-camera'));
    expect(asked()).toEqual([
      ['setMicrophone', false],
      ['setCamera', false],
    ]);
    expect(byId('call-camera')).toHaveAttribute('aria-pressed', 'true');
    expect(byId('banner-refused')).toHaveTextContent('Not allowed. Code -1314');
  });

  it('mutes by Ctrl+D and turns the camera off by Ctrl+E, the own tile too', async () => {
    await open('call');
    shown.backend.silent.add('setMicrophone');
    await user.keyboard('{Control>}d{/Control}{Control>}e{/Control}');
    expect(asked()).toEqual([
      ['setMicrophone', false],
      ['setCamera', false],
    ]);
    expect(there('tile-alice-muted')).toBe(true);
  });

  it('has no camera in a voice call', async () => {
    await open('call-voice');
    expect(there('call-camera')).toBe(false);
    expect(byId('tile-bob')).not.toHaveTextContent('Camera off');
  });

  it('says that nothing is sent while it reconnects', async () => {
    await open('call-reconnecting');
    expect(byId('banner-reconnecting')).toHaveTextContent('Connection lost Trying again. Nothing is sent.');
    expect(byId('tile-bob')).toHaveAttribute('data-state', 'reconnecting');
    expect(byId('tile-bob-quality')).toHaveAttribute('data-quality', 'down');
    expect(byId('tile-alice')).toHaveTextContent('Not sent');
    expect(byId('tile-bob-meter')).toHaveAttribute('aria-valuenow', '0');
    expect(there('call-hangup')).toBe(true);
  });

  it.each([
    ['call-frozen', 'frozen', 'Picture stopped'],
    ['call-peer-reconnecting', 'reconnecting', 'Reconnecting…'],
    ['call-left', 'left', 'Connection lost'],
    ['call-camera-off', 'in', 'Camera off'],
  ])('%s: the tile says it', async (id, state, text) => {
    await open(id === 'call-frozen' ? 'call' : id);
    if (id === 'call-frozen') {
      await shown.close();
      document.body.innerHTML = '';
      const target = document.createElement('div');
      document.body.append(target);
      const frozen = states.find((candidate) => candidate.id === id);
      if (frozen) shown = await show(frozen, target);
    }
    expect(byId('tile-bob')).toHaveAttribute('data-state', state);
    expect(byId('tile-bob')).toHaveTextContent(text);
  });

  it('a muted person has the icon in the place of the meter', async () => {
    await open('call-camera-off');
    expect(there('tile-bob-muted')).toBe(true);
    expect(there('tile-bob-meter')).toBe(false);
    expect(byId('tile-bob')).toHaveAccessibleName('bob, microphone off, camera off');
  });

  it('meters follow the levels and the speaker has the ring', async () => {
    await open('call');
    shown.backend.level({ volume: { bob: 80, alice: 3 }, figures: {} });
    expect(byId('tile-bob-meter')).toHaveAttribute('aria-valuenow', '80');
    await waitFor(() => expect(byId('tile-bob')).toHaveAttribute('data-speaking'));
    expect(byId('tile-alice')).not.toHaveAttribute('data-speaking');
  });

  it('the quality badge changes at most every two seconds and opens its figures', async () => {
    vi.useFakeTimers({ shouldAdvanceTime: true });
    await open('call');
    const bob = (quality: 'good' | 'poor' | 'bad') => stage(live([person('alice'), person('bob', { quality })]));
    await bob('poor');
    await bob('bad');
    expect(byId('tile-bob-quality')).toHaveAccessibleName('Network of bob: Poor');
    await vi.advanceTimersByTimeAsync(2100);
    expect(byId('tile-bob-quality')).toHaveAccessibleName('Network of bob: Bad');
    await user.click(byId('tile-bob-quality'));
    shown.backend.level(levels);
    await waitFor(() =>
      expect(byId('tile-bob-figures')).toHaveTextContent(
        'Loss 0.4 % Round trip 38 ms Jitter 6 ms Receiving 1.4 Mbit/s',
      ),
    );
  });

  it('the own view swaps by Enter and moves by arrow keys, and no picture is attached anew', async () => {
    await open('call');
    const pane = () => byId('own-view').parentElement;
    const canvases = [...document.querySelectorAll('canvas')];
    byId('own-view').focus();
    await user.keyboard('{ArrowUp}');
    expect(pane()).toHaveAttribute('data-corner', 'top-right');
    expect(byId('own-view')).toHaveAccessibleName(/^Own view/);
    await user.keyboard('{Enter}');
    expect(byId('own-view')).toHaveAccessibleName(/^View of bob/);
    expect([...document.querySelectorAll('canvas')]).toEqual(canvases);
  });

  it('shows a picture whole or fills the tile, by keyboard too', async () => {
    await open('call');
    byId('tile-bob-fit').focus();
    expect(byId('tile-bob-fit')).toHaveAccessibleName('Show the picture of bob whole');
    await user.keyboard('{Enter}');
    expect(asked()).toEqual([['setVideoRenderParams', 'bob', true, 0]]);
    await stage(live([person('alice'), person('bob', { picture: 7, fit: true })]));
    expect(byId('tile-bob-fit')).toHaveAccessibleName('Fill the tile with the picture of bob');
    await stage(live([person('alice'), person('bob')]));
    expect(there('tile-bob-fit')).toBe(false);
  });

  it('mirrors the own camera, and not the synthetic one, whose text must be readable', async () => {
    await open('call');
    expect(byId('tile-alice').querySelector('canvas')).toHaveClass('mirrored');
    expect(byId('tile-bob').querySelector('canvas')).not.toHaveClass('mirrored');
    shown.backend.push({ ...shown.backend.view, devices: { ...devices, preview: 6, cameraIsSynthetic: true } });
    await tick();
    expect(byId('tile-alice').querySelector('canvas')).not.toHaveClass('mirrored');
    expect(byId('synthetic-note')).toBeVisible();
    const pattern = { ...devices, preview: 6, camera: { kind: 'pattern' as const, label: 'alice' } };
    shown.backend.push({ ...shown.backend.view, devices: pattern });
    await tick();
    expect(byId('tile-alice').querySelector('canvas')).not.toHaveClass('mirrored');
  });

  it('chooses devices from the menu beside the control', async () => {
    await open('call');
    byId('call-mic-menu').focus();
    await user.keyboard('{Enter}');
    await waitFor(() => expect(there('menu-speaker-device:spk-2')).toBe(true));
    expect(byId('menu-microphone-system')).toHaveAttribute('aria-checked', 'true');
    await user.click(byId('menu-speaker-device:spk-2'));
    expect(asked()).toEqual([['selectSpeaker', { kind: 'device', id: 'spk-2' }]]);
  });

  it('shows in the menu what the microphone hears, and nothing while it is muted', async () => {
    await open('call');
    byId('call-mic-menu').focus();
    await user.keyboard('{Enter}');
    await waitFor(() => expect(there('menu-microphone-level')).toBe(true));
    shown.backend.level({ volume: { alice: 42 }, figures: {} });
    expect(byId('menu-microphone-level')).toHaveAttribute('aria-valuenow', '42');
    shown.backend.push({ ...shown.backend.view, devices: { ...devices, microphoneOn: false } });
    await tick();
    shown.backend.level({ volume: { alice: 42 }, figures: {} });
    expect(byId('menu-microphone-level')).toHaveAttribute('aria-valuenow', '0');
  });

  it('goes on while the server is away or the sign-in is gone', async () => {
    await open('call');
    shown.backend.push({ ...shown.backend.view, session: { kind: 'kickedOffline', user: 'alice' } });
    await tick();
    expect(byId('call-screen')).toBeVisible();
    expect(byId('banner-kicked')).toBeVisible();
  });
});

describe('after a call', () => {
  it('says why and goes back', async () => {
    await open('ended-declined');
    expect(byId('ended-screen')).toHaveTextContent('bob declined');
    await user.click(byId('ended-back'));
    expect(asked()).toEqual([['dismissEnded']]);
  });

  it('claims that the devices are off only while they are', async () => {
    const view = states.find((state) => state.id === 'ended-declined')?.view ?? base;
    await openView(view);
    expect(byId('devices-off')).toHaveTextContent('Camera and microphone are off.');
    shown.backend.push({ ...view, devices: { ...view.devices, microphoneOn: true } });
    await tick();
    expect(there('devices-off')).toBe(false);
  });

  it('calls the same people again in the same way', async () => {
    await open('ended-busy');
    await user.click(byId('ended-again'));
    expect(asked()).toEqual([['dismissEnded'], ['call', ['bob'], 'video']]);
  });

  it.each([
    ['ended-removed', 'banner-removed', 'You were removed from the room'],
    ['ended-dismissed', 'banner-dismissed', 'The room was dismissed'],
  ])('%s is said at once, with the devices off', async (id, banner, headline) => {
    await open(id);
    expect(byId(banner)).toHaveAttribute('role', 'alert');
    expect(byId(banner)).toHaveTextContent(headline);
    expect(byId(banner)).toHaveTextContent(/^Camera and microphone are off\./);
    expect(byId('ended-back')).toHaveFocus();
  });
});

describe('signing out', () => {
  const signedOut: View = { ...base, session: { kind: 'signedOut', refused: null } };

  it('leaves nothing of the last user for the next', async () => {
    await open('start');
    shown.backend.happen({ event: 'onUserJoin', userId: 'bob' });
    shown.backend.level(levels);
    shown.desk.settingsOpen = true;
    shown.backend.push(signedOut);
    await tick();
    expect(there('signin-screen')).toBe(true);
    expect([shown.desk.log, shown.desk.figures, shown.desk.settingsOpen]).toEqual([[], {}, false]);
    // What was reported late goes when somebody else comes.
    shown.backend.happen({ event: 'onUserLeave', userId: 'bob' });
    shown.backend.push({ ...base, session: { kind: 'signingIn', user: 'emi' } });
    await tick();
    expect(shown.desk.log).toEqual([]);
  });

  it('keeps what the same user is told while the socket comes and goes', async () => {
    await open('start');
    shown.backend.happen({ event: 'onUserJoin', userId: 'bob' });
    shown.backend.push({ ...base, session: { kind: 'offline', user: 'alice' } });
    await tick();
    expect(shown.desk.log).toHaveLength(1);
  });
});

describe('settings', () => {
  it('keep the theme on this computer', async () => {
    await open('start');
    await user.click(byId('rail-settings'));
    await user.click(byId('settings-theme'));
    await user.click(await screen.findByTestId('settings-theme-light'));
    expect(document.documentElement.dataset['theme']).toBe('light');
    expect(JSON.parse(localStorage.getItem('ahoy.look') ?? '{}')).toMatchObject({ theme: 'light' });
  });

  it('choose a camera', async () => {
    await open('start');
    await user.click(byId('rail-settings'));
    await user.click(byId('settings-camera'));
    await user.click(await screen.findByTestId('settings-camera-device:cam-1'));
    expect(asked()).toEqual([['selectCamera', { kind: 'device', id: 'cam-1' }]]);
  });
});
