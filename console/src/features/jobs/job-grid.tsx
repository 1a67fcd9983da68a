/** Jobs row by row, however many: only those on screen are drawn, older ones come as one scrolls down to them. */
import { RotateCw } from "lucide-react";
import {
  type KeyboardEvent,
  type MouseEvent,
  useEffect,
  useEffectEvent,
  useLayoutEffect,
  useRef,
  useState,
} from "react";
import { useTranslation } from "react-i18next";
import type { Job } from "@/api/jobs";
import { useHotkeys } from "@/shared/hotkeys";
import { JobBadge, shortJobId } from "@/shared/job-state";
import { rowWindow } from "@/shared/row-window";
import { Time } from "@/shared/time";
import { Button } from "@/ui/button";
import { cx } from "@/ui/cx";
import { JobProgress } from "./job-progress";

const ROW_PX = 38;
const OVERSCAN = 8;
/** How near to the end of what is loaded one gets before more is asked for. */
const NEAR_END = 20;

export interface GridProps {
  jobs: readonly Job[];
  /** Whose each is. */
  users: boolean;
  hasMore: boolean;
  loadMore: () => void;
  onOpen: (job: Job) => void;
  picked?: ReadonlySet<string>;
  onPick?: (picked: ReadonlySet<string>) => void;
}

const COLUMNS = cx(
  "grid-cols-[7.5rem_minmax(0,1fr)_7.5rem]",
  "md:grid-cols-[8.5rem_minmax(11rem,1.2fr)_minmax(8rem,1fr)_minmax(9rem,1.4fr)_7rem]",
  "xl:grid-cols-[8.5rem_minmax(11.5rem,0.8fr)_minmax(8.75rem,0.5fr)_minmax(12rem,2.2fr)_5.5rem_4rem_5.5rem_8rem]",
);
const COLUMNS_WITH_PICK = cx(
  "grid-cols-[2.25rem_5.5rem_minmax(0,1fr)_7rem]",
  "md:grid-cols-[2.25rem_8.5rem_minmax(11rem,1.2fr)_minmax(8rem,1fr)_minmax(9rem,1.4fr)_7rem]",
  "xl:grid-cols-[2.25rem_8.5rem_minmax(11.5rem,0.8fr)_minmax(8.75rem,0.5fr)_minmax(12rem,2.2fr)_5.5rem_4rem_5.5rem_8rem]",
);
const CELL = "min-w-0 truncate px-2";

/** What is on screen; rows that come in above leave those that are looked at where they are. */
function useScroll(jobs: readonly Job[]) {
  const box = useRef<HTMLDivElement>(null);
  const [view, setView] = useState({ heightPx: 480, scrollTop: 0 });
  const top = useRef<{ id: string; offset: number } | null>(null);
  useLayoutEffect(() => {
    const element = box.current;
    if (!element) return;
    const watcher = new ResizeObserver(() =>
      setView((before) => ({ ...before, heightPx: element.clientHeight - ROW_PX })),
    );
    watcher.observe(element);
    return () => watcher.disconnect();
  }, []);
  useLayoutEffect(() => {
    const element = box.current;
    if (!element || !top.current) return;
    const { id, offset } = top.current;
    const index = jobs.findIndex((job) => job.id === id);
    if (index >= 0) element.scrollTop = index * ROW_PX + offset;
  }, [jobs]);
  const onScroll = () => {
    const scrollTop = box.current?.scrollTop ?? 0;
    const first = Math.floor(scrollTop / ROW_PX);
    const job = jobs[first];
    top.current = scrollTop > 0 && job ? { id: job.id, offset: scrollTop - first * ROW_PX } : null;
    setView((before) => (before.scrollTop === scrollTop ? before : { ...before, scrollTop }));
  };
  return { box, view, onScroll };
}

