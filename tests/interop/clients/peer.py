"""A LiveKit participant out of the official Python client: publishes a tone and a moving picture, reports what it gets.

Usage: peer.py URL TOKEN one|two [h264|vp8|vp9|av1|none] [TONE_HZ]

Writes one JSON object a line. Reads commands on standard input: `data TEXT`, `lossy TEXT`, `whisper IDENTITY TEXT`, `mute`,
`unmute`, `share` and `unshare` (a screen), `name TEXT`, `metadata TEXT`, `attributes JSON`, `subscribe`, `unsubscribe` (from
everything there is), `people` (who is there), `cut` (the signal socket breaks and is resumed), `full` (everything breaks, and
the client joins anew), `again TOKEN` (leaves and joins anew, receiving only), `leave`.
"""

import asyncio
import json
import sys
import time

import numpy as np
from livekit import rtc

WIDTH, HEIGHT, FPS = 640, 360, 15
RATE, FRAME = 48_000, 480
STARTED = time.monotonic()
# Seconds without a frame: far longer than any frame takes.
STREAM_PATIENCE = 3
rejoining = False


def say(event, **fields):
    print(json.dumps({"event": event, "ms": round((time.monotonic() - STARTED) * 1000, 1), **fields}), flush=True)


async def send_tone(source, hz):
    phase = 0
    while True:
        at = (np.arange(FRAME) + phase) / RATE
        samples = (8000 * np.sin(2 * np.pi * hz * at)).astype(np.int16)
        phase += FRAME
        await source.capture_frame(rtc.AudioFrame(samples.tobytes(), RATE, 1, FRAME))


