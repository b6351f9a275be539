/** The words of the frame lane; docs/frame-lane.md describes them. */

export type Mode = 'webcodecs' | 'raw';

export type ToApp =
  | { kind: 'hello'; secret: string; mode: Mode }
  | { kind: 'mode'; mode: Mode }
  | { kind: 'credit'; picture: number; n: number }
  | { kind: 'keyframe'; picture: number };

/** Frames of one picture that may be under way at most. */
export const CREDIT_LIMIT = 8;
/** What each picture begins with. */
export const FIRST_CREDIT = 4;
/** Close code: another connection took the lane over. */
export const CLOSE_TAKEN_OVER = 4409;

const HEADER_LEN = 24;
const KINDS = ['key', 'delta', 'i420', 'end'] as const;

export interface LaneFrame {
  picture: number;
  kind: (typeof KINDS)[number];
  /** Pixels; 0 for access units. */
  width: number;
  /** Pixels; 0 for access units. */
  height: number;
  /** Since the start of the track, **microseconds**. */
  timestamp: number;
  payload: Uint8Array<ArrayBuffer>;
}

/** Reads one binary message; nothing where it is damaged. */
export function parseFrame(message: ArrayBuffer): LaneFrame | null {
  if (message.byteLength < HEADER_LEN) return null;
  const view = new DataView(message);
  const kind = KINDS[view.getUint8(4) - 1];
  if (!kind) return null;
  const width = view.getUint32(8, true);
  const height = view.getUint32(12, true);
  const payload = new Uint8Array(message, HEADER_LEN);
  if (kind === 'i420' && (width === 0 || height === 0 || payload.length !== i420Length(width, height))) return null;
  const timestamp = Number(view.getBigUint64(16, true));
  return { picture: view.getUint32(0, true), kind, width, height, timestamp, payload };
}

/** Bytes of a picture: Y, and U and V of half the size, rounded up. */
export function i420Length(width: number, height: number): number {
  return width * height + 2 * Math.ceil(width / 2) * Math.ceil(height / 2);
}
