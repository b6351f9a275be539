/** Rooms as people write them. */

import type { RoomChoice } from '../bindings';

export const LARGEST_ROOM = 4_294_967_294;

/** `4711` is a number, `Planning` a name, and `"4711"` a name too. Nothing where it is neither. */
export function roomChoice(text: string): RoomChoice | null {
  const typed = text.trim();
  if (/^\d+$/.test(typed)) {
    const number = Number(typed);
    return number >= 1 && number <= LARGEST_ROOM ? { kind: 'number', number } : null;
  }
  const name = /^["“”„](.*)["“”]$/.exec(typed)?.[1] ?? typed;
  return name.length >= 1 && name.length <= 64 ? { kind: 'text', text: name } : null;
}