async def send_picture(source):
    """A bright bar that walks over a grey gradient."""
    step = 0
    ramp = np.tile(np.linspace(40, 160, WIDTH, dtype=np.uint8), (HEIGHT, 1))
    chroma = np.full((HEIGHT // 2) * (WIDTH // 2) * 2, 128, dtype=np.uint8)
    began = time.monotonic()
    while True:
        luma = ramp.copy()
        left = (step * 16) % WIDTH
        luma[:, left : left + 64] = 235
        data = luma.tobytes() + chroma.tobytes()
        source.capture_frame(rtc.VideoFrame(WIDTH, HEIGHT, rtc.VideoBufferType.I420, data))
        step += 1
        await asyncio.sleep(max(0, began + step / FPS - time.monotonic()))


async def hear(track, who):
    heard, first = [], True
    async for event in rtc.AudioStream(track, sample_rate=RATE, num_channels=1):
        samples = np.frombuffer(event.frame.data, dtype=np.int16).astype(np.float64)
        if first:
            say("first_audio", by=who)
            first = False
        heard.append(samples)
        if sum(map(len, heard)) >= RATE // 2:
            block = np.concatenate(heard)
            heard = []
            spectrum = np.abs(np.fft.rfft(block))
            hz = float(np.argmax(spectrum[5:]) + 5) * RATE / len(block)
            say("audio", by=who, rms=round(float(np.sqrt(np.mean(block**2))), 1), hz=round(hz, 1))


async def pictures(track, who):
    """The frames of a track. On a busy machine livekit 1.2 may stop to hand frames out for ever, also to a stream that is opened
    anew, while it goes on to receive and decode every one of them: then its own count of decoded frames is told instead."""
    stream = rtc.VideoStream(track, format=rtc.VideoBufferType.I420)
    following = asyncio.ensure_future(anext(stream))
    while True:
        done, _ = await asyncio.wait([following], timeout=STREAM_PATIENCE)
        if not done:
            for stats in await track.get_stats():
                if stats.HasField("inbound_rtp"):
                    inbound = stats.inbound_rtp.inbound
                    say("decoded", by=who, frames=inbound.frames_decoded, width=inbound.frame_width, height=inbound.frame_height)
            continue
        try:
            yield following.result()
        except StopAsyncIteration:
            return
        following = asyncio.ensure_future(anext(stream))


async def see(track, who):
    frames, changed, last, first, told = 0, 0, None, True, time.monotonic()
    async for event in pictures(track, who):
        frame = event.frame
        luma = np.frombuffer(frame.data, dtype=np.uint8)[: frame.width * frame.height]
        small = luma.reshape(frame.height, frame.width)[::16, ::16].astype(np.int16)
        if first:
            say("first_picture", by=who, width=frame.width, height=frame.height)
            first = False
        if last is not None and last.shape == small.shape and np.mean(np.abs(small - last)) > 1:
            changed += 1
        last = small
        frames += 1
        if time.monotonic() - told >= 0.5:
            told = time.monotonic()
            spread = int(small.max() - small.min())
            say("video", by=who, frames=frames, changed=changed, width=frame.width, height=frame.height, spread=spread)


def watch(room, start, done):
    """Reports what happens in `room`; `start` runs work beside, `done` is set when the room is over."""

    @room.on("track_subscribed")
    def _(track, publication, participant):
        say("subscribed", by=participant.identity, kind="audio" if track.kind == rtc.TrackKind.KIND_AUDIO else "video")
        start((hear if track.kind == rtc.TrackKind.KIND_AUDIO else see)(track, participant.identity))

    @room.on("track_unsubscribed")
    def _(track, publication, participant):
        say("unsubscribed", by=participant.identity, kind="audio" if track.kind == rtc.TrackKind.KIND_AUDIO else "video")

    @room.on("track_muted")
    def _(participant, publication):
        say("muted", by=participant.identity)

    @room.on("track_unmuted")
    def _(participant, publication):
        say("unmuted", by=participant.identity)

    @room.on("participant_connected")
    def _(participant):
        say("joined", by=participant.identity)

    @room.on("participant_disconnected")
    def _(participant):
        reason = participant.disconnect_reason
        name = rtc.DisconnectReason.Name(reason) if reason is not None else None
        say("left", by=participant.identity, reason=name)

    @room.on("active_speakers_changed")
    def _(speakers):
        say("speakers", who=[speaker.identity for speaker in speakers])

    @room.on("data_received")
    def _(packet):
        by = packet.participant.identity if packet.participant else None
        kind = "reliable" if packet.kind == rtc.DataPacketKind.KIND_RELIABLE else "lossy"
        say("data", by=by, kind=kind, text=packet.data.decode(), topic=packet.topic or None)

    @room.on("track_unpublished")
    def _(publication, participant):
        say("unpublished", by=participant.identity, sid=publication.sid)

    @room.on("local_track_unpublished")
    def _(publication):
        say("local_unpublished", sid=publication.sid)

    @room.on("local_track_subscribed")
    def _(track):
        say("first_subscriber", sid=track.sid)

    @room.on("room_metadata_changed")
    def _(old, new):
        say("room_metadata", text=new)

    @room.on("participant_metadata_changed")
    def _(participant, old, new):
        say("metadata", by=participant.identity, text=new)

    @room.on("participant_name_changed")
    def _(participant, old, new):
        say("name", by=participant.identity, text=new)

    @room.on("participant_attributes_changed")
    def _(changed, participant):
        say("attributes", by=participant.identity, changed=changed, all=dict(participant.attributes))

    @room.on("participant_permissions_changed")
    def _(participant, permissions):
        say("permissions", by=participant.identity, publish=permissions.can_publish, subscribe=permissions.can_subscribe)

    @room.on("connection_quality_changed")
    def _(participant, quality):
        say("quality", by=participant.identity if participant else None, quality=str(quality))

    @room.on("token_refreshed")
    def _():
        say("token")

    @room.on("reconnecting")
    def _():
        say("reconnecting")

    @room.on("reconnected")
    def _():
        say("reconnected")

    @room.on("disconnected")
    def _(reason):
        say("disconnected", reason=rtc.DisconnectReason.Name(reason))
        if not rejoining:
            done.set()

    return room


async def main():
    url, token, wiring = sys.argv[1:4]
    codec = sys.argv[4] if len(sys.argv) > 4 else "h264"
    hz = float(sys.argv[5]) if len(sys.argv) > 5 else 440.0
    tasks = set()
    done = asyncio.Event()
    room = watch(rtc.Room(), lambda work: start(work), done)

    def start(work):
        task = asyncio.ensure_future(work)
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    say("connecting")
    await room.connect(url, token, rtc.RoomOptions(single_peer_connection=wiring == "one"))
    say("connected", sid=room.local_participant.sid)

    voice = rtc.AudioSource(RATE, 1)
    if codec != "none":
        picture = rtc.VideoSource(WIDTH, HEIGHT)
        start(send_tone(voice, hz))
        start(send_picture(picture))
        microphone = rtc.LocalAudioTrack.create_audio_track("tone", voice)
        options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE, red=False, dtx=False)
        await room.local_participant.publish_track(microphone, options)
        camera = rtc.LocalVideoTrack.create_video_track("picture", picture)
        options = rtc.TrackPublishOptions(
            source=rtc.TrackSource.SOURCE_CAMERA,
            video_codec=getattr(rtc.VideoCodec, codec.upper()),
            simulcast=False,
        )
        await room.local_participant.publish_track(camera, options)
        say("published")

    async def commands():
        nonlocal room
        global rejoining
        shared = None
        reader = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        while line := (await reader.readline()).decode().strip():
            verb, _, rest = line.partition(" ")
            if verb == "data":
                await room.local_participant.publish_data(rest, reliable=True)
            elif verb == "lossy":
                await room.local_participant.publish_data(rest, reliable=False)
            elif verb == "whisper":
                who, _, text = rest.partition(" ")
                await room.local_participant.publish_data(text, destination_identities=[who], topic="whisper")
            elif verb in ("name", "metadata", "attributes"):
                change = getattr(room.local_participant, f"set_{verb}")
                try:
                    await change(json.loads(rest) if verb == "attributes" else rest)
                    say("changed", what=verb)
                except Exception as error:
                    say("refused", what=verb, why=str(error))
            elif verb in ("subscribe", "unsubscribe"):
                for participant in room.remote_participants.values():
                    for publication in participant.track_publications.values():
                        publication.set_subscribed(verb == "subscribe")
            elif verb == "numbers":
                stats = await room.get_rtc_stats()
                say("numbers", all=str(stats))
            elif verb == "people":
                say("people", who=sorted(room.remote_participants))
            elif verb == "mute":
                microphone.mute()
            elif verb == "unmute":
                microphone.unmute()
            elif verb == "share":
                screen = rtc.LocalVideoTrack.create_video_track("screen", rtc.VideoSource(WIDTH, HEIGHT))
                options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_SCREENSHARE, simulcast=False)
                shared = await room.local_participant.publish_track(screen, options)
            elif verb == "unshare":
                await room.local_participant.unpublish_track(shared.sid)
            elif verb == "cut":
                await room.simulate_scenario(rtc.SimulateScenarioKind.SIMULATE_SIGNAL_RECONNECT)
            elif verb == "full":
                await room.simulate_scenario(rtc.SimulateScenarioKind.SIMULATE_FULL_RECONNECT)
            elif verb == "again":
                rejoining = True
                await room.disconnect()
                room = watch(rtc.Room(), start, done)
                rejoining = False
                say("connecting", again=True)
                await room.connect(url, rest, rtc.RoomOptions(single_peer_connection=wiring == "one"))
                say("connected", again=True)
            elif verb == "leave":
                await room.disconnect()
                done.set()
                return

    start(commands())
    await done.wait()


asyncio.run(main())
