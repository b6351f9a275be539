import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { i420ToRgba } from '../src/lib/video/paint';
import { LaneScreen } from '../src/lib/video/screen';
import { codecString } from '../src/lib/video/sps';
import { DECODER_STALL_MS, FROZEN_AFTER_MS, type Flow } from '../src/lib/video/stream';
import { parseFrame, type ToApp } from '../src/lib/video/wire';

const SPS_UNIT = [0, 0, 0, 1, 0x67, 0x42, 0xe0, 0x1f, 0xda, 0, 0, 1, 0x68, 0xce, 0, 0, 1, 0x65, 0x88];
const DELTA_UNIT = [0, 0, 0, 1, 0x41, 0x9a];

function message(picture: number, kind: number, payload: number[], width = 0, height = 0, micros = 0): ArrayBuffer {
  const bytes = new ArrayBuffer(24 + payload.length);
  const view = new DataView(bytes);
  view.setUint32(0, picture, true);
  view.setUint8(4, kind);
  view.setUint32(8, width, true);
  view.setUint32(12, height, true);
  view.setBigUint64(16, BigInt(micros), true);
  new Uint8Array(bytes, 24).set(payload);
  return bytes;
}

class FakeSocket {
  static readonly OPEN = 1;
  static all: FakeSocket[] = [];
  readyState = 0;
  binaryType = '';
  sent: ToApp[] = [];
  onopen: (() => void) | null = null;
  onmessage: ((event: { data: unknown }) => void) | null = null;
  onclose: ((event: { code: number }) => void) | null = null;

  constructor(readonly url: string) {
    FakeSocket.all.push(this);
  }
  send(text: string): void {
    this.sent.push(JSON.parse(text) as ToApp);
  }
  close(): void {
    this.readyState = 3;
  }
  open(): void {
    this.readyState = 1;
    this.onopen?.();
  }
  drop(code: number): void {
    this.readyState = 3;
    this.onclose?.({ code });
  }
  give(frame: ArrayBuffer): void {
    this.onmessage?.({ data: frame });
  }
  credit(picture: number): number {
    return this.sent.reduce((sum, word) => sum + (word.kind === 'credit' && word.picture === picture ? word.n : 0), 0);
  }
}

/** Keeps what it is fed until the test lets it out. */
class FakeDecoder {
  static all: FakeDecoder[] = [];
  static supported = true;
  state = 'unconfigured';
  config: VideoDecoderConfig | null = null;
  queue: { type: string; timestamp: number }[] = [];

  constructor(readonly init: { output: (frame: unknown) => void; error: (error: Error) => void }) {
    FakeDecoder.all.push(this);
  }
  static isConfigSupported(): Promise<{ supported: boolean }> {
    return Promise.resolve({ supported: FakeDecoder.supported });
  }
  configure(config: VideoDecoderConfig): void {
    this.config = config;
    this.state = 'configured';
  }
  decode(chunk: { type: string; timestamp: number }): void {
    this.queue.push(chunk);
  }
  close(): void {
    this.state = 'closed';
  }
  let(): { close: ReturnType<typeof vi.fn> } {
    const frame = { displayWidth: 640, displayHeight: 360, timestamp: this.queue.shift()?.timestamp, close: vi.fn() };
    this.init.output(frame);
    return frame;
  }
}

class FakeChunk {
  type: string;
  timestamp: number;
  constructor(init: { type: string; timestamp: number }) {
    this.type = init.type;
    this.timestamp = init.timestamp;
  }
}

const draws: string[] = [];
const canvas = () => {
  const element = document.createElement('canvas');
  element.getContext = (() => ({
    drawImage: () => draws.push('frame'),
    createImageData: (w: number, h: number) => ({ data: new Uint8ClampedArray(w * h * 4) }),
    putImageData: () => draws.push('raw'),
  })) as unknown as HTMLCanvasElement['getContext'];
  return element;
};

let screen: LaneScreen | undefined;

async function connected(): Promise<{ screen: LaneScreen; socket: FakeSocket }> {
  screen = new LaneScreen(() => Promise.resolve({ url: 'ws://127.0.0.1:9/', secret: 's3' }));
  await vi.advanceTimersByTimeAsync(0);
  const socket = FakeSocket.all.at(-1);
  if (!socket) throw new Error('no connection was made');
  socket.open();
  return { screen, socket };
}

const last = <T>(list: T[]): T => {
  const item = list.at(-1);
  if (item === undefined) throw new Error('nothing there');
  return item;
};

beforeEach(() => {
  vi.useFakeTimers();
  FakeSocket.all = [];
  FakeDecoder.all = [];
  FakeDecoder.supported = true;
  draws.length = 0;
  vi.stubGlobal('WebSocket', FakeSocket);
  vi.stubGlobal('VideoDecoder', FakeDecoder);
  vi.stubGlobal('EncodedVideoChunk', FakeChunk);
});

afterEach(() => {
  screen?.close();
  vi.unstubAllGlobals();
  vi.useRealTimers();
});

