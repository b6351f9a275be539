import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { show } from '../src/gallery/show';
import { states } from '../src/gallery/states';

const PEOPLE = /^tile-(alice|bob|chiara|daniel|emi|farid|grace|hana|ivo)(?=-|$)/;

/** As the documentation writes it: `<user>`, `<call>`, `<kind>` of device, `<device>`, `<value>` for an entry of a list. */
function general(id: string): string {
  return id
    .replace(PEOPLE, 'tile-<user>')
    .replace(/^((?:dial|add-people)-user-(?:chosen|remove))-.*/, '$1-<user>')
    .replace(/^(card|recent)-[cr]\d(?=-|$)/, '$1-<call>')
    .replace(/^banner-device-(microphone|speaker|camera)/, 'banner-device-<kind>')
    .replace(/^menu-(microphone|speaker|camera)-(?!level$).*/, 'menu-$1-<device>')
    .replace(/^(settings-(?:microphone|speaker|camera|theme|contrast|scale))-.*/, '$1-<value>');
}

it('docs/testing.md lists exactly the ids that the screens have', async () => {
  const seen = new Set<string>();
  for (const state of states) {
    const target = document.createElement('div');
    document.body.append(target);
    const shown = await show(state, target);
    for (const element of document.querySelectorAll<HTMLElement>('[data-testid]'))
      seen.add(general(element.dataset['testid'] ?? ''));
    await shown.close();
    document.body.innerHTML = '';
  }
  const page = readFileSync('../docs/testing.md', 'utf8');
  const table = page.slice(page.indexOf('## Controls by id'));
  const listed = [...table.matchAll(/^\| `([^`]+)`/gm)].map((match) => match[1] ?? '');
  expect([...new Set(listed)].length, 'an id is listed twice').toBe(listed.length);
  expect(listed.toSorted()).toEqual([...seen].toSorted());
});
