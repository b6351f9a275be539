/** The ring and the ringback tone, made of sine waves: nothing to load, nothing to licence. */

interface Tone {
  /** Notes in **hertz**, one after the other. */
  notes: readonly number[];
  noteMs: number;
  everyMs: number;
  volume: number;
}

const RING: Tone = { notes: [659.3, 830.6, 987.8, 830.6], noteMs: 170, everyMs: 2400, volume: 0.16 };
const RINGBACK: Tone = { notes: [440, 440], noteMs: 420, everyMs: 4000, volume: 0.05 };

let context: AudioContext | null = null;

function play(tone: Tone): void {
  if (typeof AudioContext !== 'function') return;
  context ??= new AudioContext();
  void context.resume();
  tone.notes.forEach((hertz, index) => {
    if (!context) return;
    const from = context.currentTime + (index * tone.noteMs) / 1000;
    const until = from + (tone.noteMs / 1000) * 1.6;
    const oscillator = context.createOscillator();
    const gain = context.createGain();
    oscillator.frequency.value = hertz;
    gain.gain.setValueAtTime(0, from);
    gain.gain.linearRampToValueAtTime(tone.volume, from + 0.02);
    gain.gain.exponentialRampToValueAtTime(0.0001, until);
    oscillator.connect(gain).connect(context.destination);
    oscillator.start(from);
    oscillator.stop(until);
  });
}

function repeat(tone: Tone): () => void {
  play(tone);
  const timer = setInterval(() => play(tone), tone.everyMs);
  return () => {
    clearInterval(timer);
    // Silence at once, not at the end of the note.
    void context?.close();
    context = null;
  };
}

/** Rings for an incoming call until the returned function is called. */
export const ring = (): (() => void) => repeat(RING);

/** Tells the caller that it rings over there. */
export const ringback = (): (() => void) => repeat(RINGBACK);
