/** What a decoder must know of an H.264 stream before its first picture. */

const NAL_SPS = 7;

/**
 * The codec string `avc1.PPCCLL` (RFC 6381) of an Annex B access unit: profile, constraints and level are the three
 * bytes after the header of the sequence parameter set. Nothing where there is none.
 */
export function codecString(unit: Uint8Array): string | null {
  for (let at = 0; at + 6 < unit.length; at += 1) {
    const startsNal = unit[at] === 0 && unit[at + 1] === 0 && unit[at + 2] === 1;
    if (!startsNal || ((unit[at + 3] ?? 0) & 0x1f) !== NAL_SPS) continue;
    const hex = [...unit.subarray(at + 4, at + 7)].map((byte) => byte.toString(16).toUpperCase().padStart(2, '0'));
    return `avc1.${hex.join('')}`;
  }
  return null;
}
