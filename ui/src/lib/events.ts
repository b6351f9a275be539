/** The engine's one event stream, typed: `on('onCallBegin', (begin) => …)` with the documented fields. */

import type { EngineEvent, Event } from '../bindings';

export type EventName = Event['event'];
/** The documented fields of one event. */
export type EventOf<Name extends EventName> = Extract<Event, { event: Name }>;
/** `at`: when it happened, **milliseconds** since the Unix epoch. */
export type Handler<Name extends EventName> = (event: EventOf<Name>, at: number) => void;

export class Events {
  readonly #handlers = new Map<EventName, Set<(event: Event, at: number) => void>>();

  /** Calls `handler` with each event of that name. Returns the function that ends it. */
  on<Name extends EventName>(name: Name, handler: Handler<Name>): () => void {
    const handlers = this.#handlers.get(name) ?? new Set();
    this.#handlers.set(name, handlers);
    // Only events of that name come here.
    const take = (event: Event, at: number): void => handler(event as EventOf<Name>, at);
    handlers.add(take);
    return () => void handlers.delete(take);
  }

  /** Gives one event to those who wait for its name, in the order in which they came. */
  emit({ event, at }: EngineEvent): void {
    for (const take of [...(this.#handlers.get(event.event) ?? [])]) take(event, at);
  }
}
