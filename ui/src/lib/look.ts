/** Theme, contrast and text size: variants of the tokens, kept on this computer. */

export interface Look {
  theme: 'system' | 'dark' | 'light';
  contrast: 'system' | 'more';
  /** Text size in **percent**, 80-160. */
  scale: number;
}

export const SCALES = [80, 90, 100, 115, 130, 160] as const;
const KEY = 'ahoy.look';
const DEFAULT: Look = { theme: 'system', contrast: 'system', scale: 100 };

export function readLook(): Look {
  try {
    const kept = JSON.parse(localStorage.getItem(KEY) ?? '{}') as Partial<Look>;
    return {
      theme: kept.theme === 'dark' || kept.theme === 'light' ? kept.theme : DEFAULT.theme,
      contrast: kept.contrast === 'more' ? 'more' : DEFAULT.contrast,
      scale: typeof kept.scale === 'number' ? Math.min(160, Math.max(80, kept.scale)) : DEFAULT.scale,
    };
  } catch {
    return DEFAULT;
  }
}

export function keepLook(look: Look): void {
  localStorage.setItem(KEY, JSON.stringify(look));
  applyLook(look);
}

/** Puts the look on the page and follows the system where it is asked to. */
export function applyLook(look: Look): void {
  current = look;
  watchSystem();
  const root = document.documentElement;
  const theme = look.theme === 'system' ? (matches('(prefers-color-scheme: light)') ? 'light' : 'dark') : look.theme;
  const more = look.contrast === 'more' || matches('(prefers-contrast: more)');
  root.dataset.theme = theme;
  root.dataset.contrast = more ? 'more' : 'normal';
  root.style.setProperty('--scale', String(look.scale / 100));
}

let current = DEFAULT;
let watching = false;

function matches(query: string): boolean {
  return typeof matchMedia === 'function' && matchMedia(query).matches;
}

function watchSystem(): void {
  if (watching || typeof matchMedia !== 'function') return;
  watching = true;
  for (const query of ['(prefers-color-scheme: light)', '(prefers-contrast: more)']) {
    matchMedia(query).addEventListener('change', () => applyLook(current));
  }
}
