/**
 * Which rows of a very long list are on screen.
 *
 * Rows have one height, so this is arithmetic and costs the same for a hundred rows and for ten million. A browser
 * cannot scroll much beyond 16 million pixels; a list taller than that is scrolled in proportion instead.
 */

export const MAX_SCROLL_PX = 15_000_000;

export interface WindowInput {
  total: number;
  rowPx: number;
  viewportPx: number;
  scrollTop: number;
  overscan: number;
}

export interface RowWindow {
  /** Height of the scrolled content. */
  heightPx: number;
  /** First and one past the last row to draw. */
  first: number;
  end: number;
  /** Where row `index` stands, from the top of the content. */
  topOf: (index: number) => number;
  /** The scroll position that brings row `index` to the top. */
  scrollTo: (index: number) => number;
}

export function rowWindow({ total, rowPx, viewportPx, scrollTop, overscan }: WindowInput): RowWindow {
  const trueHeight = total * rowPx;
  const heightPx = Math.min(trueHeight, MAX_SCROLL_PX);
  const trueRange = Math.max(0, trueHeight - viewportPx);
  const range = Math.max(0, heightPx - viewportPx);
  const scale = range > 0 ? trueRange / range : 1;
  const clamped = Math.max(0, Math.min(scrollTop, range));
  const trueTop = clamped * scale;
  const shift = clamped - trueTop;
  return {
    heightPx,
    first: Math.max(0, Math.floor(trueTop / rowPx) - overscan),
    end: Math.min(total, Math.ceil((trueTop + viewportPx) / rowPx) + overscan),
    topOf: (index) => index * rowPx + shift,
    scrollTo: (index) => Math.max(0, Math.min(range, (index * rowPx) / scale)),
  };
}
