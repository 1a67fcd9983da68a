/** A task as it is now: the status answer, kept fresh by its live events. */
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect, useReducer } from "react";
import { type Numbered, type ProgressEvent, watchTask } from "@/api/progress";
import { type TaskStatus, taskQuery } from "@/api/tasks";
import { isLive } from "@/shared/task-state";
import { NOTHING_YET, reduceLive } from "./task-progress";

/** The stream tells all; the answer is asked for beside it in case a proxy holds the stream back. */
const STATUS_EVERY_MS = 5_000;

export function useLiveTask(taskId: string) {
  const client = useQueryClient();
  const [live, dispatch] = useReducer(reduceLive, NOTHING_YET);
  const status = useQuery({
    ...taskQuery(taskId),
    refetchInterval: (query) => (query.state.data && isLive(query.state.data.status) ? STATUS_EVERY_MS : false),
  });
  const running = status.data ? isLive(status.data.status) : undefined;
  const known = status.data !== undefined;

  // `running` is in the list on purpose: after a resume the stream is opened anew.
  // biome-ignore lint/correctness/useExhaustiveDependencies: see above
  useEffect(() => {
    if (!known) return;
    // Events are handed on once a frame, so that a fast task does not draw the page for every row.
    let waiting: Numbered<ProgressEvent>[] = [];
    let frame = 0;
    const flush = () => {
      frame = 0;
      const events = waiting;
      waiting = [];
      dispatch({ type: "events", events });
    };
    dispatch({ type: "again" });
    const stopWatching = watchTask(
      taskId,
      (event) => {
        waiting.push(event);
        if (frame === 0) frame = requestAnimationFrame(flush);
        if (event.type === "complete") void client.invalidateQueries({ queryKey: ["tasks"] });
      },
      (state) => dispatch({ type: "line", state }),
    );
    return () => {
      stopWatching();
      cancelAnimationFrame(frame);
    };
  }, [client, taskId, known, running]);

  return { status, live, task: status.data ? merge(status.data, live.figures, live.complete) : undefined };
}

/** Whichever of the two has come further tells the counts. */
export function merge(answer: TaskStatus, figures: Partial<TaskStatus>, complete: string | null): TaskStatus {
  const streamIsAhead = (figures.current ?? -1) >= answer.current;
  if (!streamIsAhead || !isLive(answer.status)) return answer;
  const known = Object.fromEntries(
    Object.entries(figures).filter(([, value]) => value !== undefined && value !== null),
  );
  return { ...answer, ...known, status: complete ?? answer.status };
}
