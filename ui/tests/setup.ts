/** What jsdom lacks and the screens use. */

import '@testing-library/jest-dom/vitest';

class StillObserver {
  observe(): void {}
  unobserve(): void {}
  disconnect(): void {}
}

globalThis.ResizeObserver ??= StillObserver;
Element.prototype.scrollIntoView ??= () => undefined;
Element.prototype.hasPointerCapture ??= () => false;
Element.prototype.setPointerCapture ??= () => undefined;
Element.prototype.releasePointerCapture ??= () => undefined;
Element.prototype.getAnimations ??= () => [];
HTMLCanvasElement.prototype.getContext = () => null;
