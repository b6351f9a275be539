import axe from 'axe-core';
import { afterEach, describe, expect, it } from 'vitest';
import { show, type Shown } from '../src/gallery/show';
import { states } from '../src/gallery/states';

let shown: Shown | undefined;

afterEach(async () => {
  await shown?.close();
  shown = undefined;
  document.body.innerHTML = '';
});

describe('every state of the gallery', () => {
  it.each(states.map((state) => [state.id, state] as const))(
    '%s is accessible and all its controls have ids',
    async (_, state) => {
      const target = document.createElement('div');
      document.body.append(target);
      shown = await show(state, target);

      // Colours need a real browser: `npm run photos` checks them there.
      const rules = { 'color-contrast': { enabled: false }, region: { enabled: false } };
      const { violations } = await axe.run(document.body, { rules });
      expect(violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html).join(' ')}`)).toEqual([]);

      const controls = document.body.querySelectorAll(
        'button, input:not([type=hidden]), [role=menuitem], [role=menuitemradio], [role=option]',
      );
      const nameless = [...controls].filter(
        (control) => !control.closest('[aria-hidden=true]') && !control.hasAttribute('data-testid'),
      );
      expect(nameless.map((control) => control.outerHTML)).toEqual([]);
    },
  );
});
