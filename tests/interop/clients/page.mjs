// Runs in the browser: one livekit-client room, its devices Chromium's fake ones, everything reported by `report`.

const { Room, RoomEvent, Track, DisconnectReason, DataPacket_Kind, VideoQuality } = window.LivekitClient;
const started = performance.now();
const say = (event, fields = {}) =>
  window.report(JSON.stringify({ event, ms: Math.round((performance.now() - started) * 10) / 10, ...fields }));

let room;

/** Draws what a video element shows and tells whether it is a picture and whether it moves. */
function watch(element, by) {
  const canvas = new OffscreenCanvas(80, 45);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  let frames = 0, changed = 0, last, told = performance.now(), first = true;
  const onFrame = () => {
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
}

/** Measures the sound of a track: level, and the strongest frequency. */
function listen(track, by) {
  const context = new AudioContext({ sampleRate: 48_000 });
  const analyser = context.createAnalyser();
  analyser.fftSize = 8192;
  context.createMediaStreamSource(new MediaStream([track.mediaStreamTrack])).connect(analyser);
  const wave = new Float32Array(analyser.fftSize);
  const bins = new Float32Array(analyser.frequencyBinCount);
  let first = true;
  setInterval(() => {
    analyser.getFloatTimeDomainData(wave);
    analyser.getFloatFrequencyData(bins);
    const rms = Math.sqrt(wave.reduce((sum, value) => sum + value * value, 0) / wave.length) * 32768;
    const strongest = bins.reduce((best, value, i) => (i > 4 && value > bins[best] ? i : best), 5);
    if (first && rms > 50) {
      first = false;
      say("first_audio", { by });
    }
    say("audio", { by, rms: Math.round(rms), hz: Math.round((strongest * 48_000) / analyser.fftSize) });
  }, 500);
}

let options;

window.start = async ({ url, token, single, codec, again }) => {
  options = { url, single };
  room = new Room({ singlePeerConnection: single });
  room
    .on(RoomEvent.TrackSubscribed, (track, publication, participant) => {
      const by = participant.identity;
      say("subscribed", { by, kind: track.kind });
      const element = track.attach();
      element.muted = track.kind === Track.Kind.Video;
      document.body.append(element);
      if (track.kind === Track.Kind.Video) watch(element, by);
      else listen(track, by);
    })
    .on(RoomEvent.TrackUnsubscribed, (track, publication, participant) => say("unsubscribed", { by: participant.identity }))
    .on(RoomEvent.TrackMuted, (publication, participant) => say("muted", { by: participant.identity }))
    .on(RoomEvent.TrackUnmuted, (publication, participant) => say("unmuted", { by: participant.identity }))
    .on(RoomEvent.ParticipantConnected, (participant) => say("joined", { by: participant.identity }))
    .on(RoomEvent.ParticipantDisconnected, (participant) => say("left", { by: participant.identity }))
    .on(RoomEvent.ActiveSpeakersChanged, (speakers) => say("speakers", { who: speakers.map((one) => one.identity) }))
    .on(RoomEvent.DataReceived, (data, participant, kind) => {
      const name = kind === DataPacket_Kind.RELIABLE ? "reliable" : "lossy";
      say("data", { by: participant?.identity, kind: name, text: new TextDecoder().decode(data) });
    })
    .on(RoomEvent.Reconnecting, () => say("reconnecting"))
    .on(RoomEvent.Reconnected, () => say("reconnected"))
    .on(RoomEvent.Disconnected, (reason) => say("disconnected", { reason: DisconnectReason[reason] }));
  say("connecting", { again });
  await room.connect(url, token);
  say("connected", { again, sid: room.localParticipant.sid });
  if (codec !== "none") {
    await room.localParticipant.setMicrophoneEnabled(true);
    await room.localParticipant.setCameraEnabled(true, { resolution: { width: codec.endsWith("-simulcast") ? 1280 : 640, height: codec.endsWith("-simulcast") ? 720 : 360, frameRate: 15 } }, {
      videoCodec: codec.replace("-simulcast", ""),
      simulcast: codec.endsWith("-simulcast"),
      backupCodec: false,
    });
    say("published");
  }
};

window.command = async (verb, rest) => {
  const me = room.localParticipant;
  if (verb === "data" || verb === "lossy") {
    await me.publishData(new TextEncoder().encode(rest), { reliable: verb === "data" });
  } else if (verb === "mute" || verb === "unmute") {
    await me.setMicrophoneEnabled(verb === "unmute");
  } else if (verb === "cut") {
    await room.simulateScenario("signal-reconnect");
  } else if (verb === "quality") {
    const quality = { low: VideoQuality.LOW, high: VideoQuality.HIGH }[rest];
    for (const one of room.remoteParticipants.values())
      for (const publication of one.videoTrackPublications.values()) publication.setVideoQuality(quality);
  } else if (verb === "again") {
    await room.disconnect();
    await window.start({ ...options, token: rest, codec: "none", again: true });
  } else if (verb === "leave") {
    await room.disconnect();
  }
};
