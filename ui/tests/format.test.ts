import { describe, expect, it } from 'vitest';
import { bitrate, duration, elapsed, loss, names, remaining } from '../src/lib/format';
import { roomChoice } from '../src/lib/room';
import { AVATAR_COLORS, avatarColor, initials, isUserId } from '../src/lib/person';

describe('numbers as people read them', () => {
  it.each([
    [0, '00:00'],
    [-3, '00:00'],
    [257.9, '04:17'],
    [3599, '59:59'],
    [3600, '1:00:00'],
    [36_061, '10:01:01'],
  ])('%d s is %s on the timer', (seconds, text) => expect(elapsed(seconds)).toBe(text));

  it.each([
    [0.4, 'less than a second'],
    [1, '1 second'],
    [59, '59 seconds'],
    [60, '1 minute'],
    [1862, '31 minutes'],
    [3600, '1 hour'],
    [3900, '1 hour 5 minutes'],
  ])('%d s is %s in a sentence', (seconds, text) => expect(duration(seconds)).toBe(text));

  it.each([
    [0, '0:00'],
    [-1, '0:00'],
    [11.2, '0:12'],
    [90, '1:30'],
  ])('%d s are left as %s', (seconds, text) => expect(remaining(seconds)).toBe(text));

  it.each([
    [0, '0 kbit/s'],
    [32_400, '32 kbit/s'],
    [999_600, '1.0 Mbit/s'],
    [1_380_000, '1.4 Mbit/s'],
  ])('%d bit/s is %s', (bits, text) => expect(bitrate(bits)).toBe(text));

  it.each([
    [0, '0 %'],
    [4, '0.4 %'],
    [123, '12 %'],
  ])('%d per mille is %s', (perMille, text) => expect(loss(perMille)).toBe(text));

  it.each([
    [[], ''],
    [['bob'], 'bob'],
    [['bob', 'emi'], 'bob and emi'],
    [['bob', 'emi', 'dan'], 'bob, emi and 1 other'],
    [['bob', 'emi', 'dan', 'ann'], 'bob, emi and 2 others'],
  ])('%j is %s', (users, text) => expect(names(users)).toBe(text));
});

describe('people without a picture', () => {
  it.each([
    ['bob', 'BO'],
    ['x', 'X'],
    ['anna-lee', 'AL'],
    ['_a__b_', 'AB'],
    ['7of9', '7O'],
  ])('%s is %s', (user, letters) => expect(initials(user)).toBe(letters));

  it('have the same colour everywhere', () => {
    expect(avatarColor('bob')).toBe(avatarColor('bob'));
    expect(
      new Set(['alice', 'bob', 'chiara', 'daniel', 'emi', 'farid', 'grace'].map(avatarColor)).size,
    ).toBeGreaterThan(3);
  });

  it.each(AVATAR_COLORS)('white on %s has a contrast of 4.5:1 or more', (color) => {
    const channel = (at: number) => {
      const value = parseInt(color.slice(at, at + 2), 16) / 255;
      return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
    };
    const luminance = 0.2126 * channel(1) + 0.7152 * channel(3) + 0.0722 * channel(5);
    expect(1.05 / (luminance + 0.05)).toBeGreaterThanOrEqual(4.5);
  });
});

it.each([
  ['bob', true],
  ['A-z_09', true],
  ['', false],
  ['bob smith', false],
  ['ü', false],
  ['x'.repeat(33), false],
])('"%s" is a user id: %s', (text, yes) => expect(isUserId(text)).toBe(yes));

describe('rooms as people write them', () => {
  it.each([
    ['4711', { kind: 'number', number: 4711 }],
    [' 4294967294 ', { kind: 'number', number: 4_294_967_294 }],
    ['0', null],
    ['4294967295', null],
    ['Planning', { kind: 'text', text: 'Planning' }],
    ['"4711"', { kind: 'text', text: '4711' }],
    ['“4711”', { kind: 'text', text: '4711' }],
    ['""', null],
    ['', null],
    ['x'.repeat(65), null],
  ])('%s', (text, choice) => expect(roomChoice(text)).toEqual(choice));
});