export function JobGrid({ jobs, users, hasMore, loadMore, onOpen, picked, onPick }: GridProps) {
  const { t } = useTranslation();
  const { box, view, onScroll } = useScroll(jobs);
  const [activeId, setActiveId] = useState<string | null>(null);
  const found = jobs.findIndex((job) => job.id === activeId);
  const active = Math.max(0, found);
  const total = jobs.length;
  const columns = picked ? COLUMNS_WITH_PICK : COLUMNS;
  const grid = rowWindow({
    total,
    rowPx: ROW_PX,
    viewportPx: view.heightPx,
    scrollTop: view.scrollTop,
    overscan: OVERSCAN,
  });
  const askForMore = useEffectEvent(loadMore);
  const nearEnd = hasMore && grid.end > total - NEAR_END;
  // biome-ignore lint/correctness/useExhaustiveDependencies: asks again when a page has come and the end is still near
  useEffect(() => {
    if (nearEnd) askForMore();
  }, [nearEnd, total]);

  const moveTo = (place: number) => {
    const next = Math.max(0, Math.min(total - 1, place));
    setActiveId(jobs[next]?.id ?? null);
    const element = box.current;
    if (!element) return;
    const top = grid.topOf(next);
    if (top < element.scrollTop) element.scrollTop = grid.scrollTo(next);
    else if (top + ROW_PX > element.scrollTop + view.heightPx) element.scrollTop = top + ROW_PX - view.heightPx;
  };
  const step = (by: number) => {
    moveTo(found < 0 ? 0 : active + by);
    box.current?.focus({ preventScroll: true });
  };
  useHotkeys({ j: () => step(1), k: () => step(-1) });
  const pick = (id: string) => {
    const next = new Set(picked);
    if (!next.delete(id)) next.add(id);
    onPick?.(next);
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.target !== event.currentTarget) return;
    const screen = Math.max(1, Math.floor(view.heightPx / ROW_PX) - 2);
    const job = jobs[active];
    const acts: Record<string, (() => void) | undefined> = {
      ArrowDown: () => step(1),
      ArrowUp: () => step(-1),
      PageDown: () => moveTo(active + screen),
      PageUp: () => moveTo(active - screen),
      Home: () => moveTo(0),
      End: () => moveTo(total - 1),
      Enter: job && (() => onOpen(job)),
      " ": job && onPick && (() => pick(job.id)),
    };
    const act = acts[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  };
  const allPicked = picked !== undefined && total > 0 && jobs.every((job) => picked.has(job.id));
  return (
    <div
      ref={box}
      role="grid"
      aria-label={t("jobs.list.label")}
      aria-description={t("jobs.list.keys")}
      aria-rowcount={hasMore ? -1 : total + 1}
      aria-multiselectable={picked ? true : undefined}
      aria-activedescendant={found < 0 ? undefined : `job-row-${active}`}
      tabIndex={0}
      onScroll={onScroll}
      onKeyDown={onKeyDown}
      data-testid="job-grid"
      className="scroll-thin relative overflow-y-auto text-sm -outline-offset-2"
      style={{ height: `clamp(14rem, ${(total + 1) * ROW_PX}px, min(62dvh, 46rem))` }}
    >
      <div
        role="row"
        aria-rowindex={1}
        tabIndex={-1}
        className={cx("sticky top-0 z-10 grid items-center border-b bg-panel font-medium text-faint text-xs", columns)}
        style={{ height: ROW_PX }}
      >
        {picked ? (
          <span role="columnheader" tabIndex={-1} className="flex items-center px-2">
            <input
              type="checkbox"
              className="size-4"
              aria-label={t("jobs.list.selectAll")}
              checked={allPicked}
              onChange={() => onPick?.(allPicked ? new Set() : new Set(jobs.map((job) => job.id)))}
            />
          </span>
        ) : null}
        <Head label={t("jobs.statusLabel")} />
        <Head label={t("jobs.job")} />
        <Head label={t("jobs.progress")} className="max-md:hidden" />
        <Head label={t("jobs.error")} className="max-md:hidden" />
        <Head label={t("jobs.queue")} className="max-xl:hidden" />
        <Head label={users ? t("jobs.user") : ""} className="text-right max-xl:hidden" />
        <Head label={t("jobs.attempts")} className="text-right max-xl:hidden" />
        <Head label={t("jobs.made")} className="text-right" />
      </div>
      <div role="rowgroup" className="relative" style={{ height: grid.heightPx }}>
        {jobs.slice(grid.first, grid.end).map((job, offset) => {
          const place = grid.first + offset;
          return (
            <Row
              key={job.id}
              job={job}
              place={place}
              topPx={grid.topOf(place)}
              columns={columns}
              users={users}
              active={job.id === activeId}
              picked={picked?.has(job.id)}
              onPick={() => pick(job.id)}
              onPress={(event) => {
                setActiveId(job.id);
                if (!(event.target instanceof HTMLInputElement)) onOpen(job);
              }}
            />
          );
        })}
      </div>
    </div>
  );
}

