/** What the live events add up to. Pure, so that a replay after a lost line gives the same picture. */
import type { LineState, Numbered, ProgressEvent, RowEvent } from "@/api/progress";
import type { TaskStatus } from "@/api/tasks";

export const ROWS_KEPT = 200;
export const LOG_KEPT = 1_000;

export interface LogLine {
  id: number;
  message: string;
  code: string | null;
}

export interface Live {
  line: LineState;
  /** Figures newer than the last status answer. */
  figures: Partial<TaskStatus>;
  /** Newest first, each row once. */
  rows: RowEvent[];
  log: LogLine[];
  complete: string | null;
}

export const NOTHING_YET: Live = { line: "connecting", figures: {}, rows: [], log: [], complete: null };

export type LiveAction =
  | { type: "line"; state: LineState }
  | { type: "events"; events: Numbered<ProgressEvent>[] }
  | { type: "again" };

export function reduceLive(before: Live, action: LiveAction): Live {
  switch (action.type) {
    case "line":
      return { ...before, line: action.state };
    case "again":
      return { ...before, complete: null, line: "connecting" };
    case "events":
      return action.events.reduce(take, before);
  }
}

function take(before: Live, event: Numbered<ProgressEvent>): Live {
  switch (event.type) {
    case "progress": {
      const { type: _type, seq: _seq, ...figures } = event;
      return { ...before, figures: { ...before.figures, ...figures } };
    }
    case "row":
      // A replay brings rows again; the newest telling of a row stands where it stood.
      return before.rows.some((row) => row.id === event.id)
        ? { ...before, rows: before.rows.map((row) => (row.id === event.id ? event : row)) }
        : { ...before, rows: [event, ...before.rows].slice(0, ROWS_KEPT) };
    case "log":
      return before.log.some((line) => line.id === event.seq)
        ? before
        : {
            ...before,
            log: [...before.log, { id: event.seq, message: event.message, code: event.code ?? null }].slice(-LOG_KEPT),
          };
    case "complete":
      return { ...before, complete: event.status, figures: { ...before.figures, status: event.status } };
  }
}
