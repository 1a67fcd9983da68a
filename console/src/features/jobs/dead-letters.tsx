/** Dead letters: sorted by what went wrong, looked into, and replayed or discarded, one, some or all that match. */
import { useQuery } from "@tanstack/react-query";
import { PartyPopper, RotateCcw, Trash2 } from "lucide-react";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { type BatchAct, deadLettersQuery, type JobBatch } from "@/api/jobs";
import { formatNumber, formatRelative } from "@/shared/format";
import { useHotkeys } from "@/shared/hotkeys";
import { Trouble } from "@/shared/trouble";
import { Empty, Panel, SkeletonRows } from "@/ui/blocks";
import { Button } from "@/ui/button";
import { cx } from "@/ui/cx";
import { BatchDialog } from "./batch-dialog";
import { type ErrorGroup, groupErrors } from "./error-groups";
import { deadFilter, isNarrowed, NO_FILTERS } from "./filters";
import { JobFilters } from "./job-filters";
import { JobGrid, ListFoot } from "./job-grid";
import type { ListProps } from "./job-list";
import { REFRESH_MS } from "./refresh";
import { useChosenAt, useJobList } from "./use-job-list";

const ICON = "size-3.5";
const GROUPS_REFRESH_MS = 5 * REFRESH_MS;

interface Asked {
  act: BatchAct;
  target: Pick<JobBatch, "ids" | "filter">;
}

export function DeadLetters({ onOpen, ...filters }: ListProps) {
  const { t } = useTranslation();
  const { url, setUrl } = filters;
  const { query, jobs, still } = useJobList(url, true);
  const chosenAtMs = useChosenAt(url.span);
  const [picked, setPicked] = useState<ReadonlySet<string>>(new Set());
  const [asked, setAsked] = useState<Asked | null>(null);
  const chosen = [...picked];
  const askSome = (act: BatchAct) => {
    if (chosen.length > 0) setAsked({ act, target: { ids: chosen } });
  };
  const askAll = (act: BatchAct) => setAsked({ act, target: { filter: deadFilter(url, chosenAtMs) } });
  useHotkeys({ r: () => askSome("replay"), d: () => askSome("discard") });
  const narrowed = isNarrowed(url);
  return (
    <div className="flex flex-col gap-3">
      <Groups
        chosen={url}
        onChoose={(group) =>
          setUrl(group ? { type: group.type, error: group.code } : { type: undefined, error: undefined })
        }
      />
      <div className="min-w-0 rounded-md border bg-panel">
        <JobFilters {...filters} all />
        {query.error && !jobs ? (
          <Trouble error={query.error} onRetry={() => void query.refetch()} />
        ) : !jobs ? (
          <SkeletonRows rows={8} label={t("state.loading")} />
        ) : jobs.length === 0 ? (
          narrowed ? (
            <Empty
              title={t("table.noMatch")}
              action={<Button onClick={() => setUrl(NO_FILTERS)}>{t("table.clearFilters")}</Button>}
            />
          ) : (
            <Empty icon={<PartyPopper aria-hidden />} title={t("jobs.dead.emptyTitle")}>
              {t("jobs.dead.emptyBody")}
            </Empty>
          )
        ) : (
          <>
            <Bar
              picked={chosen.length}
              noText={url.q !== undefined}
              onSome={askSome}
              onAll={askAll}
              onClear={() => setPicked(new Set())}
            />
            <JobGrid
              jobs={jobs}
              users
              hasMore={query.hasNextPage}
              loadMore={() => {
                if (!query.isFetching) void query.fetchNextPage();
              }}
              onOpen={(job) => onOpen(job.id)}
              picked={picked}
              onPick={setPicked}
            />
            <ListFoot query={query} count={jobs.length} still={still} />
          </>
        )}
      </div>
      {asked ? (
        <BatchDialog
          act={asked.act}
          target={asked.target}
          onClose={() => setAsked(null)}
          onDone={() => setPicked(new Set())}
        />
      ) : null}
    </div>
  );
}

