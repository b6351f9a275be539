// Runs in the browser: one livekit-client room, its devices Chromium's fake ones, everything reported by `report`.

const { Room, RoomEvent, Track, DisconnectReason, DataPacket_Kind, VideoQuality } = window.LivekitClient;
const started = performance.now();
const say = (event, fields = {}) =>
  window.report(JSON.stringify({ event, ms: Math.round((performance.now() - started) * 10) / 10, ...fields }));

let room;

// What measures a received track, by track, to end with it: an ended track would be reported as silence for ever.
const measured = new Map();

// While it is away, the client finds no signalling server: an outage of the length that a test needs, not of a delay.
let isAway = false;
window.WebSocket = class extends window.WebSocket {
  constructor(url, protocols) {
    if (isAway) say("unreached");
    super(isAway ? "ws://127.0.0.1:1/" : url, protocols);
  }
};

/** Draws what a video element shows and tells whether it is a picture and whether it moves. */
function watch(element, by) {
  const canvas = new OffscreenCanvas(80, 45);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  let frames = 0, changed = 0, last, told = performance.now(), first = true, done = false;
  const onFrame = () => {
    if (done) return;
    if (first) {
      first = false;
      say("first_picture", { by, width: element.videoWidth, height: element.videoHeight });
    }
    context.drawImage(element, 0, 0, 80, 45);
    const pixels = context.getImageData(0, 0, 80, 45).data;
    const luma = [];
    for (let i = 0; i < pixels.length; i += 4) luma.push(pixels[i] * 0.3 + pixels[i + 1] * 0.6 + pixels[i + 2] * 0.1);
    if (last && luma.reduce((sum, value, i) => sum + Math.abs(value - last[i]), 0) / luma.length > 1) changed += 1;
    last = luma;
    frames += 1;
    if (performance.now() - told > 500) {
      told = performance.now();
      const spread = Math.round(Math.max(...luma) - Math.min(...luma));
      say("video", { by, frames, changed, width: element.videoWidth, height: element.videoHeight, spread });
    }
    element.requestVideoFrameCallback(onFrame);
  };
  element.requestVideoFrameCallback(onFrame);
  return () => {
    done = true;
    element.remove();
  };
}

/**
 * Measures the sound of a track: level, and the strongest frequency. Twice a second the loudest moment since the last time
 * is told: the fake microphone beeps in a rhythm, and looks in the same rhythm could miss every beep.
 */
function listen(track, by) {
  const context = new AudioContext({ sampleRate: 48_000 });
  const analyser = context.createAnalyser();
  analyser.fftSize = 8192;
  context.createMediaStreamSource(new MediaStream([track.mediaStreamTrack])).connect(analyser);
  const wave = new Float32Array(analyser.fftSize);
  const bins = new Float32Array(analyser.frequencyBinCount);
  let first = true, told = performance.now(), loudest = { rms: -1 };
  // Each look takes in the last 170 ms.
  const timer = setInterval(() => {
    analyser.getFloatTimeDomainData(wave);
    const rms = Math.sqrt(wave.reduce((sum, value) => sum + value * value, 0) / wave.length) * 32768;
    if (rms > loudest.rms) {
      analyser.getFloatFrequencyData(bins);
      const strongest = bins.reduce((best, value, i) => (i > 4 && value > bins[best] ? i : best), 5);
      loudest = { rms: Math.round(rms), hz: Math.round((strongest * 48_000) / analyser.fftSize) };
    }
    if (first && rms > 50) {
      first = false;
      say("first_audio", { by });
    }
    if (performance.now() - told < 500) return;
    say("audio", { by, ...loudest });
    told = performance.now();
    loudest = { rms: -1 };
  }, 100);
  return () => {
    clearInterval(timer);
    context.close();
  };
}

