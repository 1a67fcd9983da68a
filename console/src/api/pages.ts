/** The one shape in which lists reach the pages, whichever surface they come from. */

export interface Page<T> {
  items: T[];
  /** Rows that match in all, or null where the server does not count. */
  total: number | null;
  /** Cursor of the page after this one. */
  next: string | null;
}

export function toPage<T>(list: { items: T[]; total?: number | null; next?: string | null }): Page<T> {
  return { items: list.items, total: list.total ?? null, next: list.next ?? null };
}
