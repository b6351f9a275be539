/** What jsdom lacks and the screens use. */

import '@testing-library/jest-dom/vitest';

class StillObserver {
  observe(): void {}
  unobserve(): void {}
  disconnect(): void {}
}

const nothing = (): undefined => undefined;
const lacking = {
  scrollIntoView: nothing,
  hasPointerCapture: () => false,
  setPointerCapture: nothing,
  releasePointerCapture: nothing,
  getAnimations: () => [],
};

globalThis.ResizeObserver ??= StillObserver;
for (const [name, value] of Object.entries(lacking)) {
  if (!(name in Element.prototype)) Object.defineProperty(Element.prototype, name, { value, configurable: true });
}
HTMLCanvasElement.prototype.getContext = () => null;
