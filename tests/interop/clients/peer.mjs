// A LiveKit participant out of the official browser client, in Debian's Chromium with its fake devices.
//
// Usage: node peer.mjs URL TOKEN one|two [h264|h264-simulcast|vp8|vp8-simulcast|vp9|av1|none]
// Writes one JSON object a line. Reads commands on standard input: `data TEXT`, `lossy TEXT`, `whisper IDENTITY TEXT`,
// `mute`, `unmute`, `tone HZ` (in place of the fake microphone), `name TEXT`, `metadata TEXT`, `attributes JSON`; of all
// that is received: `subscribe`, `unsubscribe`, `enable`, `disable`, `quality low|high`, `size WxH`; `people` and `token`
// (who is there, what the client's token says now), `cut` (the signal socket breaks and is resumed), `away` and `back` (the
// same, with an outage between), `stumble` (resuming fails, and the client joins anew), `full` (the client joins anew),
// `again TOKEN` (leaves and joins anew, receiving only), `leave`.

import { createServer } from "node:http";
import { readFile } from "node:fs/promises";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";

const [url, token, wiring, codec = "h264"] = process.argv.slice(2);
const here = (name) => fileURLToPath(new URL(name, import.meta.url));
const files = {
  "/": [here("peer.html"), "text/html"],
  "/page.mjs": [here("page.mjs"), "text/javascript"],
  "/livekit-client.umd.js": [here("../node_modules/livekit-client/dist/livekit-client.umd.js"), "text/javascript"],
};

const server = createServer(async (request, response) => {
  const [path, type] = files[request.url] ?? [];
  if (!path) return response.writeHead(404).end();
  response.writeHead(200, { "content-type": type }).end(await readFile(path));
});
await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  headless: true,
  args: [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
    "--disable-features=WebRtcHideLocalIpsWithMdns",
  ],
});
const page = await browser.newPage();
page.on("console", (message) => process.stderr.write(`${message.type()}: ${message.text()}\n`));
page.on("pageerror", (error) => process.stderr.write(`page: ${error}\n`));
await page.exposeFunction("report", (line) => process.stdout.write(`${line}\n`));
await page.goto(`http://127.0.0.1:${server.address().port}/`);
await page.waitForFunction(() => window.start);

let closing = false;
const close = async () => {
  if (closing) return;
  closing = true;
  await browser.close();
  process.exit(0);
};
const lines = createInterface({ input: process.stdin });
lines.on("line", async (line) => {
  const space = line.indexOf(" ");
  const [verb, rest] = space < 0 ? [line, ""] : [line.slice(0, space), line.slice(space + 1)];
  await page.evaluate(([verb, rest]) => window.command(verb, rest), [verb, rest]);
});
lines.on("close", close);
process.on("SIGTERM", close);

await page.evaluate((options) => window.start(options), { url, token, single: wiring === "one", codec }).catch((error) => {
  process.stdout.write(`${JSON.stringify({ event: "failed", error: String(error) })}\n`);
});