describe('the lane', () => {
  it('says hello with the secret and the best mode', async () => {
    const { socket } = await connected();
    expect(socket.url).toBe('ws://127.0.0.1:9/');
    expect(socket.sent).toEqual([{ kind: 'hello', secret: 's3', mode: 'webcodecs' }]);
    expect(window.__ahoy).toMatchObject({ mode: 'webcodecs', connected: true });
  });

  it('asks for raw pictures where WebCodecs is missing', async () => {
    vi.stubGlobal('VideoDecoder', undefined);
    const { socket } = await connected();
    expect(socket.sent).toEqual([{ kind: 'hello', secret: 's3', mode: 'raw' }]);
  });

  it('asks for raw pictures where H.264 is not supported', async () => {
    FakeDecoder.supported = false;
    const { socket } = await connected();
    expect(socket.sent[0]).toMatchObject({ mode: 'raw' });
  });

  it('comes back after it was lost, and begins each picture at a key frame', async () => {
    const { socket } = await connected();
    socket.give(message(7, 1, SPS_UNIT));
    socket.drop(1006);
    expect(FakeDecoder.all[0]?.state).toBe('closed');
    await vi.advanceTimersByTimeAsync(300);
    const second = last(FakeSocket.all);
    expect(second).not.toBe(socket);
    second.open();
    second.give(message(7, 2, DELTA_UNIT));
    expect(second.sent).toContainEqual({ kind: 'keyframe', picture: 7 });
    expect(second.credit(7)).toBe(1);
  });

  it('stays away where another window took the lane over', async () => {
    const { socket } = await connected();
    socket.drop(4409);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(FakeSocket.all).toHaveLength(1);
  });

  it('takes no notice of damaged messages', async () => {
    const { socket } = await connected();
    for (const bad of [
      new ArrayBuffer(0),
      new ArrayBuffer(23),
      message(1, 0, []),
      message(1, 9, []),
      message(1, 3, [1], 2, 2),
    ]) {
      socket.give(bad);
    }
    expect(socket.sent).toHaveLength(1);
    expect(parseFrame(message(9, 4, []))).toMatchObject({ picture: 9, kind: 'end' });
  });
});

describe('a compressed picture', () => {
  it('is decoded by what its SPS says, drawn, and paid for when drawn', async () => {
    const { screen, socket } = await connected();
    const seen: Flow[] = [];
    screen.attach(canvas(), 7, (flow) => seen.push(flow));
    socket.give(message(7, 1, SPS_UNIT, 0, 0, 40_000));
    const decoder = last(FakeDecoder.all);
    expect(decoder.config).toEqual({ codec: 'avc1.42E01F', optimizeForLatency: true });
    expect(decoder.queue).toEqual([{ type: 'key', timestamp: 40_000 }]);
    expect(socket.credit(7), 'the window is opened, nothing is paid back yet').toBe(4);
    const frame = decoder.let();
    expect(frame.close).toHaveBeenCalled();
    expect(draws).toEqual(['frame']);
    expect(seen, 'the first picture is told at once').toEqual(['waiting', 'flowing']);
    expect(socket.credit(7)).toBe(5);
    socket.give(message(7, 2, DELTA_UNIT));
    decoder.let();
    await vi.advanceTimersByTimeAsync(500);
    expect(window.__ahoy?.frames[7]).toBe(2);
  });

  it('keeps its decoder for as long as the SPS stays the same', async () => {
    const { socket } = await connected();
    socket.give(message(7, 1, SPS_UNIT));
    socket.give(message(7, 1, SPS_UNIT));
    expect(FakeDecoder.all).toHaveLength(1);
    const other = [...SPS_UNIT];
    other[7] = 0x28;
    socket.give(message(7, 1, other));
    expect(FakeDecoder.all).toHaveLength(2);
    expect(FakeDecoder.all[0]?.state).toBe('closed');
    expect(last(FakeDecoder.all).config?.codec).toBe('avc1.42E028');
  });

  it('that nobody shows yet is held, and drawn as soon as somebody does', async () => {
    const { screen, socket } = await connected();
    socket.give(message(7, 1, SPS_UNIT));
    const decoder = last(FakeDecoder.all);
    const first = decoder.let();
    expect(first.close).not.toHaveBeenCalled();
    socket.give(message(7, 2, DELTA_UNIT));
    const second = decoder.let();
    expect(first.close, 'only the newest is held').toHaveBeenCalled();
    expect(socket.credit(7), 'and both are paid for').toBe(4 + 2);
    screen.attach(canvas(), 7, () => undefined);
    expect(draws).toEqual(['frame']);
    expect(second.close).toHaveBeenCalled();
  });

  it('that cannot be decoded is asked for anew, and what was inside is paid for', async () => {
    const { socket } = await connected();
    socket.give(message(7, 1, SPS_UNIT));
    socket.give(message(7, 2, DELTA_UNIT));
    last(FakeDecoder.all).init.error(new Error('broken'));
    expect(socket.sent).toContainEqual({ kind: 'keyframe', picture: 7 });
    expect(socket.credit(7)).toBe(4 + 2);
    socket.give(message(7, 2, DELTA_UNIT));
    expect(socket.credit(7), 'a delta frame without its key is thrown away and paid for').toBe(4 + 3);
  });

  it('falls back to raw pictures after failures in a row', async () => {
    const { screen, socket } = await connected();
    screen.attach(canvas(), 7, () => undefined);
    for (let n = 0; n < 3; n += 1) {
      socket.give(message(7, 1, SPS_UNIT));
      last(FakeDecoder.all).init.error(new Error('broken'));
    }
    expect(last(socket.sent)).toEqual({ kind: 'mode', mode: 'raw' });
    expect(window.__ahoy?.mode).toBe('raw');
    const before = socket.credit(7);
    socket.give(message(7, 2, DELTA_UNIT));
    expect(socket.credit(7), 'what was still under way').toBe(before + 1);
    vi.stubGlobal('VideoFrame', undefined);
    socket.give(message(7, 3, [16, 16, 16, 16, 128, 128], 2, 2));
    expect(draws).toEqual(['raw']);
    expect(socket.credit(7)).toBe(before + 2);
  });

  it('does not count failures that have a picture in between', async () => {
    const { socket } = await connected();
    for (let n = 0; n < 6; n += 1) {
      socket.give(message(7, 1, SPS_UNIT));
      if (n % 2 === 0) last(FakeDecoder.all).let();
      last(FakeDecoder.all).init.error(new Error('broken'));
    }
    expect(window.__ahoy?.mode).toBe('webcodecs');
  });

  it('falls back where the decoder takes everything and gives nothing', async () => {
    const { socket } = await connected();
    socket.give(message(7, 1, SPS_UNIT));
    await vi.advanceTimersByTimeAsync(DECODER_STALL_MS + 1000);
    expect(last(socket.sent)).toEqual({ kind: 'mode', mode: 'raw' });
    expect(socket.credit(7)).toBe(4 + 1);
  });

  it('ends: the decoder goes, and the same canvas may show another picture', async () => {
    const { socket } = await connected();
    socket.give(message(7, 1, SPS_UNIT));
    socket.give(message(7, 4, []));
    expect(FakeDecoder.all[0]?.state).toBe('closed');
  });
});