function Bar({
  picked,
  noText,
  onSome,
  onAll,
  onClear,
}: {
  picked: number;
  /** A text search cannot be part of what is acted on. */
  noText: boolean;
  onSome: (act: BatchAct) => void;
  onAll: (act: BatchAct) => void;
  onClear: () => void;
}) {
  const { t } = useTranslation();
  const replayIcon = <RotateCcw aria-hidden className={ICON} />;
  const discardIcon = <Trash2 aria-hidden className={ICON} />;
  if (picked > 0)
    return (
      <div
        role="toolbar"
        aria-label={t("table.bulk")}
        className="flex min-h-11 flex-wrap items-center gap-2 border-b bg-selected px-2 py-1.5"
      >
        <span className="tnum px-1 font-medium text-sm">{t("table.selected", { count: picked })}</span>
        <Button
          small
          look="primary"
          icon={replayIcon}
          hotkey="r"
          onClick={() => onSome("replay")}
          data-testid="replay-selected"
        >
          {t("jobs.act.replay")}
        </Button>
        <Button small icon={discardIcon} hotkey="d" onClick={() => onSome("discard")} data-testid="discard-selected">
          {t("jobs.act.discard")}
        </Button>
        <Button small look="quiet" onClick={onClear}>
          {t("table.clear")}
        </Button>
      </div>
    );
  return (
    <div className="flex min-h-11 flex-wrap items-center gap-2 border-b px-2 py-1.5">
      <Button small icon={replayIcon} disabled={noText} onClick={() => onAll("replay")} data-testid="replay-all">
        {t("jobs.act.replayAll")}
      </Button>
      <Button small icon={discardIcon} disabled={noText} onClick={() => onAll("discard")} data-testid="discard-all">
        {t("jobs.act.discardAll")}
      </Button>
      <span className="min-w-0 flex-1 basis-64 text-faint text-xs">
        {noText ? t("jobs.batch.noText") : t("jobs.dead.sentence")}
      </span>
    </div>
  );
}

function Groups({
  chosen,
  onChoose,
}: {
  chosen: { type?: string; error?: string };
  onChoose: (group: ErrorGroup | null) => void;
}) {
  const { t } = useTranslation();
  const { data } = useQuery({ ...deadLettersQuery, refetchInterval: GROUPS_REFRESH_MS });
  const groups = groupErrors(data?.items ?? []);
  if (groups.length === 0) return null;
  return (
    <Panel
      flush
      testId="error-groups"
      title={t("jobs.dead.groups")}
      aside={
        data?.more ? (
          <span className="text-faint text-xs">{t("jobs.dead.groupsCut", { count: data.items.length })}</span>
        ) : null
      }
    >
      <ul className="scroll-thin max-h-56 divide-y overflow-y-auto">
        {groups.map((group) => {
          const on = chosen.type === group.type && (chosen.error ?? "") === group.code;
          return (
            <li key={`${group.type} ${group.code}`}>
              <button
                type="button"
                aria-pressed={on}
                data-testid="error-group"
                onClick={() => onChoose(on ? null : group)}
                className={cx(
                  "grid min-h-9 w-full grid-cols-[3rem_minmax(0,1fr)] items-center gap-x-3 px-3 py-1 text-left text-sm -outline-offset-2 sm:grid-cols-[3rem_minmax(10rem,1fr)_minmax(0,2fr)_8rem]",
                  on ? "bg-selected" : "hover:bg-hover",
                )}
              >
                <span className="tnum text-right font-semibold">{formatNumber(group.count)}</span>
                <span className="min-w-0 truncate">
                  <span className="font-mono text-failed text-xs">{group.code || t("jobs.dead.noCode")}</span>{" "}
                  <span className="text-soft">{group.type}</span>
                </span>
                <span className="min-w-0 truncate text-soft max-sm:hidden" title={group.message}>
                  {group.message}
                </span>
                <span className="truncate text-right text-faint text-xs max-sm:hidden">
                  {t("jobs.dead.last", { when: formatRelative(group.lastAt) })}
                </span>
              </button>
            </li>
          );
        })}
      </ul>
    </Panel>
  );
}
