/** Holds a shown value still, so that it changes at most once per interval. */

export const QUALITY_INTERVAL_MS = 2000;

export class Steady<T> {
  #shown: T;
  #changedAt = -Infinity;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(
    first: T,
    readonly show: (value: T) => void,
    readonly intervalMs: number,
  ) {
    this.#shown = first;
  }

  /** Shows `value` now if the last change is long enough ago, else as soon as it is; the latest wins. */
  set(value: T): void {
    clearTimeout(this.#timer);
    if (value === this.#shown) return;
    const wait = this.#changedAt + this.intervalMs - Date.now();
    if (wait > 0) {
      this.#timer = setTimeout(() => this.set(value), wait);
      return;
    }
    this.#shown = value;
    this.#changedAt = Date.now();
    this.show(value);
  }

  stop(): void {
    clearTimeout(this.#timer);
  }
}
