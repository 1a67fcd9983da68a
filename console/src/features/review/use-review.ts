/**
 * The workbench's rows and what is done to them.
 *
 * A decision is shown at once and taken back if the server refuses. A row that no longer matches the filters stays
 * where it is until the filters are applied anew, so nothing jumps under the reader's eyes.
 */
import { type InfiniteData, useInfiniteQuery, useQueryClient } from "@tanstack/react-query";
import { useMemo, useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import type { Page } from "@/api/pages";
import {
  confirmRows,
  type GeneratedRow,
  type RowFilter,
  reviewRows,
  rowsUnderReviewQuery,
  updateRow,
} from "@/api/review";
import { notify } from "@/shared/notify";
import {
  countAgreement,
  judged,
  type RowState,
  type Step,
  stateOf,
  undoVerdict,
  type Verdict,
  withStates,
} from "./decisions";

type Pages = InfiniteData<Page<GeneratedRow>, string | null>;

export function useReview(filter: RowFilter, sort: string) {
  const { t } = useTranslation();
  const client = useQueryClient();
  const query = rowsUnderReviewQuery(filter, sort);
  const answer = useInfiniteQuery(query);
  const rows = useMemo(() => answer.data?.pages.flatMap((page) => page.items) ?? [], [answer.data]);
  const steps = useRef<Step[]>([]);
  const [undoable, setUndoable] = useState(0);
  const [decisions, setDecisions] = useState<ReadonlyMap<number, { judge: Verdict; human: Verdict }>>(new Map());

  const write = (change: (items: GeneratedRow[]) => GeneratedRow[]) => {
    client.setQueryData<Pages>(query.queryKey, (data) =>
      data ? { ...data, pages: data.pages.map((page) => ({ ...page, items: change(page.items) })) } : data,
    );
  };
  const replace = (row: GeneratedRow) => write((items) => items.map((item) => (item.id === row.id ? row : item)));
  const show = (states: ReadonlyMap<number, RowState>) => write((items) => withStates(items, states));
  const remember = (step: Step) => {
    steps.current.push(step);
    setUndoable(steps.current.length);
  };

  const decide = async (chosen: readonly GeneratedRow[], verdict: Verdict) => {
    if (chosen.length === 0) return;
    const after: RowState = { status: verdict, is_confirmed: verdict === "accepted" };
    const before = chosen.map((row) => ({ id: row.id, state: stateOf(row) }));
    const ids = chosen.map((row) => row.id);
    show(new Map(ids.map((id) => [id, after])));
    setDecisions((known) => {
      const next = new Map(known);
      for (const row of chosen)
        next.set(row.id, { judge: known.get(row.id)?.judge ?? judged(row.status), human: verdict });
      return next;
    });
    try {
      await reviewRows({ ids }, verdict);
      if (verdict === "accepted") await confirmRows({ ids }, true);
      remember({ kind: "state", before, after });
    } catch (error) {
      show(new Map(before.map(({ id, state }) => [id, state])));
      notify.failed(error);
    }
  };

  const toggleConfirmed = async (chosen: readonly GeneratedRow[]) => {
    const first = chosen[0];
    if (!first) return;
    const isConfirmed = !first.is_confirmed;
    const before = chosen.map((row) => ({ id: row.id, state: stateOf(row) }));
    show(new Map(before.map(({ id, state }) => [id, { ...state, is_confirmed: isConfirmed }])));
    try {
      await confirmRows({ ids: chosen.map((row) => row.id) }, isConfirmed);
      remember({ kind: "state", before, after: { status: first.status, is_confirmed: isConfirmed } });
    } catch (error) {
      show(new Map(before.map(({ id, state }) => [id, state])));
      notify.failed(error);
    }
  };

  const undoEdit = async (id: number, content: string) => {
    const row = rows.find((candidate) => candidate.id === id);
    if (!row) return;
    try {
      const answer = await updateRow(id, content, row.row_version);
      const restored = answer.items.find((item) => item.id === id);
      if (restored) replace(restored);
      notify.done(t("review.undone"));
    } catch (error) {
      notify.failed(error);
    }
  };

  /** Take the last step back; answers with the rows it concerned. */
  const undo = async (): Promise<number[]> => {
    const step = steps.current.pop();
    setUndoable(steps.current.length);
    if (!step) {
      notify.done(t("review.nothingToUndo"));
      return [];
    }
    if (step.kind === "edit") {
      await undoEdit(step.id, step.content);
      return [step.id];
    }
    const ids = step.before.map(({ id }) => id);
    const states = new Map<number, RowState>();
    let inexact: Verdict | null = null;
    try {
      for (const { id, state } of step.before) {
        const { verdict, exact } =
          state.status === step.after.status ? { verdict: null, exact: true } : undoVerdict(state, step.after.status);
        if (verdict) await reviewRows({ ids: [id] }, verdict);
        if (verdict !== "rejected" || state.is_confirmed) await confirmRows({ ids: [id] }, state.is_confirmed);
        if (!exact) inexact = verdict;
        states.set(id, verdict ? { status: verdict, is_confirmed: state.is_confirmed } : state);
      }
      notify.done(
        inexact === "rejected"
          ? t("review.undoneAsRejected")
          : inexact === "accepted"
            ? t("review.undoneAsAccepted")
            : t("review.undone"),
      );
    } catch (error) {
      notify.failed(error);
    }
    show(states);
    setDecisions((known) => {
      const next = new Map(known);
      for (const id of ids) next.delete(id);
      return next;
    });
    return ids;
  };

  const edited = (before: GeneratedRow, after: GeneratedRow) => {
    replace(after);
    remember({ kind: "edit", id: before.id, content: before.data_content });
  };

  return {
    answer,
    rows,
    total: answer.data?.pages[0]?.total ?? null,
    decide,
    toggleConfirmed,
    undo,
    undoable,
    edited,
    agreement: countAgreement(decisions),
    decided: decisions,
    reload: () => client.resetQueries({ queryKey: query.queryKey }),
  };
}
