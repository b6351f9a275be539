/** Where tiles and the own view stand: pure arithmetic. */

/** Between a camera's 16:9 and a face's upright oval: tiles crop, and a crop should keep the face. */
const WISHED_ASPECT = 3 / 2;

/** Columns for `count` tiles in a box of `width` by `height`: those that leave each the largest picture of the wished shape. */
export function columnsFor(count: number, width: number, height: number, gap: number): number {
  let best = 1;
  let bestArea = -1;
  for (let columns = 1; columns <= count; columns += 1) {
    const rows = Math.ceil(count / columns);
    const w = (width - gap * (columns - 1)) / columns;
    const h = (height - gap * (rows - 1)) / rows;
    const area = Math.min(w, h * WISHED_ASPECT) * Math.min(h, w / WISHED_ASPECT);
    if (area > bestArea + 0.5) {
      best = columns;
      bestArea = area;
    }
  }
  return best;
}

export const CORNERS = ['top-left', 'top-right', 'bottom-left', 'bottom-right'] as const;
export type Corner = (typeof CORNERS)[number];

/** The corner nearest to a point of a box, both in the same pixels. */
export function nearestCorner(x: number, y: number, width: number, height: number): Corner {
  return `${y < height / 2 ? 'top' : 'bottom'}-${x < width / 2 ? 'left' : 'right'}`;
}

/** The corner that an arrow key leads to. */
export function cornerByKey(corner: Corner, key: string): Corner {
  const [vertical, horizontal] = corner.split('-') as ['top' | 'bottom', 'left' | 'right'];
  switch (key) {
    case 'ArrowLeft':
      return `${vertical}-left`;
    case 'ArrowRight':
      return `${vertical}-right`;
    case 'ArrowUp':
      return `top-${horizontal}`;
    case 'ArrowDown':
      return `bottom-${horizontal}`;
    default:
      return corner;
  }
}
