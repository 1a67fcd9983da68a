/** The rows of one file, however many: only those on screen are asked for and drawn. */
import { useQueries } from "@tanstack/react-query";
import { type KeyboardEvent, type MouseEvent, useCallback, useLayoutEffect, useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import { rowsQuery, type SampleRow } from "@/api/samples";
import { formatNumber } from "@/shared/format";
import { rowWindow } from "@/shared/row-window";
import { Skeleton } from "@/ui/blocks";
import { cx } from "@/ui/cx";
import { RowEditor } from "./row-editor";

const ROW_PX = 32;
const ROWS_PER_PAGE = 100;
const OVERSCAN = 8;
/** Height of the row editor, which is kept inside the grid where the grid is tall enough. */
const EDITOR_PX = 210;
export const MAX_COLUMNS = 12;

export interface RowGridProps {
  fileId: number;
  columns: string[];
  total: number;
  q: string;
  picked: ReadonlySet<number>;
  onPick: (picked: ReadonlySet<number>) => void;
}

function useViewport() {
  const box = useRef<HTMLDivElement>(null);
  // The head stands over the rows and takes the height of one.
  const [view, setView] = useState({ heightPx: 480, scrollTop: 0 });
  useLayoutEffect(() => {
    const element = box.current;
    if (!element) return;
    const watcher = new ResizeObserver(() =>
      setView((before) => ({ ...before, heightPx: element.clientHeight - ROW_PX })),
    );
    watcher.observe(element);
    return () => watcher.disconnect();
  }, []);
  const onScroll = useCallback(() => {
    const scrollTop = box.current?.scrollTop ?? 0;
    setView((before) => (before.scrollTop === scrollTop ? before : { ...before, scrollTop }));
  }, []);
  return { box, view, onScroll };
}

export function RowGrid({ fileId, columns, total, q, picked, onPick }: RowGridProps) {
  const { t } = useTranslation();
  const { box, view, onScroll } = useViewport();
  const [active, setActive] = useState(0);
  const [editing, setEditing] = useState<{ place: number; row: SampleRow } | null>(null);
  const lastPicked = useRef<number | null>(null);
  const shown = columns.slice(0, MAX_COLUMNS);
  const grid = rowWindow({
    total,
    rowPx: ROW_PX,
    viewportPx: view.heightPx,
    scrollTop: view.scrollTop,
    overscan: OVERSCAN,
  });
  const firstPage = Math.floor(grid.first / ROWS_PER_PAGE) + 1;
  const lastPage = Math.floor(Math.max(0, grid.end - 1) / ROWS_PER_PAGE) + 1;
  const pages = Array.from({ length: Math.max(1, lastPage - firstPage + 1) }, (_, index) => firstPage + index);
  const answers = useQueries({ queries: pages.map((page) => rowsQuery(fileId, page, ROWS_PER_PAGE, q)) });
  const failed = answers.find((answer) => answer.isError);
  const rowAt = (place: number): SampleRow | undefined => {
    const page = Math.floor(place / ROWS_PER_PAGE) + 1;
    return answers[page - firstPage]?.data?.items[place % ROWS_PER_PAGE];
  };

  const reveal = (place: number) => {
    const element = box.current;
    if (!element) return;
    const top = grid.topOf(place);
    if (top < element.scrollTop || top + ROW_PX > element.scrollTop + view.heightPx)
      element.scrollTop = grid.scrollTo(Math.max(0, place - Math.floor(view.heightPx / ROW_PX / 2)));
  };
  const moveTo = (place: number) => {
    const next = Math.max(0, Math.min(total - 1, place));
    setActive(next);
    reveal(next);
  };
  const pick = (place: number, range: boolean) => {
    const row = rowAt(place);
    if (!row) return;
    const next = new Set(picked);
    const from = range ? lastPicked.current : null;
    if (from !== null) {
      for (let at = Math.min(from, place); at <= Math.max(from, place); at += 1) {
        const each = q === "" ? at : rowAt(at)?.index;
        if (each !== undefined) next.add(each);
      }
    } else if (!next.delete(row.index)) next.add(row.index);
    lastPicked.current = place;
    onPick(next);
  };
  const edit = (place: number) => {
    const row = rowAt(place);
    if (row) setEditing({ place, row });
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.target !== event.currentTarget) return;
    const screen = Math.max(1, Math.floor(view.heightPx / ROW_PX) - 2);
    const acts: Record<string, () => void> = {
      ArrowDown: () => moveTo(active + 1),
      ArrowUp: () => moveTo(active - 1),
      PageDown: () => moveTo(active + screen),
      PageUp: () => moveTo(active - screen),
      Home: () => moveTo(0),
      End: () => moveTo(total - 1),
      Enter: () => edit(active),
      " ": () => pick(active, event.shiftKey),
    };
    const act = acts[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  };
  const onRowClick = (event: MouseEvent, place: number) => {
    setActive(place);
    if (event.target instanceof HTMLInputElement) return;
    if (event.shiftKey) pick(place, true);
    else edit(place);
  };
  const template = `2.25rem 4.5rem repeat(${Math.max(1, shown.length)}, minmax(11rem, 1fr))`;

  return (
    <div className="relative">
      <div
        ref={box}
        role="grid"
        aria-label={t("samples.gridLabel")}
        aria-description={t("samples.gridKeys")}
        aria-rowcount={total + 1}
        aria-multiselectable
        aria-activedescendant={`row-${active}`}
        tabIndex={0}
        onScroll={onScroll}
        onKeyDown={onKeyDown}
        data-testid="row-grid"
        className="scroll-thin relative overflow-auto text-sm"
        style={{ height: `clamp(18rem, ${total * ROW_PX + 2 * ROW_PX}px, min(62dvh, 44rem))` }}
      >
        <div
          role="row"
          aria-rowindex={1}
          tabIndex={-1}
          className="sticky top-0 z-10 grid h-8 min-w-max items-center border-b bg-panel font-medium text-faint text-xs"
          style={{ gridTemplateColumns: template }}
        >
          <span role="columnheader" tabIndex={-1} className="px-2">
            <span className="sr-only">{t("table.selectAll")}</span>
          </span>
          <span role="columnheader" tabIndex={-1} className="px-2 text-right">
            {t("samples.rowIndex")}
          </span>
          {shown.map((column) => (
            <span key={column} role="columnheader" tabIndex={-1} className="truncate px-2 font-mono">
              {column}
            </span>
          ))}
        </div>
        <div role="rowgroup" className="relative min-w-max" style={{ height: grid.heightPx }}>
          {Array.from({ length: Math.max(0, grid.end - grid.first) }, (_, offset) => {
            const place = grid.first + offset;
            const row = rowAt(place);
            return (
              // biome-ignore lint/a11y/useKeyWithClickEvents: the grid takes the keys for its active row
              <div
                key={place}
                id={`row-${place}`}
                role="row"
                tabIndex={-1}
                aria-rowindex={place + 2}
                aria-selected={row ? picked.has(row.index) : false}
                data-testid="sample-row"
                onClick={(event) => onRowClick(event, place)}
                className={cx(
                  "absolute inset-x-0 grid cursor-pointer items-center border-b",
                  row && picked.has(row.index) ? "bg-selected" : "hover:bg-hover",
                  place === active && "shadow-[inset_2px_0_0_var(--focus)]",
                )}
                style={{ gridTemplateColumns: template, height: ROW_PX, top: grid.topOf(place) }}
              >
                <span role="gridcell" tabIndex={-1} className="flex items-center px-2">
                  <input
                    type="checkbox"
                    tabIndex={-1}
                    className="size-4"
                    aria-label={t("table.select", { name: place })}
                    checked={row ? picked.has(row.index) : false}
                    disabled={!row}
                    onChange={(event) =>
                      pick(place, event.nativeEvent instanceof globalThis.MouseEvent && event.nativeEvent.shiftKey)
                    }
                  />
                </span>
                <span role="gridcell" tabIndex={-1} className="tnum px-2 text-right text-faint">
                  {row ? formatNumber(row.index) : ""}
                </span>
                {shown.map((column) => (
                  <span key={column} role="gridcell" tabIndex={-1} className="truncate px-2">
                    {row ? <Cell value={row.data[column]} /> : <Skeleton className="h-3 w-3/4" />}
                  </span>
                ))}
              </div>
            );
          })}
        </div>
      </div>
      {failed?.error ? (
        <p role="alert" className="border-t px-3 py-2 text-failed text-sm">
          {failed.error.message}
        </p>
      ) : null}
      {editing ? (
        <RowEditor
          key={editing.row.index}
          fileId={fileId}
          row={editing.row}
          topPx={Math.max(
            2 * ROW_PX,
            Math.min(grid.topOf(editing.place) - view.scrollTop + 2 * ROW_PX, view.heightPx - EDITOR_PX),
          )}
          onClose={() => {
            setEditing(null);
            box.current?.focus({ preventScroll: true });
          }}
        />
      ) : null}
    </div>
  );
}

function Cell({ value }: { value: unknown }) {
  if (value === undefined || value === null) return <span className="text-faint">–</span>;
  if (typeof value === "string") return <>{value}</>;
  return <span className="font-mono text-xs">{JSON.stringify(value)}</span>;
}
