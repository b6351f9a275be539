/** Puts pictures onto 2D canvases: without a GPU that is cheaper than WebGL, and with one it is fast enough. */

import type { LaneFrame } from './wire';

/** ITU-R BT.601, limited range: what the app's encoder and cameras give. */
const COLOR_SPACE: VideoColorSpaceInit = {
  matrix: 'smpte170m',
  primaries: 'smpte170m',
  transfer: 'smpte170m',
  fullRange: false,
};

let videoFrameRefusesI420 = false;

/** Draws a decoded picture; the canvas takes its size. */
export function drawVideoFrame(canvas: HTMLCanvasElement, frame: VideoFrame): void {
  fit(canvas, frame.displayWidth, frame.displayHeight)?.drawImage(frame, 0, 0, canvas.width, canvas.height);
}

/** Draws a raw picture, by the browser's own conversion where there is one. */
export function drawI420(canvas: HTMLCanvasElement, raw: LaneFrame): void {
  if (typeof VideoFrame === 'function' && !videoFrameRefusesI420) {
    try {
      const frame = new VideoFrame(raw.payload, {
        format: 'I420',
        codedWidth: raw.width,
        codedHeight: raw.height,
        timestamp: raw.timestamp,
        colorSpace: COLOR_SPACE,
      });
      drawVideoFrame(canvas, frame);
      frame.close();
      return;
    } catch {
      videoFrameRefusesI420 = true;
    }
  }
  const context = fit(canvas, raw.width, raw.height);
  if (!context) return;
  const image = context.createImageData(raw.width, raw.height);
  i420ToRgba(raw.payload, raw.width, raw.height, image.data);
  context.putImageData(image, 0, 0);
}

/** Converts planes without padding to RGBA (BT.601, limited range, 8-bit fixed point). */
export function i420ToRgba(planes: Uint8Array, width: number, height: number, rgba: Uint8ClampedArray): void {
  const half = Math.ceil(width / 2);
  const uAt = width * height;
  const vAt = uAt + half * Math.ceil(height / 2);
  for (let y = 0, out = 0; y < height; y += 1) {
    const row = (y >> 1) * half;
    for (let x = 0; x < width; x += 1, out += 4) {
      const luma = 298 * ((planes[y * width + x] ?? 0) - 16) + 128;
      const u = (planes[uAt + row + (x >> 1)] ?? 128) - 128;
      const v = (planes[vAt + row + (x >> 1)] ?? 128) - 128;
      rgba[out] = (luma + 409 * v) >> 8;
      rgba[out + 1] = (luma - 100 * u - 208 * v) >> 8;
      rgba[out + 2] = (luma + 516 * u) >> 8;
      rgba[out + 3] = 255;
    }
  }
}

function fit(canvas: HTMLCanvasElement, width: number, height: number): CanvasRenderingContext2D | null {
  if (canvas.width !== width) canvas.width = width;
  if (canvas.height !== height) canvas.height = height;
  return canvas.getContext('2d', { alpha: false });
}