function Head({ label, className }: { label: string; className?: string }) {
  return (
    <span role="columnheader" tabIndex={-1} className={cx(CELL, className)}>
      {label}
    </span>
  );
}

interface RowProps {
  job: Job;
  place: number;
  topPx: number;
  columns: string;
  users: boolean;
  active: boolean;
  picked: boolean | undefined;
  onPick: () => void;
  onPress: (event: MouseEvent) => void;
}

function Row({ job, place, topPx, columns, users, active, picked, onPick, onPress }: RowProps) {
  const { t } = useTranslation();
  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: the grid takes the keys for its active row
    <div
      id={`job-row-${place}`}
      role="row"
      tabIndex={-1}
      aria-rowindex={place + 2}
      aria-selected={picked}
      data-testid="job"
      data-key={job.id}
      data-status={job.status}
      onClick={onPress}
      className={cx(
        "absolute inset-x-0 grid cursor-pointer items-center border-b last:border-b-0",
        columns,
        picked ? "bg-selected" : "hover:bg-hover",
        active && "shadow-[inset_2px_0_0_var(--focus)]",
      )}
      style={{ height: ROW_PX, top: topPx }}
    >
      {picked === undefined ? null : (
        <span role="gridcell" tabIndex={-1} className="flex items-center px-2">
          <input
            type="checkbox"
            tabIndex={-1}
            className="size-4"
            aria-label={t("table.select", { name: job.id })}
            checked={picked}
            onChange={onPick}
          />
        </span>
      )}
      <span role="gridcell" tabIndex={-1} className={cx(CELL, "flex")}>
        <JobBadge status={job.status} stopping={job.cancel_requested} />
      </span>
      <span role="gridcell" tabIndex={-1} className={CELL} title={`${job.type} ${job.id}`}>
        {job.type} <span className="font-mono text-faint text-xs max-sm:hidden">{shortJobId(job.id)}</span>
      </span>
      <span role="gridcell" tabIndex={-1} className={cx(CELL, "max-md:hidden")}>
        <JobProgress job={job} />
      </span>
      <span
        role="gridcell"
        tabIndex={-1}
        className={cx(CELL, "max-md:hidden")}
        title={job.error ? `${job.error.code}: ${job.error.message}` : undefined}
      >
        {job.error ? (
          <>
            <span className="font-mono text-failed text-xs">{job.error.code}</span>{" "}
            <span className="text-soft">{job.error.message}</span>
          </>
        ) : null}
      </span>
      <span role="gridcell" tabIndex={-1} className={cx(CELL, "text-soft max-xl:hidden")}>
        {job.queue}
      </span>
      <span role="gridcell" tabIndex={-1} className={cx(CELL, "tnum text-right text-soft max-xl:hidden")}>
        {users ? job.user_id === null ? <span title={t("jobs.system")}>–</span> : `#${job.user_id}` : null}
      </span>
      <span role="gridcell" tabIndex={-1} className={cx(CELL, "tnum text-right text-soft max-xl:hidden")}>
        {job.max_attempts === null ? job.attempt : `${job.attempt} / ${job.max_attempts}`}
      </span>
      <span role="gridcell" tabIndex={-1} className={cx(CELL, "text-right text-soft")}>
        <Time at={job.created_at} />
      </span>
    </div>
  );
}

export function ListFoot({
  query,
  count,
  still,
}: {
  query: { hasNextPage: boolean; isFetchingNextPage: boolean; isFetching: boolean; refetch: () => unknown };
  count: number;
  still: boolean;
}) {
  const { t } = useTranslation();
  return (
    <div className="tnum flex min-h-9 flex-wrap items-center gap-2 border-t px-3 py-1 text-soft text-xs">
      <span aria-live="polite">
        {query.isFetchingNextPage
          ? t("jobs.list.more")
          : query.hasNextPage
            ? t("jobs.list.some", { count })
            : t("jobs.list.end", { count })}
      </span>
      {still ? (
        <>
          <span>{t("jobs.list.still")}</span>
          <Button
            small
            look="quiet"
            icon={<RotateCw aria-hidden className="size-3.5" />}
            busy={query.isFetching}
            onClick={() => query.refetch()}
          >
            {t("act.refresh")}
          </Button>
        </>
      ) : null}
    </div>
  );
}
