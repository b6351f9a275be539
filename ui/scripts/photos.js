// Photographs gallery states and checks them with axe in a real browser, where colours count.
// node scripts/photos.js [--out DIR] [--size 1024x680] [--themes dark,light] [--scale 100] [--contrast more] [state …]
import axe from 'axe-core';
import { mkdir } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { parseArgs } from 'node:util';
import puppeteer from 'puppeteer-core';
import { createServer } from 'vite';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    out: { type: 'string', default: 'photos' },
    size: { type: 'string', default: '1024x680' },
    themes: { type: 'string', default: 'dark,light' },
    scale: { type: 'string', default: '100' },
    contrast: { type: 'string', default: 'system' },
  },
});
const browserPath = [process.env.CHROME, '/usr/bin/chromium', '/usr/bin/google-chrome'].find(
  (path) => path !== undefined && existsSync(path),
);
if (browserPath === undefined) throw new Error('Chromium is not installed; set CHROME to its path.');

const server = await createServer({ server: { port: 0, strictPort: false, hmr: false }, logLevel: 'error' });
await server.listen();
const address = server.resolvedUrls.local[0];
const { states } = await server.ssrLoadModule('/src/gallery/states.ts');
const wanted = positionals.length > 0 ? positionals : states.map((state) => state.id);
const [width, height] = values.size.split('x').map(Number);
await mkdir(values.out, { recursive: true });

const browser = await puppeteer.launch({ executablePath: browserPath, args: ['--no-sandbox', '--hide-scrollbars'] });
let faults = 0;
try {
  const page = await browser.newPage();
  await page.setViewport({ width, height, deviceScaleFactor: 1 });
  await page.emulateMediaFeatures([{ name: 'prefers-reduced-motion', value: 'reduce' }]);
  page.on('pageerror', (error) => console.log('page error:', error.message));
  for (const id of wanted) {
    for (const theme of values.themes.split(',')) {
      const query = new URLSearchParams({ state: id, theme, scale: values.scale, contrast: values.contrast });
      await page.goto(`${address}gallery.html?${query.toString()}`);
      await page.waitForSelector('html[data-ready]');
      await page.evaluate(() => document.fonts.ready);
      await new Promise((resolve) => setTimeout(resolve, 350));
      await page.screenshot({ path: `${values.out}/${id}-${theme}.png` });
      await page.evaluate(axe.source);
      const { violations } = await page.evaluate(() =>
        // @ts-expect-error axe is in the page, not here
        axe.run(document, { rules: { region: { enabled: false }, 'page-has-heading-one': { enabled: false } } }),
      );
      const wide = await page.evaluate(() => document.documentElement.scrollWidth > innerWidth);
      if (wide) violations.push({ id: 'overflow', help: 'the page is wider than the window', nodes: [] });
      faults += violations.length;
      for (const { id: rule, help, nodes } of violations) {
        console.log(`${id} ${theme}: ${rule}: ${help}`);
        for (const node of nodes)
          console.log(`    ${node.html.slice(0, 160)} ${node.failureSummary?.split('\n')[1] ?? ''}`);
      }
    }
  }
} finally {
  await browser.close();
  await server.close();
}
console.log(`${wanted.length} states, ${faults} faults; pictures in ${values.out}`);
process.exitCode = faults === 0 ? 0 : 1;
