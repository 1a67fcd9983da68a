/** Jobs in lists, moved by their live events: what one says is written into what is shown, the rest is read again. */
import { type InfiniteData, type QueryClient, useQueryClient } from "@tanstack/react-query";
import { useEffect, useRef } from "react";
import type { Job } from "@/api/jobs";
import { isJobStatus } from "@/shared/job-state";
import { type LiveEvent, useLive } from "@/shared/live";

/** A list in step with live events is still read again now and then, in case one went by. */
export const SAFETY_MS = 10_000;
/** A thousand jobs a second end no more than this many readings of a list. */
const GATHERED_MS = 500;

type Pages = InfiniteData<{ items: Job[] }>;

/** What an event says of a job, as a list shows it; null where it says nothing that is shown. */
export function jobPatch(data: Record<string, unknown>): (Partial<Job> & { id: string }) | null {
  const { job_id, status, progress, error, attempt, started_at, finished_at } = data;
  if (typeof job_id !== "string" || typeof status !== "string" || !isJobStatus(status)) return null;
  const patch: Partial<Job> & { id: string } = { id: job_id, status };
  if (typeof progress === "object" && progress !== null) {
    const said = progress as { current: number; total: number; percent: number | null; message: string };
    patch.progress = { ...said, percent: said.percent ?? 0 };
  }
  if (error !== undefined) patch.error = error as Job["error"];
  if (typeof attempt === "number") patch.attempt = attempt;
  if (started_at !== undefined) patch.started_at = started_at as string | null;
  if (finished_at !== undefined) patch.finished_at = finished_at as string | null;
  return patch;
}

export function patchPages(pages: Pages | undefined, patch: Partial<Job> & { id: string }): Pages | undefined {
  if (!pages?.pages.some((page) => page.items.some((job) => job.id === patch.id))) return pages;
  return {
    ...pages,
    pages: pages.pages.map((page) => ({
      ...page,
      items: page.items.map((job) => (job.id === patch.id ? { ...job, ...patch } : job)),
    })),
  };
}

function apply(client: QueryClient, event: LiveEvent): void {
  const patch = jobPatch(event.data);
  if (patch) client.setQueriesData<Pages>({ queryKey: ["jobs", "list"] }, (pages) => patchPages(pages, patch));
}

/**
 * Keep every list of jobs in step; returns how often to ask beside that, given how often one asks without.
 *
 * The line tells of one's own jobs: a list of everybody's (`all`) is asked for as often as without it.
 */
export function useLiveJobs(all: boolean): (withoutMs: number) => number {
  const client = useQueryClient();
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  useEffect(() => () => clearTimeout(timer.current), []);
  const state = useLive(["jobs"], (event) => {
    apply(client, event);
    if (event.type === "job.progress" || timer.current !== undefined) return;
    timer.current = setTimeout(() => {
      timer.current = undefined;
      for (const queryKey of [["jobs", "list"], ["jobs", "one"], ["queues"]])
        void client.invalidateQueries({ queryKey });
    }, GATHERED_MS);
  });
  return (withoutMs) => (state === "live" && !all ? SAFETY_MS : withoutMs);
}
