/** Jobs, newest first, narrowed by filters. */
import { Link } from "@tanstack/react-router";
import { Layers } from "lucide-react";
import { useTranslation } from "react-i18next";
import { Trouble } from "@/shared/trouble";
import { Empty, SkeletonRows } from "@/ui/blocks";
import { Button, buttonClass } from "@/ui/button";
import { isNarrowed, type JobsUrl, NO_FILTERS } from "./filters";
import { type FilterProps, JobFilters } from "./job-filters";
import { JobGrid, ListFoot } from "./job-grid";
import { useJobList } from "./use-job-list";

export interface ListProps extends Omit<FilterProps, "setUrl" | "all"> {
  setUrl: (part: Partial<JobsUrl>) => void;
  onOpen: (id: string) => void;
}

export function JobList({ all, onOpen, ...filters }: ListProps & { all: boolean }) {
  const { t } = useTranslation();
  const { url, setUrl } = filters;
  const { query, jobs, still } = useJobList(all ? url : { ...url, tab: "jobs" }, all);
  return (
    <div className="min-w-0 rounded-md border bg-panel">
      <JobFilters {...filters} all={all} />
      {query.error && !jobs ? (
        <Trouble error={query.error} onRetry={() => void query.refetch()} />
      ) : !jobs ? (
        <SkeletonRows rows={8} label={t("state.loading")} />
      ) : jobs.length === 0 ? (
        isNarrowed(url) ? (
          <Empty
            title={t("table.noMatch")}
            action={<Button onClick={() => setUrl(NO_FILTERS)}>{t("table.clearFilters")}</Button>}
          />
        ) : (
          <Empty
            icon={<Layers aria-hidden />}
            title={t("jobs.list.emptyTitle")}
            action={
              <>
                <Link to="/tasks/new" className={buttonClass("primary")}>
                  {t("jobs.list.toTask")}
                </Link>
                <Link to="/schedules" className={buttonClass("plain")}>
                  {t("jobs.list.toSchedules")}
                </Link>
              </>
            }
          >
            {t("jobs.list.emptyBody")}
          </Empty>
        )
      ) : (
        <>
          <JobGrid
            jobs={jobs}
            users={all}
            hasMore={query.hasNextPage}
            loadMore={() => {
              if (!query.isFetching) void query.fetchNextPage();
            }}
            onOpen={(job) => onOpen(job.id)}
          />
          <ListFoot query={query} count={jobs.length} still={still} />
        </>
      )}
    </div>
  );
}
