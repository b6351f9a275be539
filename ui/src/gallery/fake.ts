/** A backend without an app behind it: shows one view, notes what is asked of it, refuses what it is told to refuse. */

import type { EngineEvent, Event, LevelsChanged, Refusal, View } from '../bindings';
import type { Backend, Commands } from '../lib/backend';
import type { Screen } from '../lib/video/screen';
import type { Flow } from '../lib/video/stream';
import { drawPortrait } from './portrait';

export interface Asked {
  name: string;
  args: unknown[];
}

export class FakeBackend implements Backend {
  readonly asked: Asked[] = [];
  /** Refuse the next request of this name. */
  readonly refusals = new Map<string, Refusal>();
  /** Requests of these names are never answered. */
  readonly silent = new Set<string>();
  readonly commands: Commands;
  #show: ((view: View) => void) | null = null;
  #levels: ((levels: LevelsChanged) => void) | null = null;
  #event: ((event: EngineEvent) => void) | null = null;

  constructor(public view: View) {
    const answer = (name: string, data: unknown) => {
      return (...args: unknown[]): Promise<unknown> => {
        this.asked.push({ name, args });
        if (this.silent.has(name)) return new Promise(() => undefined);
        const error = this.refusals.get(name);
        return Promise.resolve(error ? { status: 'error', error } : { status: 'ok', data });
      };
    };
    const invitation = {
      server: 'http://192.168.1.20:7880',
      user: 'bob',
      ticket: 'eJyrVgrxCdYrSy1SslIy0jNQ0gHzM1NS80',
    };
    const answered: Record<string, unknown> = { hostInvite: invitation };
    const special: Record<string, () => Promise<unknown>> = {
      getView: () => Promise.resolve(this.view),
      videoLane: () => Promise.resolve({ url: 'ws://127.0.0.1:1/', secret: 'none' }),
    };
    this.commands = new Proxy({} as Commands, {
      get: (_, name: string) => special[name] ?? answer(name, answered[name] ?? null),
    });
  }

  onView(show: (view: View) => void): Promise<() => void> {
    this.#show = show;
    return Promise.resolve(() => (this.#show = null));
  }

  onLevels(show: (levels: LevelsChanged) => void): Promise<() => void> {
    this.#levels = show;
    return Promise.resolve(() => (this.#levels = null));
  }

  onEvent(show: (event: EngineEvent) => void): Promise<() => void> {
    this.#event = show;
    return Promise.resolve(() => (this.#event = null));
  }

  happen(event: Event, older: string | null = null): void {
    this.#event?.({ at: Date.now(), event, older });
  }

  push(view: View): void {
    this.view = view;
    this.#show?.(view);
  }

  level(levels: LevelsChanged): void {
    this.#levels?.(levels);
  }
}

/** Shows a drawn person for each picture; those in `frozen` have stopped, those in `waiting` have not begun. */
export class FakeScreen implements Screen {
  readonly attached: number[] = [];

  constructor(
    readonly frozen: ReadonlySet<number> = new Set(),
    readonly waiting: ReadonlySet<number> = new Set(),
  ) {}

  attach(canvas: HTMLCanvasElement, picture: number, report: (flow: Flow) => void): () => void {
    this.attached.push(picture);
    drawPortrait(canvas, picture);
    report(this.waiting.has(picture) ? 'waiting' : this.frozen.has(picture) ? 'frozen' : 'flowing');
    return () => this.attached.splice(this.attached.indexOf(picture), 1);
  }
}