/** Reports what is received, and of what kind and size it is. */
function observeMedia() {
  room
    .on(RoomEvent.TrackSubscribed, (track, publication, participant) => {
      const by = participant.identity;
      say("subscribed", { by, kind: track.kind });
      const element = track.attach();
      element.muted = track.kind === Track.Kind.Video;
      document.body.append(element);
      measured.set(track, track.kind === Track.Kind.Video ? watch(element, by) : listen(track, by));
    })
    .on(RoomEvent.TrackUnsubscribed, (track, publication, participant) => {
      measured.get(track)?.();
      measured.delete(track);
      track.detach();
      say("unsubscribed", { by: participant.identity, kind: track.kind });
    })
    .on(RoomEvent.TrackPublished, ({ kind }, { identity }) => say("offered", { by: identity, kind }))
    .on(RoomEvent.TrackUnpublished, ({ trackSid, kind }, { identity }) => say("unpublished", { by: identity, sid: trackSid, kind }))
    .on(RoomEvent.LocalTrackUnpublished, ({ trackSid, kind }) => say("local_unpublished", { sid: trackSid, kind }))
    .on(RoomEvent.TrackMuted, (publication, participant) => say("muted", { by: participant.identity }))
    .on(RoomEvent.TrackUnmuted, (publication, participant) => say("unmuted", { by: participant.identity }))
    .on(RoomEvent.ActiveSpeakersChanged, (speakers) => say("speakers", { who: speakers.map((one) => one.identity) }))
    .on(RoomEvent.ConnectionQualityChanged, (quality, participant) => say("quality", { by: participant.identity, quality }));
}

/** Reports who is there, what they say of themselves, and how the room and the connection are. */
function observePeople() {
  room
    .on(RoomEvent.ParticipantConnected, (participant) => say("joined", { by: participant.identity, metadata: participant.metadata }))
    .on(RoomEvent.ParticipantDisconnected, (participant, reason) =>
      say("left", { by: participant.identity, reason: DisconnectReason[reason] }))
    .on(RoomEvent.DataReceived, (data, participant, kind, topic) => {
      const name = kind === DataPacket_Kind.RELIABLE ? "reliable" : "lossy";
      say("data", { by: participant?.identity, kind: name, text: new TextDecoder().decode(data), topic });
    })
    .on(RoomEvent.RoomMetadataChanged, (text) => say("room_metadata", { text }))
    .on(RoomEvent.ParticipantMetadataChanged, (before, { identity, metadata }) => say("metadata", { by: identity, text: metadata }))
    .on(RoomEvent.ParticipantNameChanged, (text, { identity }) => say("name", { by: identity, text }))
    .on(RoomEvent.ParticipantAttributesChanged, (changed, { identity, attributes }) =>
      say("attributes", { by: identity, changed, all: attributes }))
    .on(RoomEvent.ParticipantPermissionsChanged, (before, { identity, permissions }) =>
      say("permissions", { by: identity, publish: permissions.canPublish, subscribe: permissions.canSubscribe }))
    .on(RoomEvent.SignalReconnecting, () => say("resuming"))
    .on(RoomEvent.Reconnecting, () => say("reconnecting"))
    .on(RoomEvent.Reconnected, () => say("reconnected"))
    .on(RoomEvent.Disconnected, (reason) => say("disconnected", { reason: DisconnectReason[reason] }));
}

let options;

window.start = async ({ url, token, single, codec, again }) => {
  options = { url, single };
  room = new Room({ singlePeerConnection: single });
  observeMedia();
  observePeople();
  say("connecting", { again });
  await room.connect(url, token);
  // Where the server refuses one connection, the client silently takes two.
  const connections = room.engine.pcManager.subscriber ? 2 : 1;
  say("connected", { again, sid: room.localParticipant.sid, connections });
  if (codec !== "none") {
    const isLarge = codec.endsWith("-simulcast");
    const resolution = isLarge ? { width: 1280, height: 720, frameRate: 15 } : { width: 640, height: 360, frameRate: 15 };
    await room.localParticipant.setMicrophoneEnabled(true);
    await room.localParticipant.setCameraEnabled(true, { resolution }, {
      videoCodec: codec.replace("-simulcast", ""),
      simulcast: isLarge,
      backupCodec: false,
    });
    say("published");
  }
};

/** A tone in place of the fake microphone, which only beeps now and then: it has a pitch, and silence means something. */
async function takeTone(hz) {
  const context = new AudioContext({ sampleRate: 48_000 });
  const oscillator = new OscillatorNode(context, { frequency: hz });
  const quieter = new GainNode(context, { gain: 0.3 });
  const output = context.createMediaStreamDestination();
  oscillator.connect(quieter).connect(output);
  oscillator.start();
  const microphone = room.localParticipant.getTrackPublication(Track.Source.Microphone);
  await microphone.track.replaceTrack(output.stream.getAudioTracks()[0], true);
}

