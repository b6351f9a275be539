import { describe, expect, it } from 'vitest';
import type { EndedView, EndReasonView } from '../src/bindings';
import { ended, personLabel, sentence, wasMissed } from '../src/lib/words';
import { person } from '../src/gallery/states';

const call = (reason: EndReasonView, by: string, seconds: number | null): EndedView => ({
  kind: 'call',
  media: 'video',
  reason,
  by,
  with: ['bob'],
  seconds,
});

describe('why it is over', () => {
  it.each<[EndReasonView, string, number | null, string]>([
    ['hangup', 'bob', 60, 'bob hung up'],
    ['hangup', 'alice', 60, 'Call ended'],
    ['reject', 'bob', null, 'bob declined'],
    ['reject', 'alice', null, 'You declined'],
    ['noResponse', 'bob', null, 'No answer'],
    ['noResponse', 'alice', null, 'Missed call from bob'],
    ['lineBusy', 'bob', null, 'bob is in another call'],
    ['canceled', 'alice', null, 'Call taken back'],
    ['canceled', 'bob', null, 'bob took the call back'],
    ['offline', 'alice', 90, 'The connection was lost'],
    ['offline', 'bob', 90, 'bob lost the connection'],
    ['otherDeviceAccepted', 'alice', null, 'Answered on another device'],
    ['otherDeviceReject', 'alice', null, 'Declined on another device'],
    ['endByServer', '', 60, 'The server ended the call'],
    ['endByServer', 'alice', 60, 'The server ended the call'],
    ['endByServer', 'bob', 60, 'bob was removed from the call'],
    ['unknown', '', null, 'Call ended'],
  ])('%s by %s after %s s: %s', (reason, by, seconds, headline) => {
    expect(ended(call(reason, by, seconds), 'alice').headline).toBe(headline);
  });

  it('says how long a call was only where it began', () => {
    expect(ended(call('hangup', 'bob', 257), 'alice').text).toMatch(/^The call lasted 4 minutes\./);
    expect(ended(call('reject', 'bob', null), 'alice').text).toBe('');
  });

  it.each<[EndReasonView, string, number | null, boolean]>([
    ['noResponse', 'alice', null, true],
    ['noResponse', 'bob', null, false],
    ['canceled', 'bob', null, true],
    ['canceled', 'alice', null, false],
    ['reject', 'alice', null, true],
    ['reject', 'bob', null, false],
    ['hangup', 'alice', 60, false],
  ])('%s by %s after %s s is to be called back: %s', (reason, by, seconds, missed) => {
    expect(wasMissed(call(reason, by, seconds), 'alice')).toBe(missed);
  });

  it('tells removal from dismissal by word and weight', () => {
    const removed = ended({ kind: 'room', reason: 'removed', by: 'mallory', seconds: 5 }, 'alice');
    expect(removed).toMatchObject({ headline: 'You were removed from the room', tone: 'critical' });
    expect(removed.text).toContain('mallory removed you after 5 seconds.');
    const dismissed = ended({ kind: 'room', reason: 'dismissed', by: null, seconds: 5 }, 'alice');
    expect(dismissed).toMatchObject({ headline: 'The room was dismissed', tone: 'warn' });
  });

  it('keeps the code of what broke', () => {
    const words = ended({ kind: 'failed', refusal: { code: -3301, message: 'no way in' } }, 'alice');
    expect(words).toMatchObject({ code: -3301, text: 'No way in.' });
  });
});

it('makes a sentence of a refusal', () => {
  expect(sentence({ code: 1, message: 'nobody is there' })).toBe('Nobody is there.');
  expect(sentence({ code: 1, message: 'Done.' })).toBe('Done.');
});

it('says a tile', () => {
  expect(personLabel(person('bob', { microphone: false }), false)).toBe('bob, microphone off, camera off');
  expect(personLabel(person('alice', { picture: 1 }), false)).toBe('alice, you, microphone on, camera on');
  expect(personLabel(person('bob', { picture: 1 }), true)).toBe('bob, microphone on, picture stopped');
  expect(personLabel(person('bob', { presence: { kind: 'left', reason: 'removed' } }), false)).toBe('bob, removed');
});
