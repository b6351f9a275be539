// An administrator out of the official Node server SDK (npm `livekit-server-sdk`).
//
// Usage: node admin.mjs URL KEY SECRET
// Reads one request a line, `METHOD JSON` with RoomService's names (`ListRooms {"names": ["a"]}`), and writes one JSON
// object for each: `{"answer": {...}}` or `{"error": {"code": "not_found", "status": 404, "message": "..."}}`.

import { createInterface } from "node:readline";
import { DataPacket_Kind, RoomServiceClient } from "livekit-server-sdk";

const [url, key, secret] = process.argv.slice(2);
const rooms = new RoomServiceClient(url, key, secret);
const list = (name, messages) => ({ [name]: messages.map((message) => message.toJson()) });

const methods = {
  CreateRoom: async (r) => (await rooms.createRoom(r)).toJson(),
  ListRooms: async (r) => list("rooms", await rooms.listRooms(r.names)),
  DeleteRoom: async (r) => rooms.deleteRoom(r.room),
  ListParticipants: async (r) => list("participants", await rooms.listParticipants(r.room)),
  GetParticipant: async (r) => (await rooms.getParticipant(r.room, r.identity)).toJson(),
  RemoveParticipant: async (r) => rooms.removeParticipant(r.room, r.identity),
  MutePublishedTrack: async (r) => ({
    track: (await rooms.mutePublishedTrack(r.room, r.identity, r.trackSid, r.muted ?? false)).toJson(),
  }),
  UpdateParticipant: async ({ room, identity, ...change }) => (await rooms.updateParticipant(room, identity, change)).toJson(),
  UpdateSubscriptions: async (r) => rooms.updateSubscriptions(r.room, r.identity, r.trackSids, r.subscribe ?? false),
  SendData: async ({ room, data, kind, ...options }) =>
    rooms.sendData(room, Buffer.from(data, "base64"), DataPacket_Kind[kind ?? "RELIABLE"], options),
  UpdateRoomMetadata: async (r) => (await rooms.updateRoomMetadata(r.room, r.metadata)).toJson(),
};

for await (const line of createInterface({ input: process.stdin })) {
  const space = line.indexOf(" ");
  const [method, body] = space < 0 ? [line, "{}"] : [line.slice(0, space), line.slice(space + 1)];
  const report = await methods[method](JSON.parse(body)).then(
    (answer) => ({ answer: answer ?? {} }),
    (error) => ({ error: { code: error.code, status: error.status, message: error.message } }),
  );
  process.stdout.write(`${JSON.stringify(report)}\n`);
}
