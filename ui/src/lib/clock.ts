/** Running times, written into an element once a second without a render. */

import { elapsed, remaining } from './format';

/** Shows the time that is left until `until` (**milliseconds** since the Unix epoch), down to 0. Returns the stop function. */
export function showRemaining(element: HTMLElement, until: number): () => void {
  let timer: ReturnType<typeof setTimeout>;
  const tick = () => {
    const left = Math.max(0, until - Date.now());
    const text = remaining(left / 1000);
    if (element.textContent !== text) element.textContent = text;
    if (left > 0) timer = setTimeout(tick, (left % 1000) + 5);
  };
  tick();
  return () => clearTimeout(timer);
}

/** Shows the time since `beganAt` (**milliseconds** since the Unix epoch). Returns the stop function. */
export function showElapsed(element: HTMLElement, beganAt: number): () => void {
  let timer: ReturnType<typeof setTimeout>;
  const tick = () => {
    const passed = Math.max(0, Date.now() - beganAt);
    const text = elapsed(passed / 1000);
    if (element.textContent !== text) element.textContent = text;
    timer = setTimeout(tick, 1000 - (passed % 1000) + 5);
  };
  tick();
  return () => clearTimeout(timer);
}
