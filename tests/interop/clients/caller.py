"""A client of the call plane, written from docs/protocol.md alone: PyPI `websockets` for calls, PyPI `livekit` for the room.

Usage: caller.py SERVER USER TICKET

SERVER is http://HOST:PORT. Writes one JSON object a line: every frame of the server under `frame`, and what the room does
under `event`. Reads commands on standard input: `call USER[,USER…]`, `accept`, `reject`, `hangup`, `invite USER`, `join`,
`recent`, `cut` (breaks the connection and resumes the session), `quit`.
"""

import asyncio
import json
import sys

import numpy as np
import websockets
from livekit import rtc

RATE, FRAME, PITCH = 48_000, 480, 440.0


def say(**fields):
    print(json.dumps(fields), flush=True)


class Calls:
    """One session: numbers its requests, acknowledges events, resumes after a lost connection."""

    def __init__(self, server, user, ticket, on_event):
        self.url = server.replace("http", "ws", 1) + "/call/v1"
        self.user, self.ticket, self.on_event = user, ticket, on_event
        self.socket = self.session = None
        self.last_seq = self.last_id = 0
        # Requests without an answer, by id: sent again after a resume.
        self.waiting = {}
        self.online = asyncio.Event()

    async def run(self):
        while True:
            try:
                async with websockets.connect(self.url, max_size=64 * 1024) as self.socket:
                    await self.greet()
                    async for frame in self.socket:
                        if not await self.handle(json.loads(frame)):
                            return
            except (OSError, websockets.WebSocketException):
                pass
            self.online.clear()
            await asyncio.sleep(0.2)

    async def send(self, message):
        try:
            await self.socket.send(json.dumps(message))
        except websockets.WebSocketException:
            pass  # Said again after the resume, where it matters.

    async def greet(self):
        hello = {
            "type": "hello",
            "versions": [1],
            "client": "caller.py",
            "userId": self.user,
            "userSig": self.ticket,
            "deviceId": f"python-{self.user}",
        }
        if self.session:
            hello["resume"] = {"session": self.session, "lastSeq": self.last_seq}
        await self.send(hello)

    async def handle(self, message):
        """False: the session is over for good."""
        kind = message["type"]
        if kind == "ping":
            await self.send({"type": "pong"})
            return True
        say(frame=message)
        if kind == "welcome":
            self.session = message["session"]
            if message["resumed"]:
                for id, (request, _) in sorted(self.waiting.items()):
                    await self.send(request)
            else:
                self.last_seq = 0
            self.online.set()
        elif kind in ("reply", "error") and message.get("id") in self.waiting:
            self.waiting.pop(message["id"])[1].set_result(message)
        elif kind in ("error", "kicked"):
            return False
        elif kind == "event" and message["seq"] <= self.last_seq:
            await self.send({"type": "ack", "seq": self.last_seq})
        elif kind == "event" and message["seq"] == self.last_seq + 1:
            self.last_seq = message["seq"]
            await self.on_event(message)
            await self.send({"type": "ack", "seq": self.last_seq})
        elif kind == "event":
            await self.socket.close()  # A gap: the resume brings what is missing.
        elif kind == "cards":
            await self.on_event({"event": "cards", "cards": message["cards"]})
        return True

    async def request(self, method, **params):
        self.last_id += 1
        request = {"type": "request", "id": self.last_id, "method": method, "params": params}
        answer = asyncio.get_running_loop().create_future()
        self.waiting[self.last_id] = (request, answer)
        if self.online.is_set():
            await self.send(request)
        return await answer


class Media:
    """The room of a call: sends a tone, reports what it hears."""

    def __init__(self):
        self.room, self.tasks = None, set()

    def start(self, work):
        task = asyncio.ensure_future(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def enter(self, url, token):
        self.room = room = rtc.Room()

        @room.on("track_subscribed")
        def _(track, publication, participant):
            if track.kind == rtc.TrackKind.KIND_AUDIO:
                self.start(self.hear(track, participant.identity))

        @room.on("participant_connected")
        def _(participant):
            say(event="joined", by=participant.identity)

        @room.on("participant_disconnected")
        def _(participant):
            say(event="left", by=participant.identity)

        await room.connect(url, token)
        say(event="connected", room=room.name)
        source = rtc.AudioSource(RATE, 1)
        self.start(self.send_tone(source))
        await room.local_participant.publish_track(rtc.LocalAudioTrack.create_audio_track("tone", source))
        say(event="published")

    async def send_tone(self, source):
        phase = 0
        while True:
            at = (np.arange(FRAME) + phase) / RATE
            phase += FRAME
            samples = (8000 * np.sin(2 * np.pi * PITCH * at)).astype(np.int16)
            await source.capture_frame(rtc.AudioFrame(samples.tobytes(), RATE, 1, FRAME))

    async def hear(self, track, who):
        heard = np.zeros(0)
        async for event in rtc.AudioStream(track, sample_rate=RATE, num_channels=1):
            heard = np.concatenate([heard, np.frombuffer(event.frame.data, dtype=np.int16)])
            if len(heard) >= RATE // 2:
                spectrum = np.abs(np.fft.rfft(heard))
                hz = float(np.argmax(spectrum[5:]) + 5) * RATE / len(heard)
                say(event="audio", by=who, rms=float(np.sqrt(np.mean(heard**2))), hz=hz)
                heard = np.zeros(0)

    async def leave(self):
        for task in list(self.tasks):
            task.cancel()
        if self.room:
            await self.room.disconnect()
            self.room = None
            say(event="disconnected")


async def main():
    server, user, ticket = sys.argv[1:4]
    media = Media()
    call = cards = None

    async def on_event(event):
        nonlocal call, cards
        kind = event["event"]
        if kind == "cards":
            cards = event["cards"]
        elif kind == "invited":
            call = event["callId"]
        elif kind == "begun":
            call = event["callId"]
            media.start(media.enter(event["access"]["url"], event["access"]["token"]))
        elif kind in ("ended", "cancelled") and event["callId"] == call:
            await media.leave()
            call = None

    calls = Calls(server, user, ticket, on_event)
    session = asyncio.ensure_future(calls.run())
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := (await reader.readline()).decode().strip():
        verb, _, rest = line.partition(" ")
        if verb == "call":
            answer = await calls.request("call", calleeIdList=rest.split(","), callMediaType=0)
            call = answer.get("callId")
        elif verb in ("accept", "reject", "hangup"):
            await calls.request(verb, callId=call)
        elif verb == "invite":
            await calls.request("inviteUser", callId=call, calleeIdList=rest.split(","), addPerson=True)
        elif verb == "join":
            await calls.request("join", callId=cards[0]["callId"])
        elif verb == "recent":
            await calls.request("queryRecentCalls")
        elif verb == "cut":
            calls.online.clear()
            calls.socket.transport.abort()
        elif verb == "quit":
            break
    await media.leave()
    if not session.done():
        await calls.request("signOut")


asyncio.run(main())
