"""An administrator out of the official Python server SDK (PyPI `livekit-api`).

Usage: admin.py URL KEY SECRET

Reads one request a line, `METHOD JSON` with RoomService's names (`ListRooms {"names": ["a"]}`), and writes one JSON object
for each: `{"answer": {...}}` or `{"error": {"code": "not_found", "status": 404, "message": "..."}}`.
"""

import asyncio
import json
import re
import sys

from google.protobuf import json_format
from livekit import api

REQUESTS = {
    "GetParticipant": api.RoomParticipantIdentity,
    "RemoveParticipant": api.RoomParticipantIdentity,
    "MutePublishedTrack": api.MuteRoomTrackRequest,
}


async def answer(rooms, line):
    method, _, body = line.partition(" ")
    kind = REQUESTS.get(method) or getattr(api, f"{method}Request")
    request = json_format.ParseDict(json.loads(body or "{}"), kind())
    call = getattr(rooms, re.sub(r"(?<!^)(?=[A-Z])", "_", method).lower())
    try:
        return {"answer": json_format.MessageToDict(await call(request))}
    except api.TwirpError as error:
        return {"error": {"code": error.code, "status": error.status, "message": error.message}}


async def main():
    url, key, secret = sys.argv[1:4]
    reader = asyncio.StreamReader(limit=1 << 22)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    async with api.LiveKitAPI(url, key, secret) as server:
        while line := (await reader.readline()).decode().strip():
            print(json.dumps(await answer(server.room, line)), flush=True)


asyncio.run(main())
