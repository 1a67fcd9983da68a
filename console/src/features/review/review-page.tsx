/** The workbench: a queue at the left, the row at the right, and the keyboard for everything between. */
import { Link } from "@tanstack/react-router";
import { ArrowDown, ArrowUp, Check, CheckCheck, ClipboardCheck, Keyboard, Pencil, Undo2, X } from "lucide-react";
import { useMemo, useState } from "react";
import { useTranslation } from "react-i18next";
import { confirmRows, type GeneratedRow, reviewRows } from "@/api/review";
import { useConfirm } from "@/shared/confirm";
import { formatNumber, formatPercent } from "@/shared/format";
import { useHotkeys } from "@/shared/hotkeys";
import { useWrite } from "@/shared/mutation";
import { PageHead } from "@/shared/page-head";
import { Trouble } from "@/shared/trouble";
import { useUrlState } from "@/shared/url-state";
import { Empty, SkeletonRows } from "@/ui/blocks";
import { Button, buttonClass, IconButton } from "@/ui/button";
import { Menu, MenuItem } from "@/ui/menu";
import { Ring } from "@/ui/progress";
import { ExportMenu } from "./export-menu";
import { FilterBar } from "./filter-bar";
import { isNarrowed, parseReviewUrl, SORTS, toRowFilter } from "./filters";
import { KeysDialog } from "./keys-dialog";
import { Queue } from "./queue";
import { RowDetail } from "./row-detail";
import { useReview } from "./use-review";

const ICON = "size-3.5";

export function ReviewPage() {
  const { t } = useTranslation();
  const [url, setUrl] = useUrlState(parseReviewUrl);
  const { task_id, task_type, status, confirmed, min, max, q } = url;
  const filter = useMemo(
    () => toRowFilter({ task_id, task_type, status, confirmed, min, max, q, sort: undefined, row: undefined }),
    [task_id, task_type, status, confirmed, min, max, q],
  );
  const review = useReview(filter, SORTS[url.sort ?? "newest"]);
  const { rows, answer, total } = review;
  const [editing, setEditing] = useState(false);
  const [keysShown, setKeysShown] = useState(false);
  const [anchor, setAnchor] = useState<number | null>(null);

  const at = Math.max(
    0,
    rows.findIndex((row) => row.id === url.row),
  );
  const active = rows[at];
  const anchorAt =
    anchor === null
      ? at
      : Math.max(
          0,
          rows.findIndex((row) => row.id === anchor),
        );
  const chosen = active ? rows.slice(Math.min(at, anchorAt), Math.max(at, anchorAt) + 1) : [];

  const goTo = (index: number, range = false) => {
    const next = rows[Math.max(0, Math.min(rows.length - 1, index))];
    if (!next) return;
    setAnchor(range ? (anchor ?? active?.id ?? null) : null);
    setEditing(false);
    setUrl({ row: next.id });
    if (index >= rows.length - 10 && answer.hasNextPage && !answer.isFetchingNextPage) void answer.fetchNextPage();
  };
  const decide = (verdict: "accepted" | "rejected") => {
    if (chosen.length === 0) return;
    void review.decide(chosen, verdict);
    goTo(Math.max(at, anchorAt) + 1);
  };
  const undo = async () => {
    const ids = await review.undo();
    if (ids[0] !== undefined) {
      setAnchor(null);
      setUrl({ row: ids[0] });
    }
  };
  const open = (row: GeneratedRow, range: boolean) => goTo(rows.indexOf(row), range);

  useHotkeys({
    a: () => decide("accepted"),
    x: () => decide("rejected"),
    c: () => void review.toggleConfirmed(chosen),
    e: () => setEditing(active !== undefined),
    u: () => void undo(),
    j: () => goTo(at + 1),
    k: () => goTo(at - 1),
    ArrowDown: () => goTo(at + 1),
    ArrowUp: () => goTo(at - 1),
    "Shift+j": () => goTo(at + 1, true),
    "Shift+k": () => goTo(at - 1, true),
    "Shift+ArrowDown": () => goTo(at + 1, true),
    "Shift+ArrowUp": () => goTo(at - 1, true),
    Escape: () => setAnchor(null),
    "?": () => setKeysShown(true),
  });

  const seen = review.decided.size;
  const agreement = review.agreement;
  return (
    <div className="flex flex-col lg:h-[calc(100dvh-5rem)]">
      <PageHead
        title={t("review.title")}
        hint={t("review.sentence")}
        actions={
          <>
            {seen > 0 && total ? (
              <span className="mr-1 flex items-center gap-2 text-soft text-xs" title={t("review.agreementHint")}>
                <Ring share={seen / total} label={t("review.progress", { done: seen, total })} size={30} />
                <span className="tnum" data-testid="review-progress">
                  {t("review.progress", { done: formatNumber(seen), total: formatNumber(total) })}
                  <span className="block">
                    {t("review.agreement", { share: formatPercent(agreement.same / agreement.decided) })}
                  </span>
                </span>
              </span>
            ) : null}
            <IconButton
              label={t("review.help")}
              icon={<Keyboard aria-hidden className="size-4" />}
              onClick={() => setKeysShown(true)}
            />
            <BulkMenu filter={filter} total={total} onDone={() => void review.reload()} />
            <ExportMenu filter={filter} />
          </>
        }
      />
      <FilterBar url={url} setUrl={setUrl} />
      {answer.error && rows.length === 0 ? (
        <Trouble error={answer.error} onRetry={() => void answer.refetch()} />
      ) : answer.isPending ? (
        <SkeletonRows label={t("state.loading")} rows={8} />
      ) : !active ? (
        <div className="rounded-md border bg-panel">
          <Empty
            icon={<ClipboardCheck aria-hidden />}
            title={isNarrowed(url) ? t("table.noMatch") : t("review.emptyTitle")}
            action={
              <Link to="/tasks" className={buttonClass("primary")}>
                {t("review.emptyAction")}
              </Link>
            }
          >
            {isNarrowed(url) ? null : t("review.emptyBody")}
          </Empty>
        </div>
      ) : (
        <div className="grid min-h-0 flex-1 gap-3 lg:grid-cols-[20rem_minmax(0,1fr)]">
          <Queue
            rows={rows}
            total={total}
            activeId={active.id}
            picked={new Set(chosen.map((row) => row.id))}
            onOpen={open}
            hasMore={answer.hasNextPage}
            loadingMore={answer.isFetchingNextPage}
            onMore={() => void answer.fetchNextPage()}
          />
          <div className="flex min-h-0 min-w-0 flex-col gap-3">
            <div
              role="toolbar"
              aria-label={t("review.title")}
              className="flex flex-wrap items-center gap-2 max-lg:sticky max-lg:top-0 max-lg:z-10 max-lg:bg-ground max-lg:py-1"
            >
              <Button
                look="primary"
                icon={<Check aria-hidden className={ICON} />}
                hotkey="a"
                onClick={() => decide("accepted")}
                data-testid="review-accept"
              >
                {t("review.accept")}
              </Button>
              <Button
                icon={<X aria-hidden className={ICON} />}
                hotkey="x"
                onClick={() => decide("rejected")}
                data-testid="review-reject"
              >
                {t("review.reject")}
              </Button>
              <Button
                icon={<Pencil aria-hidden className={ICON} />}
                hotkey="e"
                onClick={() => setEditing(true)}
                data-testid="review-edit"
              >
                {t("review.edit")}
              </Button>
              <Button
                look="quiet"
                hotkey="c"
                icon={<CheckCheck aria-hidden className={ICON} />}
                onClick={() => void review.toggleConfirmed(chosen)}
                data-testid="review-confirm"
              >
                {active.is_confirmed ? t("review.unconfirm") : t("review.confirm")}
              </Button>
              <Button
                look="quiet"
                icon={<Undo2 aria-hidden className={ICON} />}
                hotkey="u"
                disabled={review.undoable === 0}
                onClick={() => void undo()}
                data-testid="review-undo"
              >
                {t("review.undo")}
              </Button>
              {chosen.length > 1 ? (
                <span className="tnum text-soft text-sm">{t("review.selected", { count: chosen.length })}</span>
              ) : null}
              <span className="ml-auto flex items-center gap-1">
                <Button
                  small
                  look="quiet"
                  hotkey="k"
                  onClick={() => goTo(at - 1)}
                  aria-label={t("review.previous")}
                  data-testid="review-previous"
                  icon={<ArrowUp aria-hidden className={ICON} />}
                />
                <Button
                  small
                  look="quiet"
                  hotkey="j"
                  onClick={() => goTo(at + 1)}
                  aria-label={t("review.next")}
                  data-testid="review-next"
                  icon={<ArrowDown aria-hidden className={ICON} />}
                />
              </span>
            </div>
            <section
              className="scroll-thin min-h-0 flex-1 lg:overflow-y-auto"
              aria-label={t("review.row", { id: active.id })}
              tabIndex={0}
            >
              <RowDetail
                row={active}
                editing={editing}
                onEditing={setEditing}
                onEdited={review.edited}
                onConflict={() => {
                  setEditing(false);
                  void review.reload();
                }}
              />
            </section>
          </div>
        </div>
      )}
      <KeysDialog open={keysShown} onOpenChange={setKeysShown} />
    </div>
  );
}

