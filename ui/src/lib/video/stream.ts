/** One picture: from the lane's frames to the canvases that show it. */

import { drawI420, drawVideoFrame } from './paint';
import { codecString } from './sps';
import { CREDIT_LIMIT, FIRST_CREDIT, type LaneFrame } from './wire';

/** No new picture for so long while there should be one: the tile says so. */
export const FROZEN_AFTER_MS = 2000;
/** A decoder that is fed and gives nothing for so long is broken. */
export const DECODER_STALL_MS = 3000;
/** Failures in a row, without a picture in between, after which the app decodes instead. */
export const DECODER_FAILURES = 3;

export type Flow = 'waiting' | 'flowing' | 'frozen';

/** What a stream asks of its lane. */
export interface StreamLane {
  credit(picture: number, n: number): void;
  keyframe(picture: number): void;
  /** A picture came after there was none, or none for long. */
  flows(picture: number): void;
  /** WebCodecs cannot decode this here. */
  decoderFailed(): void;
}

type Drawable = { kind: 'frame'; frame: VideoFrame } | { kind: 'raw'; raw: LaneFrame };

/**
 * ```text
 * no decoder --key frame--> decoding --error--> no decoder (asks for a key frame)
 * ```
 */
export class PictureStream {
  drawn = 0;
  dropped = 0;
  #canvases = new Set<HTMLCanvasElement>();
  #decoder: VideoDecoder | null = null;
  #codec = '';
  #failures = 0;
  /** Fed to the decoder and not yet given back. */
  #inside = 0;
  #fedAt = 0;
  #cameAt = -Infinity;
  /** The newest picture, while no canvas shows it yet. */
  #held: Drawable | null = null;

  constructor(
    readonly picture: number,
    readonly lane: StreamLane,
    readonly now: () => number = () => performance.now(),
  ) {}

  push(frame: LaneFrame): void {
    switch (frame.kind) {
      case 'i420':
        this.#show({ kind: 'raw', raw: frame });
        this.lane.credit(this.picture, 1);
        break;
      case 'key':
      case 'delta':
        this.#decode(frame);
        break;
      case 'end':
        this.close();
        break;
    }
  }

  attach(canvas: HTMLCanvasElement): void {
    this.#canvases.add(canvas);
    const held = this.#held;
    this.#held = null;
    if (!held) return;
    this.dropped -= 1;
    this.#show(held);
  }

  detach(canvas: HTMLCanvasElement): void {
    this.#canvases.delete(canvas);
  }

  flow(): Flow {
    if (this.#cameAt === -Infinity) return 'waiting';
    return this.now() - this.#cameAt > FROZEN_AFTER_MS ? 'frozen' : 'flowing';
  }

  /** Called now and then: a decoder that keeps everything to itself counts as broken. */
  watch(): void {
    if (this.#inside > 0 && this.now() - Math.max(this.#fedAt, this.#cameAt) > DECODER_STALL_MS) {
      this.#failures = DECODER_FAILURES - 1;
      this.#fail();
    }
  }

  /** Forgets the decoder and gives back what was inside it; the next access unit must be a key frame. */
  reset(): void {
    if (this.#decoder && this.#decoder.state !== 'closed') this.#decoder.close();
    this.#decoder = null;
    this.#codec = '';
    if (this.#inside > 0) this.lane.credit(this.picture, this.#inside);
    this.dropped += this.#inside;
    this.#inside = 0;
  }

  close(): void {
    this.reset();
    this.#release();
  }

  #decode(frame: LaneFrame): void {
    if (frame.kind === 'key') this.#configure(frame.payload);
    if (!this.#decoder) {
      this.dropped += 1;
      this.lane.credit(this.picture, 1);
      this.lane.keyframe(this.picture);
      return;
    }
    if (this.#inside === 0) this.#fedAt = this.now();
    this.#inside += 1;
    try {
      const { kind, timestamp, payload } = frame;
      this.#decoder.decode(new EncodedVideoChunk({ type: kind === 'key' ? 'key' : 'delta', timestamp, data: payload }));
    } catch {
      this.#fail();
    }
  }

  #configure(unit: Uint8Array): void {
    const codec = codecString(unit);
    if (codec === null || (this.#decoder && codec === this.#codec)) return;
    this.reset();
    try {
      const decoder: VideoDecoder = new VideoDecoder({
        output: (frame) => this.#come(decoder, frame),
        error: () => this.#decoder === decoder && this.#fail(),
      });
      decoder.configure({ codec, optimizeForLatency: true });
      // A decoder may keep some pictures before it gives the first: the first credit alone could starve it.
      if (this.#codec === '') this.lane.credit(this.picture, CREDIT_LIMIT - FIRST_CREDIT);
      this.#decoder = decoder;
      this.#codec = codec;
    } catch {
      this.#fail();
    }
  }

  #come(decoder: VideoDecoder, frame: VideoFrame): void {
    if (decoder !== this.#decoder) {
      frame.close();
      return;
    }
    this.#failures = 0;
    this.#inside -= 1;
    this.#show({ kind: 'frame', frame });
    this.lane.credit(this.picture, 1);
  }

  #fail(): void {
    this.#failures += 1;
    this.reset();
    if (this.#failures >= DECODER_FAILURES) this.lane.decoderFailed();
    else this.lane.keyframe(this.picture);
  }

  #show(drawable: Drawable): void {
    const still = this.flow() !== 'flowing';
    this.#cameAt = this.now();
    if (still) this.lane.flows(this.picture);
    if (this.#canvases.size === 0) {
      this.#release();
      this.#held = drawable;
      this.dropped += 1;
      return;
    }
    for (const canvas of this.#canvases) {
      if (drawable.kind === 'raw') drawI420(canvas, drawable.raw);
      else drawVideoFrame(canvas, drawable.frame);
    }
    if (drawable.kind === 'frame') drawable.frame.close();
    this.drawn += 1;
  }

  #release(): void {
    if (this.#held?.kind === 'frame') this.#held.frame.close();
    this.#held = null;
  }
}
