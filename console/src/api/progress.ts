/**
 * A task's live progress over server-sent events.
 *
 * The browser reconnects and resends `Last-Event-ID` by itself after a dropped line. It gives up for good when the
 * server answers with an error (while it restarts, for one); then we open a new line after a pause.
 */
import type { TaskStatus } from "./tasks";

export interface ProgressSnapshot extends Partial<TaskStatus> {
  type: "progress";
  current: number;
  total: number;
  percent: number;
}

export interface RowEvent {
  type: "row";
  id: number;
  index: number;
  preview: unknown;
  model_score: number | null;
  rule_score: number | null;
  final_score: number | null;
  status: string;
}

export interface LogEvent {
  type: "log";
  message: string;
  code?: string | null;
}

export interface CompleteEvent {
  type: "complete";
  status: "finished" | "stopped" | "failed";
}

/** `seq` is the server's number for the event: a replay after a lost line brings the same numbers again. */
export type Numbered<E> = E & { seq: number };
export type ProgressEvent = ProgressSnapshot | RowEvent | LogEvent | CompleteEvent;
export type LineState = "connecting" | "live" | "lost" | "ended";

const KNOWN = new Set(["progress", "row", "log", "complete"]);
const RETRY_FIRST_MS = 1_000;
const RETRY_CAP_MS = 15_000;

/** One event, or null for what this console does not know (a newer server may say more). */
export function parseProgress(data: string): ProgressEvent | null {
  let value: unknown;
  try {
    value = JSON.parse(data);
  } catch {
    return null;
  }
  if (typeof value !== "object" || value === null || !("type" in value)) return null;
  if (!KNOWN.has(String(value.type))) return null;
  const event = value as ProgressEvent;
  // The wire says credits as decimal text.
  return event.type === "progress" ? { ...event, cost: Number(event.cost ?? 0) } : event;
}

/** Follow a task until it completes or the returned function is called. */
export function watchTask(
  taskId: string,
  hear: (event: Numbered<ProgressEvent>) => void,
  lineState: (state: LineState) => void,
): () => void {
  let source: EventSource | null = null;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let waitMs = RETRY_FIRST_MS;
  let ended = false;

  const open = () => {
    lineState("connecting");
    source = new EventSource(`/api/progress/${encodeURIComponent(taskId)}`, { withCredentials: true });
    source.onopen = () => {
      waitMs = RETRY_FIRST_MS;
      lineState("live");
    };
    source.onmessage = (message: MessageEvent<string>) => {
      const event = parseProgress(message.data);
      if (!event) return;
      hear({ ...event, seq: Number(message.lastEventId) || 0 });
      if (event.type === "complete") finish("ended");
    };
    source.onerror = () => {
      if (ended) return;
      lineState("lost");
      if (source?.readyState !== EventSource.CLOSED) return;
      timer = setTimeout(open, waitMs);
      waitMs = Math.min(waitMs * 2, RETRY_CAP_MS);
    };
  };
  const finish = (state: LineState) => {
    ended = true;
    clearTimeout(timer);
    source?.close();
    lineState(state);
  };
  open();
  return () => {
    if (!ended) finish("ended");
  };
}