describe('whether a picture flows', () => {
  it('is told: waiting, flowing, frozen after a while, flowing again', async () => {
    vi.stubGlobal('VideoFrame', undefined);
    const { screen, socket } = await connected();
    const seen: Flow[] = [];
    const detach = screen.attach(canvas(), 6, (flow) => seen.push(flow));
    const raw = message(6, 3, [16, 16, 16, 16, 128, 128], 2, 2);
    expect(seen).toEqual(['waiting']);
    await vi.advanceTimersByTimeAsync(5000);
    expect(seen, 'nothing has come, so nothing has stopped').toEqual(['waiting']);
    socket.give(raw);
    expect(seen).toEqual(['waiting', 'flowing']);
    await vi.advanceTimersByTimeAsync(FROZEN_AFTER_MS + 600);
    expect(seen).toEqual(['waiting', 'flowing', 'frozen']);
    socket.give(raw);
    expect(seen.at(-1)).toBe('flowing');
    detach();
    await vi.advanceTimersByTimeAsync(FROZEN_AFTER_MS * 2);
    expect(seen.at(-1)).toBe('flowing');
  });
});

describe('H.264 and colours', () => {
  it('reads the codec string of an access unit', () => {
    expect(codecString(new Uint8Array(SPS_UNIT))).toBe('avc1.42E01F');
    expect(codecString(new Uint8Array([0, 0, 1, 9, 0xf0, 0, 0, 0, 1, 0x27, 0x64, 0x00, 0x0a, 1]))).toBe('avc1.64000A');
    expect(codecString(new Uint8Array(DELTA_UNIT))).toBeNull();
    expect(codecString(new Uint8Array([0, 0, 1, 0x67, 0x42]))).toBeNull();
  });

  it.each([
    ['black', [16, 128, 128], [0, 0, 0]],
    ['white', [235, 128, 128], [255, 255, 255]],
    ['red', [81, 90, 240], [254, 0, 0]],
    ['green', [145, 54, 34], [0, 255, 1]],
    ['blue', [41, 240, 110], [0, 0, 255]],
  ])('converts %s', (_, [y = 0, u = 0, v = 0], rgb) => {
    const rgba = new Uint8ClampedArray(3 * 3 * 4);
    const planes = new Uint8Array([
      ...Array<number>(9).fill(y),
      ...Array<number>(4).fill(u),
      ...Array<number>(4).fill(v),
    ]);
    i420ToRgba(planes, 3, 3, rgba);
    for (let at = 0; at < rgba.length; at += 4) {
      for (const [index, want] of rgb.entries())
        expect(Math.abs((rgba[at + index] ?? 0) - want)).toBeLessThanOrEqual(2);
      expect(rgba[at + 3]).toBe(255);
    }
  });
});
