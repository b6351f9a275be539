/**
 * One-line notices of what others did: they come by the event stream, stay a few seconds and ask for nothing. What befalls
 * this user (signed in elsewhere, ticket expired) stays until it is over: banners say it.
 */

import type { Events } from './events';
import { list } from './format';

/** Long enough to read a line twice. */
export const NOTICE_MS = 5000;

type Kind = 'declined' | 'busy' | 'noAnswer' | 'left' | 'inviting' | 'voice';

export interface Notice {
  id: number;
  kind: Kind;
  users: string[];
}

/** The line; several people who did the same share one. */
export function noticeWords({ kind, users }: Notice, name: (user: string) => string): string {
  const who = list(users.map(name));
  const several = users.length > 1;
  switch (kind) {
    case 'declined':
      return `${who} declined`;
    case 'busy':
      return `${who} ${several ? 'are' : 'is'} in another call`;
    case 'noAnswer':
      return `${who} did not answer`;
    case 'left':
      return `${who} left`;
    case 'inviting':
      return `Calling ${who}`;
    case 'voice':
      return 'The call is a voice call now. Cameras are off.';
  }
}

export class Notices {
  items = $state.raw<Notice[]>([]);
  #next = 1;
  /** By notice. */
  #timers: Record<number, ReturnType<typeof setTimeout> | undefined> = {};

  /** Begins to tell what `events` say. Returns the function that ends it. */
  follow(events: Events): () => void {
    const stops = [
      events.on('onUserReject', ({ userId }) => this.add('declined', userId)),
      events.on('onUserLineBusy', ({ userId }) => this.add('busy', userId)),
      events.on('onUserNoResponse', ({ userId }) => this.add('noAnswer', userId)),
      events.on('onUserLeave', ({ userId }) => this.add('left', userId)),
      events.on('onUserInviting', ({ userId }) => this.add('inviting', userId)),
      events.on('onCallMediaTypeChanged', () => this.add('voice')),
    ];
    return () => {
      for (const stop of stops) stop();
      this.clear();
    };
  }

  add(kind: Kind, user?: string): void {
    const same = this.items.find((notice) => notice.kind === kind);
    const users = [...(same?.users ?? []).filter((other) => other !== user), ...(user === undefined ? [] : [user])];
    const notice: Notice = { id: same?.id ?? this.#next++, kind, users };
    this.items = same ? this.items.map((item) => (item === same ? notice : item)) : [...this.items, notice];
    clearTimeout(this.#timers[notice.id]);
    this.#timers[notice.id] = setTimeout(() => this.#drop(notice.id), NOTICE_MS);
  }

  clear(): void {
    for (const timer of Object.values(this.#timers)) clearTimeout(timer);
    this.#timers = {};
    this.items = [];
  }

  #drop(id: number): void {
    this.#timers[id] = undefined;
    this.items = this.items.filter((notice) => notice.id !== id);
  }
}