function BulkMenu({
  filter,
  total,
  onDone,
}: {
  filter: ReturnType<typeof toRowFilter>;
  total: number | null;
  onDone: () => void;
}) {
  const { t } = useTranslation();
  const confirm = useConfirm();
  const run = useWrite({
    run: (act: "accepted" | "rejected" | "confirm") =>
      act === "confirm" ? confirmRows({ filter }, true) : reviewRows({ filter }, act),
    done: (answer) => t("review.bulkDone", { count: answer.ok }),
    onDone,
  });
  const count = total ?? 0;
  const ask = async (act: "accepted" | "rejected" | "confirm", label: string) => {
    const yes = await confirm({
      title: t("review.bulkTitle", { act: label, count }),
      body: t("review.bulkBody"),
      act: label,
      danger: act === "rejected",
    });
    if (yes) run.mutate(act);
  };
  const narrowed = Object.keys(filter).length > 0;
  return (
    <Menu
      trigger={
        <Button
          busy={run.isPending}
          disabled={count === 0 || !narrowed}
          title={narrowed ? undefined : t("review.bulkNeedsFilter")}
          data-testid="review-bulk"
        >
          {t("review.matchAll", { count: formatNumber(count) })}
        </Button>
      }
    >
      <MenuItem
        icon={<CheckCheck aria-hidden className={ICON} />}
        onSelect={() => void ask("confirm", t("review.confirm"))}
        testId="bulk-confirm"
      >
        {t("review.bulkConfirm")}
      </MenuItem>
      <MenuItem
        icon={<Check aria-hidden className={ICON} />}
        onSelect={() => void ask("accepted", t("review.accept"))}
        testId="bulk-accept"
      >
        {t("review.bulkAccept")}
      </MenuItem>
      <MenuItem
        danger
        icon={<X aria-hidden className={ICON} />}
        onSelect={() => void ask("rejected", t("review.reject"))}
        testId="bulk-reject"
      >
        {t("review.bulkReject")}
      </MenuItem>
    </Menu>
  );
}
