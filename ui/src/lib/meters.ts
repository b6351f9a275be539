/**
 * Volume meters: five bars per person, moved by transforms outside the component tree, so that ten levels a second cost
 * neither a render nor a layout.
 */

/** Above this level (0-100) a person counts as speaking: the tile gets its ring. */
export const SPEAKING_LEVEL = 10;
/** From full to nothing. Shorter flickers between words; longer shows a speaker who has stopped. */
export const RELEASE_MS = 300;
/** To a louder level; two frames, so that a word's beginning is seen. */
const ATTACK_MS = 35;
/** A pause inside a sentence does not take the ring away. */
const RING_HOLD_MS = 400;
/** The share of the level that each bar shows. */
const BARS = [0.6, 0.85, 1, 0.85, 0.6] as const;
const REST_SCALE = 0.2;

/** The shown level after `ms` milliseconds on the way from `shown` to `target` (both 0-100). */
export function follow(shown: number, target: number, ms: number): number {
  if (target >= shown) return Math.min(target, shown + (100 * ms) / ATTACK_MS);
  return Math.max(target, shown - (100 * ms) / RELEASE_MS);
}

/** Height of bar `index` (0-4) at `level`, 0.2-1: the square root makes quiet speech visible. */
export function barScale(level: number, index: number): number {
  const share = Math.sqrt(Math.max(0, Math.min(100, level)) / 100) * (BARS[index] ?? 1);
  return REST_SCALE + (1 - REST_SCALE) * share;
}

interface Meter {
  element: HTMLElement;
  tile: HTMLElement | null;
  user: string;
  shown: number;
  spokeAt: number;
}

export class Meters {
  #levels: Record<string, number | undefined> = {};
  #meters = new Set<Meter>();
  #frame = 0;
  #last = 0;

  /** Draws the level of `user` into `element` (five children) and the ring onto `tile`. Returns the detach function. */
  attach(element: HTMLElement, user: string, tile: HTMLElement | null): () => void {
    const meter: Meter = { element, tile, user, shown: 0, spokeAt: -Infinity };
    this.#meters.add(meter);
    this.#wake();
    return () => {
      this.#meters.delete(meter);
      tile?.removeAttribute('data-speaking');
    };
  }

  /** New levels, 0-100 by user; whoever is absent is silent. */
  set(levels: Record<string, number | undefined>): void {
    this.#levels = levels;
    for (const meter of this.#meters) {
      meter.element.setAttribute('aria-valuenow', String(Math.round(levels[meter.user] ?? 0)));
    }
    this.#wake();
  }

  #wake(): void {
    if (this.#frame !== 0 || this.#meters.size === 0) return;
    this.#last = performance.now();
    this.#frame = requestAnimationFrame(this.#draw);
  }

  #draw = (now: number): void => {
    const ms = Math.max(0, now - this.#last);
    this.#last = now;
    let moving = false;
    for (const meter of this.#meters) {
      const target = this.#levels[meter.user] ?? 0;
      meter.shown = follow(meter.shown, target, ms);
      if (target > SPEAKING_LEVEL) meter.spokeAt = now;
      const speaking = now - meter.spokeAt < RING_HOLD_MS;
      meter.tile?.toggleAttribute('data-speaking', speaking);
      moving ||= meter.shown !== target || speaking;
      const bars = meter.element.children;
      for (let index = 0; index < bars.length; index += 1) {
        (bars[index] as HTMLElement).style.transform = `scaleY(${barScale(meter.shown, index).toFixed(3)})`;
      }
    }
    this.#frame = moving ? requestAnimationFrame(this.#draw) : 0;
  };
}