/** What the client asks of itself may be refused: either is reported. */
const attempt = (what, work) =>
  work.then(() => say("changed", { what }), (error) => say("refused", { what, why: String(error), reason: error.reason }));

function* received(kind) {
  for (const one of room.remoteParticipants.values())
    for (const publication of one.trackPublications.values()) if (!kind || publication.kind === kind) yield publication;
}

const commands = {
  data: (text) => room.localParticipant.publishData(new TextEncoder().encode(text), { reliable: true }),
  lossy: (text) => room.localParticipant.publishData(new TextEncoder().encode(text), { reliable: false }),
  whisper: (rest) => {
    const [who, ...words] = rest.split(" ");
    const options = { reliable: true, destinationIdentities: [who], topic: "whisper" };
    return room.localParticipant.publishData(new TextEncoder().encode(words.join(" ")), options);
  },
  mute: () => room.localParticipant.setMicrophoneEnabled(false),
  unmute: () => attempt("microphone", room.localParticipant.setMicrophoneEnabled(true)),
  tone: (hz) => takeTone(Number(hz)),
  name: (text) => attempt("name", room.localParticipant.setName(text)),
  metadata: (text) => attempt("metadata", room.localParticipant.setMetadata(text)),
  attributes: (json) => attempt("attributes", room.localParticipant.setAttributes(JSON.parse(json))),
  subscribe: () => received().forEach((publication) => publication.setSubscribed(true)),
  unsubscribe: () => received().forEach((publication) => publication.setSubscribed(false)),
  enable: () => received("video").forEach((publication) => publication.setEnabled(true)),
  disable: () => received("video").forEach((publication) => publication.setEnabled(false)),
  quality: (name) => {
    const quality = { low: VideoQuality.LOW, high: VideoQuality.HIGH }[name];
    received("video").forEach((publication) => publication.setVideoQuality(quality));
  },
  size: (text) => {
    const [width, height] = text.split("x").map(Number);
    received("video").forEach((publication) => publication.setVideoDimensions({ width, height }));
  },
  people: () => {
    const quality = Object.fromEntries([...room.remoteParticipants.values()].map((one) => [one.identity, one.connectionQuality]));
    say("people", { who: Object.keys(quality).sort(), quality });
  },
  token: () => say("token", { claims: JSON.parse(atob(room.engine.token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/"))) }),
  cut: () => room.simulateScenario("signal-reconnect"),
  full: () => room.simulateScenario("full-reconnect"),
  stumble: () => room.simulateScenario("resume-reconnect"),
  away: () => {
    isAway = true;
    return room.simulateScenario("signal-reconnect");
  },
  back: () => {
    isAway = false;
  },
  again: async (token) => {
    await room.disconnect();
    await window.start({ ...options, token, codec: "none", again: true });
  },
  leave: () => room.disconnect(),
};

/** What the browser counts: for the message of a test that waits in vain. */
async function numbers() {
  const kept = {
    "inbound-rtp": ["kind", "mid", "ssrc", "packetsReceived", "packetsLost", "packetsDiscarded", "totalAudioEnergy", "concealedSamples",
      "totalSamplesReceived", "framesReceived", "framesDecoded", "keyFramesDecoded", "pliCount"],
    "outbound-rtp": ["kind", "mid", "ssrc", "rid", "active", "packetsSent", "framesEncoded", "keyFramesEncoded", "pliCount"],
    "media-source": ["kind", "totalAudioEnergy", "frames"],
    transport: ["dtlsState", "iceState", "packetsSent", "packetsReceived"],
  };
  const { publisher, subscriber } = room.engine.pcManager;
  const all = [];
  for (const transport of [publisher, subscriber].filter(Boolean))
    for (const [, one] of await transport.getStats()) {
      const names = kept[one.type];
      if (names) all.push(Object.fromEntries(["type", ...names].filter((name) => name in one).map((name) => [name, one[name]])));
    }
  const elements = [...document.querySelectorAll("audio,video")].map((one) => [one.tagName, one.paused, one.currentTime, one.srcObject?.getTracks().map((track) => [track.muted, track.readyState])]);
  say("numbers", { all, elements });
}
commands.numbers = numbers;

window.command = (verb, rest) => commands[verb]?.(rest);
