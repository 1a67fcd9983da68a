/** The rows to look at: score, state, first words. The chosen one is kept in view. */
import { useEffect, useRef } from "react";
import { useTranslation } from "react-i18next";
import type { GeneratedRow } from "@/api/review";
import { formatNumber, formatScore } from "@/shared/format";
import { ROW_TONES, ROW_WORDS } from "@/shared/row-state";
import { oneLine } from "@/shared/row-text";
import { Button } from "@/ui/button";
import { cx } from "@/ui/cx";
import { StateShape, TONE_TEXT } from "@/ui/state";

export interface QueueProps {
  rows: readonly GeneratedRow[];
  total: number | null;
  activeId: number | undefined;
  picked: ReadonlySet<number>;
  onOpen: (row: GeneratedRow, range: boolean) => void;
  hasMore: boolean;
  loadingMore: boolean;
  onMore: () => void;
}

export function Queue({ rows, total, activeId, picked, onOpen, hasMore, loadingMore, onMore }: QueueProps) {
  const { t } = useTranslation();
  const list = useRef<HTMLUListElement>(null);
  // Scroll only inside the list: the page must not move while someone works by keys.
  useEffect(() => {
    const box = list.current;
    const item = box?.querySelector<HTMLElement>(`[data-row-id="${activeId}"]`);
    if (!box || !item) return;
    const top = item.offsetTop - box.offsetTop;
    if (top < box.scrollTop) box.scrollTop = top;
    else if (top + item.offsetHeight > box.scrollTop + box.clientHeight)
      box.scrollTop = top + item.offsetHeight - box.clientHeight;
  }, [activeId]);
  return (
    <section aria-label={t("review.queue")} className="flex min-h-0 flex-col rounded-md border bg-panel">
      <ul
        ref={list}
        className="scroll-thin max-h-[34dvh] min-h-0 flex-1 divide-y overflow-y-auto lg:max-h-none"
        data-testid="review-queue"
        onScroll={(event) => {
          const { scrollHeight, scrollTop, clientHeight } = event.currentTarget;
          if (hasMore && !loadingMore && scrollHeight - scrollTop - clientHeight < 400) onMore();
        }}
      >
        {rows.map((row) => (
          <li key={row.id} data-row-id={row.id}>
            <button
              type="button"
              aria-current={row.id === activeId ? "true" : undefined}
              data-testid="review-row"
              data-status={row.status}
              data-confirmed={row.is_confirmed}
              onClick={(event) => onOpen(row, event.shiftKey)}
              className={cx(
                "flex w-full items-start gap-2 px-2.5 py-1.5 text-left -outline-offset-2",
                row.id === activeId
                  ? "bg-selected shadow-[inset_3px_0_0_var(--accent)]"
                  : picked.has(row.id)
                    ? "bg-accent-soft"
                    : "hover:bg-hover",
              )}
            >
              <span className={cx("mt-1", TONE_TEXT[ROW_TONES[row.status]])} title={t(ROW_WORDS[row.status])}>
                <StateShape tone={ROW_TONES[row.status]} />
                <span className="sr-only">{t(ROW_WORDS[row.status])}</span>
              </span>
              <span className="tnum w-8 shrink-0 text-right font-medium text-sm">{formatScore(row.final_score)}</span>
              <span
                className={cx(
                  "line-clamp-2 min-w-0 flex-1 text-sm",
                  row.status === "rejected" ? "text-faint line-through decoration-line-strong" : "text-soft",
                )}
              >
                {oneLine(row.data_content)}
              </span>
            </button>
          </li>
        ))}
      </ul>
      <footer className="flex items-center gap-2 border-t px-2.5 py-1.5 text-faint text-xs">
        <span className="tnum flex-1">
          {t("review.loaded", { loaded: formatNumber(rows.length), total: total === null ? "?" : formatNumber(total) })}
        </span>
        {hasMore ? (
          <Button small look="quiet" busy={loadingMore} onClick={onMore}>
            {t("review.loadMore")}
          </Button>
        ) : null}
      </footer>
    </section>
  );
}
