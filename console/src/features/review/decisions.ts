/** Decisions on rows, how they are taken back, and how far they agree with the automatic score. Pure. */
import type { GeneratedRow, RowStatus } from "@/api/review";

export interface RowState {
  status: RowStatus;
  is_confirmed: boolean;
}

export type Step =
  /** Rows were decided on; `before` is what each was. */
  | { kind: "state"; before: { id: number; state: RowState }[]; after: RowState }
  /** A row was edited; `content` is what it said before. */
  | { kind: "edit"; id: number; content: string };

export const stateOf = (row: GeneratedRow): RowState => ({ status: row.status, is_confirmed: row.is_confirmed });

/** Write `states` into rows, leaving all others as the very same objects. */
export function withStates(rows: readonly GeneratedRow[], states: ReadonlyMap<number, RowState>): GeneratedRow[] {
  return rows.map((row) => {
    const state = states.get(row.id);
    return state ? { ...row, ...state } : row;
  });
}

export type Verdict = "accepted" | "rejected";

/** The word that takes a row back to `state`. Only verdicts can be set by hand; for the rest it is the other one. */
export function undoVerdict(state: RowState, decided: RowStatus): { verdict: Verdict; exact: boolean } {
  if (state.status === "accepted" || state.status === "rejected") return { verdict: state.status, exact: true };
  return { verdict: decided === "accepted" ? "rejected" : "accepted", exact: false };
}

export interface Agreement {
  decided: number;
  same: number;
}

/** The automatic verdict on a row: accepted, or anything else. */
export const judged = (status: RowStatus): Verdict => (status === "accepted" ? "accepted" : "rejected");

export function countAgreement(decisions: ReadonlyMap<number, { judge: Verdict; human: Verdict }>): Agreement {
  let same = 0;
  for (const { judge, human } of decisions.values()) if (judge === human) same += 1;
  return { decided: decisions.size, same };
}
