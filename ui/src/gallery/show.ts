/** Brings one state of the gallery onto the page; the tests use it as well. */

import { mount, tick, unmount } from 'svelte';
import App from '../App.svelte';
import { Desk } from '../lib/desk.svelte';
import { FakeBackend, FakeScreen } from './fake';
import { base, levels, type GalleryState } from './states';

export interface Shown {
  backend: FakeBackend;
  desk: Desk;
  close: () => Promise<void>;
}

export async function show(state: GalleryState, target: HTMLElement): Promise<Shown> {
  const backend = new FakeBackend(state.view ?? base);
  for (const name of state.silent ?? []) backend.silent.add(name);
  for (const [name, refusal] of Object.entries(state.refuse ?? {})) backend.refusals.set(name, refusal);
  const desk = new Desk(backend, new FakeScreen(new Set(state.frozen), new Set(state.waiting)));
  if (state.view) await desk.start();
  const app = mount(App, { target, props: { desk } });
  await tick();
  for (const step of state.steps ?? []) {
    const selector = 'click' in step ? step.click : step.type;
    const element = document.querySelector<HTMLElement>(selector);
    if (!element) throw new Error(`${state.id}: nothing is ${selector}`);
    if ('click' in step) press(element);
    else type(element as HTMLInputElement, step.text);
    await tick();
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  backend.level(levels);
  for (const event of state.events ?? []) backend.happen(event);
  await tick();
  return {
    backend,
    desk,
    close: async () => {
      await unmount(app);
      desk.stop();
    },
  };
}

/** As a mouse does it: menus open at the press, buttons act on the click. */
function press(element: HTMLElement): void {
  const init = { bubbles: true, cancelable: true, button: 0, pointerType: 'mouse', pointerId: 1 };
  if (typeof PointerEvent === 'function' && element.hasAttribute('aria-haspopup')) {
    element.dispatchEvent(new PointerEvent('pointerdown', init));
    element.dispatchEvent(new PointerEvent('pointerup', init));
  }
  element.dispatchEvent(new MouseEvent('click', { bubbles: true, cancelable: true, detail: 1 }));
}

function type(input: HTMLInputElement, text: string): void {
  input.focus();
  input.value = text;
  input.dispatchEvent(new InputEvent('input', { bubbles: true }));
}
