/** Calls that are over and calls that run, for the gallery. */

import type { BookView, RecentView } from '../bindings';

/** The gallery's now; all its times are told from it. */
export const NOW = Date.now();

export const noBook: BookView = { cards: [], recent: [], profiles: {}, multiDevice: true };

function record(call: string, minutesAgo: number, over: Partial<RecentView>): RecentView {
  return {
    call,
    with: ['bob'],
    group: false,
    media: 'video',
    outgoing: true,
    missed: false,
    reason: 'hangup',
    at: NOW - minutesAgo * 60_000,
    seconds: null,
    ...over,
  };
}

export const missed = record('r2', 95, {
  outgoing: false,
  missed: true,
  reason: 'canceled',
  media: 'voice',
  with: ['chiara'],
});
export const recent: RecentView[] = [
  record('r1', 12, { seconds: 257 }),
  missed,
  record('r3', 180, { with: ['daniel', 'emi', 'farid'], group: true, outgoing: false, seconds: 3_725 }),
  record('r4', 1_500, { reason: 'lineBusy', with: ['grace'] }),
  record('r5', 1_600, { reason: 'noResponse', media: 'voice' }),
  record('r6', 3_000, { reason: 'reject', outgoing: false, with: ['daniel'] }),
];

export const book: BookView = {
  cards: [
    { call: 'c7', caller: 'emi', media: 'video', members: ['emi', 'farid', 'grace'], beganAt: NOW - 95_000 },
    { call: 'c8', caller: 'daniel', media: 'voice', members: ['daniel', 'bob'], beganAt: NOW - 1_095_000 },
  ],
  recent,
  profiles: { chiara: { nickname: 'Chiara Rossi', avatar: '' }, alice: { nickname: 'Alice', avatar: '' } },
  multiDevice: true,
};
