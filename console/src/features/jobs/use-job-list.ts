/** A list of jobs that follows the address and what happens. */
import { useInfiniteQuery } from "@tanstack/react-query";
import { useMemo, useState } from "react";
import { jobsQuery, REFRESHED_PAGES } from "@/api/jobs";
import { type JobsUrl, listFilter, type Span } from "./filters";
import { useLiveJobs } from "./live-jobs";
import { REFRESH_MS } from "./refresh";

/** The moment from which a span is counted back: when it was chosen, so that the list does not begin anew by itself. */
export function useChosenAt(span: Span | undefined): number {
  const [chosen, setChosen] = useState(() => ({ span, atMs: Date.now() }));
  if (chosen.span === span) return chosen.atMs;
  const now = { span, atMs: Date.now() };
  setChosen(now);
  return now.atMs;
}

export function useJobList(url: JobsUrl, all: boolean) {
  const filter = listFilter(url, useChosenAt(url.span));
  const every = useLiveJobs(all);
  const query = useInfiniteQuery({
    ...jobsQuery(filter, all),
    refetchInterval: (running) =>
      (running.state.data?.pages.length ?? 0) > REFRESHED_PAGES ? false : every(REFRESH_MS),
  });
  const { data } = query;
  const jobs = useMemo(() => data?.pages.flatMap((page) => page.items), [data]);
  const still = (data?.pages.length ?? 0) > REFRESHED_PAGES;
  return { query, jobs, still };
}
