/** A record of a call in words. */

import type { RecentView } from '../bindings';
import { elapsed } from './format';

/** What became of it for this user: one or two words. */
export function outcome(record: RecentView): string {
  const { reason, outgoing, missed, seconds } = record;
  if (seconds !== null) return elapsed(seconds);
  if (missed) return 'Missed';
  switch (reason) {
    case 'reject':
      return 'Declined';
    case 'noResponse':
      return 'No answer';
    case 'lineBusy':
      return outgoing ? 'Busy' : 'Missed';
    case 'canceled':
      return outgoing ? 'Taken back' : 'Missed';
    case 'otherDeviceAccepted':
      return 'Answered on another device';
    case 'otherDeviceReject':
      return 'Declined on another device';
    case 'offline':
      return 'Connection lost';
    case 'endByServer':
    case 'hangup':
    case 'unknown':
      return 'Ended';
  }
}

/** `14:07` today, `Yesterday`, a weekday within a week, else the date; as this computer writes them. */
export function when(at: number, now: number): string {
  const day = (time: number) => new Date(time).setHours(0, 0, 0, 0);
  const days = Math.round((day(now) - day(at)) / 86_400_000);
  const date = new Date(at);
  if (days <= 0) return date.toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' });
  if (days === 1) return 'Yesterday';
  if (days < 7) return date.toLocaleDateString([], { weekday: 'long' });
  return date.toLocaleDateString([], { year: 'numeric', month: 'short', day: 'numeric' });
}
