/** Jobs: queues and workers, every job, and the dead letters for administrators; one's own jobs for everybody else. */
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { queuesQuery } from "@/api/queues";
import { formatNumber } from "@/shared/format";
import { useMe } from "@/shared/me";
import { PageHead } from "@/shared/page-head";
import { useUrlState } from "@/shared/url-state";
import { cx } from "@/ui/cx";
import { DeadLetters } from "./dead-letters";
import { parseJobsUrl, TABS, type Tab } from "./filters";
import { JobList } from "./job-list";
import { JobSheet } from "./job-sheet";
import { Overview } from "./overview";
import { REFRESH_MS } from "./refresh";

export function JobsPage() {
  const { t } = useTranslation();
  const me = useMe();
  const [url, setUrl] = useUrlState(parseJobsUrl);
  const queues = useQuery({ ...queuesQuery, enabled: me.is_admin, refetchInterval: REFRESH_MS });
  const lost = queues.data?.reduce((sum, queue) => sum + queue.dead + queue.failed, 0);
  const types = [...new Set(queues.data?.flatMap((queue) => queue.types))].sort();
  const names = queues.data?.map((queue) => queue.name) ?? [];
  const open = (job: string | undefined) => setUrl({ job }, { push: job !== undefined });
  const list = { url, setUrl, types, queues: names, onOpen: open };
  return (
    <>
      <PageHead
        title={me.is_admin ? t("jobs.title") : t("jobs.myTitle")}
        hint={me.is_admin ? t("jobs.sentence") : t("jobs.mySentence")}
      />
      {me.is_admin ? (
        <>
          <Tabs now={url.tab} lost={lost} />
          {url.tab === "overview" ? <Overview queues={queues} /> : null}
          {url.tab === "jobs" ? <JobList key="jobs" {...list} all /> : null}
          {url.tab === "dead" ? <DeadLetters {...list} /> : null}
        </>
      ) : (
        <JobList {...list} all={false} />
      )}
      {url.job ? <JobSheet key={url.job} id={url.job} all={me.is_admin} onClose={() => open(undefined)} /> : null}
    </>
  );
}

function Tabs({ now, lost }: { now: Tab; lost: number | undefined }) {
  const { t } = useTranslation();
  return (
    <nav aria-label={t("jobs.tabs.label")} className="scroll-thin mb-3 flex gap-1 overflow-x-auto border-b">
      {TABS.map((tab) => (
        <Link
          key={tab}
          to="/jobs"
          search={tab === "overview" ? {} : { tab }}
          aria-current={tab === now ? "page" : undefined}
          data-testid={`jobs-tab-${tab}`}
          className={cx(
            "-mb-px flex h-9 shrink-0 items-center gap-1.5 rounded-t-sm border-b-2 px-3 text-sm -outline-offset-2 pointer-coarse:h-11",
            tab === now ? "border-accent font-medium text-text" : "border-transparent text-soft hover:text-text",
          )}
        >
          {t(`jobs.tabs.${tab}`)}
          {tab === "dead" && lost ? (
            <span className="tnum rounded-sm bg-failed-soft px-1.5 text-failed text-xs">{formatNumber(lost)}</span>
          ) : null}
        </Link>
      ))}
    </nav>
  );
}
