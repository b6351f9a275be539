// A receiver of LiveKit's webhooks out of the official Node server SDK (npm `livekit-server-sdk`).
//
// Usage: node receiver.mjs KEY SECRET
// Writes `{"port": N}`, then one JSON object for each request: the event as the SDK reads it, or `{"refused": "why"}`.

import { createServer } from "node:http";
import { WebhookReceiver } from "livekit-server-sdk";

const [key, secret] = process.argv.slice(2);
const receiver = new WebhookReceiver(key, secret);
const report = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);

const server = createServer(async (request, response) => {
  let body = "";
  for await (const chunk of request) body += chunk;
  try {
    const kind = request.headers["content-type"];
    if (kind !== "application/webhook+json") throw new Error(kind);
    report((await receiver.receive(body, request.headers.authorization)).toJson());
    response.writeHead(200).end();
  } catch (error) {
    report({ refused: String(error) });
    response.writeHead(401).end();
  }
});
server.listen(0, "127.0.0.1", () => report({ port: server.address().port }));
