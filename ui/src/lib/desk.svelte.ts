/** What the screens share: the view as the engine last gave it, and the road for requests. It decides nothing. */

import { getContext, setContext } from 'svelte';
import type { EngineEvent, FiguresView, Refusal, View } from '../bindings';
import type { Backend } from './backend';
import { Events, type EventName, type Handler } from './events';
import { Meters } from './meters';
import { Notices } from './notices.svelte';
import type { Screen } from './video/screen';

type Outcome<T> = { status: 'ok'; data: T } | { status: 'error'; error: Refusal };

const KEY = Symbol('desk');
/** The figures behind a quality badge are read by people: more often than this only flickers. */
const FIGURES_INTERVAL_MS = 1000;
/** Lines that the event console looks back. */
const LOG_LENGTH = 500;

/** What the person types on the start screen: still there when what they asked for is refused. */
export interface Draft {
  way: 'person' | 'room';
  user: string;
  /** Whom to call beside the one who is typed. */
  chosen: string[];
  room: string;
}

const emptyDraft = (): Draft => ({ way: 'person', user: '', chosen: [], room: '' });

export class Desk {
  /** Absent until the app has answered once. */
  view = $state.raw<View | null>(null);
  /** Why the last request was refused, until the person closes it or asks for something else. */
  refusal = $state.raw<Refusal | null>(null);
  /** The request under way, by name. */
  busy = $state.raw<string | null>(null);
  /** By user, once a second. */
  figures = $state.raw<Record<string, FiguresView | undefined>>({});
  settingsOpen = $state(false);
  inviteOpen = $state(false);
  renewOpen = $state(false);
  consoleOpen = $state(false);
  draft = $state<Draft>(emptyDraft());
  /** The last events of the engine, the oldest first. */
  log = $state.raw<EngineEvent[]>([]);

  readonly events = new Events();
  readonly notices = new Notices();
  readonly meters = new Meters();
  #wishedMicrophone = $state.raw<boolean | null>(null);
  #wishedCamera = $state.raw<boolean | null>(null);
  #figuresAt = -Infinity;
  /** Whose the log and the figures are; nobody's before the first sign-in. */
  #owner = '';
  /** How often the person took back what was under way. */
  #takenBack = 0;
  #stops: (() => void)[] = [];

  constructor(
    readonly backend: Backend,
    readonly screen: Screen,
  ) {}

  /** Own microphone: the wish counts at once, because muting is true the moment it is asked for. */
  get microphoneOn(): boolean {
    return this.#wishedMicrophone ?? this.view?.devices.microphoneOn ?? false;
  }

  get cameraOn(): boolean {
    return this.#wishedCamera ?? this.view?.devices.cameraOn ?? false;
  }

  /** The signed-in user, also while the server cannot be reached. */
  get user(): string {
    const session = this.view?.session;
    return session && session.kind !== 'signedOut' ? session.user : '';
  }

  /** Under whose name the own microphone's level comes: in a room entered by a token it is the token's. */
  get me(): string {
    const stage = this.view?.stage;
    const own = stage?.kind === 'live' ? stage.live.people.find((person) => person.local) : undefined;
    return own?.user ?? this.user;
  }

  /** What somebody is called: as they say it, else by their id. */
  name(user: string): string {
    return this.view?.book.profiles[user]?.nickname || user;
  }

  /** Calls `handler` with each event of the engine of that name. Returns the function that ends it. */
  on<Name extends EventName>(name: Name, handler: Handler<Name>): () => void {
    return this.events.on(name, handler);
  }

  async start(): Promise<void> {
    this.#stops.push(this.notices.follow(this.events));
    this.#stops.push(
      await this.backend.onEvent((event) => {
        this.log = [...this.log.slice(1 - LOG_LENGTH), event];
        this.events.emit(event);
      }),
    );
    this.#stops.push(await this.backend.onView((view) => this.#take(view)));
    this.#stops.push(
      await this.backend.onLevels((levels) => {
        this.meters.set(levels.volume);
        const now = performance.now();
        if (now - this.#figuresAt < FIGURES_INTERVAL_MS) return;
        this.#figuresAt = now;
        this.figures = levels.figures;
      }),
    );
    // A view that came in the meantime is newer than the answer.
    const first = await this.backend.commands.getView();
    if (!this.view) this.#take(first);
  }

  #take(view: View): void {
    const before = this.view?.stage.kind;
    const user = this.user;
    this.view = view;
    if (user !== this.user) this.#handOver(user !== '');
    if (before === view.stage.kind) return;
    // What was refused belongs to the screen that asked, also when the way to it went over another one and back; and what
    // happened in a call belongs to that call.
    if (!['idle', 'calling', 'entering'].includes(view.stage.kind)) this.refusal = null;
    if (view.stage.kind === 'live' || view.stage.kind === 'ended') this.draft = emptyDraft();
    if (view.stage.kind !== 'live') this.notices.clear();
    if (view.stage.kind === 'incoming') {
      this.settingsOpen = false;
      this.inviteOpen = false;
    }
  }

  /** Another user, or none: the next one reads nothing of whom the last one called. Events may come later than views. */
  #handOver(left: boolean): void {
    if (left || (this.#owner !== '' && this.user !== '' && this.user !== this.#owner)) {
      this.log = [];
      this.figures = {};
      this.meters.set({});
      this.notices.clear();
      this.draft = emptyDraft();
      this.settingsOpen = this.inviteOpen = this.renewOpen = this.consoleOpen = false;
    }
    if (this.user !== '') this.#owner = this.user;
  }

  stop(): void {
    for (const stop of this.#stops.splice(0)) stop();
  }

  /** Sends one request; its refusal is kept for the screen. Gives the data, or nothing where it was refused. */
  async ask<T>(name: string, request: Promise<Outcome<T>>): Promise<T | undefined> {
    this.refusal = null;
    this.busy = name;
    const takenBack = this.#takenBack;
    try {
      const outcome = await request;
      if (outcome.status === 'ok') return outcome.data;
      // Whoever takes a wish back knows that it does not come true.
      if (takenBack === this.#takenBack) this.refusal = outcome.error;
    } catch (error) {
      this.refusal = { code: -1, message: `The app did not answer: ${String(error)}` };
    } finally {
      if (this.busy === name) this.busy = null;
    }
    return undefined;
  }

  async setMicrophone(on: boolean): Promise<void> {
    this.#wishedMicrophone = on;
    await this.ask('microphone', this.backend.commands.setMicrophone(on));
    this.#wishedMicrophone = null;
  }

  async setCamera(on: boolean): Promise<void> {
    this.#wishedCamera = on;
    await this.ask('camera', this.backend.commands.setCamera(on));
    this.#wishedCamera = null;
  }

  /** Declines the call that rings here, also after it was accepted. */
  async decline(): Promise<void> {
    this.#takenBack += 1;
    await this.ask('decline', this.backend.commands.reject());
  }

  /** Takes back or ends the call, or leaves the room. */
  async leave(): Promise<void> {
    this.#takenBack += 1;
    const stage = this.view?.stage;
    const inRoomOnly =
      (stage?.kind === 'entering' && stage.call === null) || (stage?.kind === 'live' && stage.live.call === null);
    await this.ask('leave', inRoomOnly ? this.backend.commands.exitRoom() : this.backend.commands.hangup());
  }
}

export function provideDesk(desk: Desk): void {
  setContext(KEY, desk);
}

export function useDesk(): Desk {
  return getContext<Desk>(KEY);
}
