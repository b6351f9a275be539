/** The sentences of the product: plain, short, blaming nobody. */

import type { DeviceKindView, EndedView, LeaveView, PersonView, QualityView, QuietView, Refusal } from '../bindings';
import { duration, names } from './format';

export const DEVICES_OFF = 'Camera and microphone are off.';
export const NOT_SENT = 'Not sent';
export const PICTURE_STOPPED = 'Picture stopped';

export const QUALITY_WORDS: Record<QualityView, string> = {
  unknown: 'Unknown',
  excellent: 'Excellent',
  good: 'Good',
  poor: 'Poor',
  bad: 'Bad',
  veryBad: 'Very bad',
  down: 'Down',
};

export const DEVICE_WORDS: Record<DeviceKindView, string> = {
  microphone: 'Microphone',
  speaker: 'Speaker',
  camera: 'Camera',
};

/** What an incoming call does here. */
export const QUIET_WORDS: Record<QuietView, { name: string; hint: string }> = {
  off: { name: 'Ring', hint: 'Sound, and to the front' },
  mute: { name: 'Mute', hint: 'To the front, no sound' },
  doNotDisturb: { name: 'Do not disturb', hint: 'A bar in the window' },
};

export const LEAVE_WORDS: Record<LeaveView, string> = {
  left: 'Left',
  timedOut: 'Connection lost',
  removed: 'Removed',
};

export type Tone = 'quiet' | 'warn' | 'critical';

export interface EndedWords {
  headline: string;
  text: string;
  tone: Tone;
  code: number | null;
}

/** Why it is over, as one headline and one sentence. `me` is the signed-in user, `name` says what people are called. */
export function ended(view: EndedView, me: string, name = (user: string) => user): EndedWords {
  switch (view.kind) {
    case 'call': {
      const began = view.seconds !== null;
      const text = began ? `The call lasted ${duration(view.seconds ?? 0)}.` : '';
      return { headline: callHeadline(view, me, began, name), text, tone: 'quiet', code: null };
    }
    case 'room': {
      const after = `after ${duration(view.seconds)}`;
      if (view.reason === 'removed') {
        const who = view.by ? view.by : 'An administrator';
        return {
          headline: 'You were removed from the room',
          text: `${who} removed you ${after}.`,
          tone: 'critical',
          code: null,
        };
      }
      if (view.reason === 'dismissed') {
        const text = `It was closed for everyone ${after}.`;
        return { headline: 'The room was dismissed', text, tone: 'warn', code: null };
      }
      return {
        headline: 'You left the room',
        text: `You were in it for ${duration(view.seconds)}.`,
        tone: 'quiet',
        code: null,
      };
    }
    case 'failed':
      return {
        headline: 'The call could not go on',
        text: sentence(view.refusal),
        tone: 'warn',
        code: view.refusal.code,
      };
  }
}

function callHeadline(
  { reason, by, with: others }: Extract<EndedView, { kind: 'call' }>,
  me: string,
  began: boolean,
  name: (user: string) => string,
): string {
  const other = names(others.map(name));
  const who = by === me || by === '' ? other : name(by);
  switch (reason) {
    case 'hangup':
      return by === me || !began ? 'Call ended' : `${who} hung up`;
    case 'reject':
      return by === me ? 'You declined' : `${who} declined`;
    case 'noResponse':
      return by === me ? `Missed call from ${other}` : 'No answer';
    case 'offline':
      return by === me || by === '' ? 'The connection was lost' : `${who} lost the connection`;
    case 'lineBusy':
      return `${who} is in another call`;
    case 'canceled':
      return by === me ? 'Call taken back' : `${who} took the call back`;
    case 'otherDeviceAccepted':
      return 'Answered on another device';
    case 'otherDeviceReject':
      return 'Declined on another device';
    case 'endByServer':
      return by === me || by === '' ? 'The server ended the call' : `${who} was removed from the call`;
    case 'unknown':
      return 'Call ended';
  }
}

/** Whether this user was called and did not talk: then calling is calling back. */
export function wasMissed(view: EndedView, me: string): boolean {
  if (view.kind !== 'call' || view.seconds !== null) return false;
  return view.reason === 'canceled' ? view.by !== me : view.by === me && view.reason !== 'offline';
}

/** A refusal's message, ending like a sentence. */
export function sentence(refusal: Refusal): string {
  const text = refusal.message.trim();
  const begun = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?…]$/.test(begun) ? begun : `${begun}.`;
}

/** A person's tile, said by a screen reader. */
export function personLabel(person: PersonView, frozen: boolean): string {
  const parts = [person.local ? `${person.user}, you` : person.user];
  switch (person.presence.kind) {
    case 'ringing':
      return [...parts, 'ringing'].join(', ');
    case 'connecting':
      return [...parts, 'connecting'].join(', ');
    case 'left':
      return [...parts, LEAVE_WORDS[person.presence.reason].toLowerCase()].join(', ');
    case 'reconnecting':
      parts.push('reconnecting');
      break;
    case 'in':
      break;
  }
  parts.push(person.microphone ? 'microphone on' : 'microphone off');
  parts.push(person.picture === null ? 'camera off' : frozen ? 'picture stopped' : 'camera on');
  return parts.join(', ');
}
