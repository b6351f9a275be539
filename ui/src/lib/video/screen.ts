/** The screen's end of the frame lane: one WebSocket, many pictures. */

import type { VideoLane } from '../../bindings';
import { PictureStream, type Flow, type StreamLane } from './stream';
import { CLOSE_TAKEN_OVER, parseFrame, type Mode, type ToApp } from './wire';

/** Where components let a picture be drawn. */
export interface Screen {
  /** Draws `picture` onto `canvas` and reports whether it flows, until the returned function is called. */
  attach(canvas: HTMLCanvasElement, picture: number, report: (flow: Flow) => void): () => void;
}

/** Counters for tests and measurements, at `window.__ahoy`. */
export interface Counters {
  /** `webcodecs` or `raw`, once decided. */
  mode: Mode | null;
  connected: boolean;
  /** Pictures drawn, by picture id. */
  frames: Record<number, number>;
  /** Pictures given back undrawn, by picture id. */
  dropped: Record<number, number>;
}

declare global {
  interface Window {
    __ahoy?: Counters;
  }
}

const WATCH_INTERVAL_MS = 500;
const FIRST_RETRY_MS = 250;
const LAST_RETRY_MS = 4000;
/** Constrained baseline 3.1: what every client of a call sends. */
const PROBE_CODEC = 'avc1.42E01F';

interface Watcher {
  picture: number;
  report: (flow: Flow) => void;
  last: Flow;
}

export class LaneScreen implements Screen, StreamLane {
  readonly counters: Counters = { mode: null, connected: false, frames: {}, dropped: {} };
  #streams = new Map<number, PictureStream>();
  /** Canvases of pictures, also of those of which nothing has come yet. */
  #canvases = new Map<HTMLCanvasElement, number>();
  #watchers = new Set<Watcher>();
  #socket: WebSocket | null = null;
  #retryMs = FIRST_RETRY_MS;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #watch: ReturnType<typeof setInterval>;
  #closed = false;

  constructor(readonly fetchLane: () => Promise<VideoLane>) {
    this.#watch = setInterval(() => this.#tick(), WATCH_INTERVAL_MS);
    if (typeof window !== 'undefined') window.__ahoy = this.counters;
    void this.#connect();
  }

  attach(canvas: HTMLCanvasElement, picture: number, report: (flow: Flow) => void): () => void {
    const stream = this.#streams.get(picture);
    this.#canvases.set(canvas, picture);
    stream?.attach(canvas);
    const watcher: Watcher = { picture, report, last: stream?.flow() ?? 'waiting' };
    this.#watchers.add(watcher);
    report(watcher.last);
    return () => {
      this.#watchers.delete(watcher);
      this.#canvases.delete(canvas);
      this.#streams.get(picture)?.detach(canvas);
    };
  }

  credit(picture: number, n: number): void {
    this.#send({ kind: 'credit', picture, n });
  }

  keyframe(picture: number): void {
    this.#send({ kind: 'keyframe', picture });
  }

  /** The avatar goes with the first picture, not at the next tick. */
  flows(): void {
    this.#tick();
  }

  decoderFailed(): void {
    if (this.counters.mode === 'raw') return;
    this.counters.mode = 'raw';
    for (const stream of this.#streams.values()) stream.reset();
    this.#send({ kind: 'mode', mode: 'raw' });
  }

  close(): void {
    this.#closed = true;
    clearInterval(this.#watch);
    clearTimeout(this.#timer);
    this.#socket?.close();
    for (const stream of this.#streams.values()) stream.close();
    this.#streams.clear();
  }

  async #connect(): Promise<void> {
    try {
      this.counters.mode ??= await bestMode();
      const lane = await this.fetchLane();
      if (this.#closed) return;
      this.#open(lane, this.counters.mode);
    } catch {
      this.#retry();
    }
  }

  #open(lane: VideoLane, mode: Mode): void {
    const socket = new WebSocket(lane.url);
    socket.binaryType = 'arraybuffer';
    this.#socket = socket;
    socket.onopen = () => {
      this.#retryMs = FIRST_RETRY_MS;
      this.counters.connected = true;
      this.#send({ kind: 'hello', secret: lane.secret, mode });
      // The mode may have changed while the socket was opening.
      if (this.counters.mode === 'raw' && mode !== 'raw') this.#send({ kind: 'mode', mode: 'raw' });
    };
    socket.onmessage = (event: MessageEvent<unknown>) => {
      if (event.data instanceof ArrayBuffer) this.#take(event.data);
    };
    socket.onclose = (event) => {
      this.counters.connected = false;
      this.#socket = null;
      // Frames were lost with the connection: each picture begins again at a key frame, with its first credit.
      for (const stream of this.#streams.values()) stream.reset();
      if (event.code !== CLOSE_TAKEN_OVER) this.#retry();
    };
  }

  #retry(): void {
    if (this.#closed) return;
    this.#timer = setTimeout(() => void this.#connect(), this.#retryMs);
    this.#retryMs = Math.min(this.#retryMs * 2, LAST_RETRY_MS);
  }

  #send(message: ToApp): void {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(message));
  }

  #take(message: ArrayBuffer): void {
    const frame = parseFrame(message);
    if (!frame) return;
    const { picture } = frame;
    const known = this.#streams.get(picture);
    if (frame.kind === 'end') {
      known?.push(frame);
      this.#streams.delete(picture);
      return;
    }
    const stream = known ?? this.#begin(picture);
    if (this.counters.mode === 'raw' && frame.kind !== 'i420') {
      // Left over from before the change of mode.
      stream.dropped += 1;
      this.credit(picture, 1);
    } else {
      stream.push(frame);
    }
    this.counters.frames[picture] = stream.drawn;
    this.counters.dropped[picture] = stream.dropped;
  }

  #begin(picture: number): PictureStream {
    const stream = new PictureStream(picture, this);
    this.#streams.set(picture, stream);
    for (const [canvas, shown] of this.#canvases) {
      if (shown === picture) stream.attach(canvas);
    }
    return stream;
  }

  #tick(): void {
    for (const [picture, stream] of this.#streams) {
      stream.watch();
      this.counters.frames[picture] = stream.drawn;
      this.counters.dropped[picture] = stream.dropped;
    }
    for (const watcher of this.#watchers) {
      const flow = this.#streams.get(watcher.picture)?.flow() ?? watcher.last;
      if (flow === watcher.last) continue;
      watcher.last = flow;
      watcher.report(flow);
    }
  }
}

/** WebCodecs where it can decode H.264, else raw pictures. */
async function bestMode(): Promise<Mode> {
  if (typeof VideoDecoder !== 'function' || typeof EncodedVideoChunk !== 'function') return 'raw';
  try {
    const { supported } = await VideoDecoder.isConfigSupported({ codec: PROBE_CODEC, optimizeForLatency: true });
    return supported === true ? 'webcodecs' : 'raw';
  } catch {
    return 'raw';
  }
}
