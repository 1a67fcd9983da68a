/** The processes that run jobs: alive or not, how full, and how they are joined to what carries tickets. */
import { useQuery } from "@tanstack/react-query";
import { ServerCog } from "lucide-react";
import { useTranslation } from "react-i18next";
import { type Worker, workersQuery } from "@/api/queues";
import { formatNumber, formatRelative } from "@/shared/format";
import { JobLink } from "@/shared/job-state";
import { Time } from "@/shared/time";
import { Trouble } from "@/shared/trouble";
import { Empty, Panel, SkeletonRows } from "@/ui/blocks";
import { Meter } from "@/ui/progress";
import { StateBadge, Tag, type Tone } from "@/ui/state";
import { REFRESH_MS } from "./refresh";

const JOBS_SHOWN = 12;
const TRANSPORT_TONES: Record<string, Tone> = { up: "done", connecting: "warn", down: "failed" };

export function Workers() {
  const { t } = useTranslation();
  const { data, error, refetch } = useQuery({ ...workersQuery, refetchInterval: REFRESH_MS });
  return (
    <Panel title={t("jobs.workers.title")} flush testId="workers">
      {error && !data ? (
        <Trouble error={error} onRetry={() => void refetch()} />
      ) : !data ? (
        <SkeletonRows rows={2} label={t("state.loading")} />
      ) : data.length === 0 ? (
        <Empty icon={<ServerCog aria-hidden />} title={t("jobs.workers.emptyTitle")}>
          {t("jobs.workers.emptyBody")}
        </Empty>
      ) : (
        <ul className="divide-y">
          {data.map((worker) => (
            <WorkerItem key={worker.id} worker={worker} />
          ))}
        </ul>
      )}
    </Panel>
  );
}

function WorkerItem({ worker }: { worker: Worker }) {
  const { t } = useTranslation();
  const jobs = worker.jobs ?? [];
  const shown = jobs.slice(0, JOBS_SHOWN);
  return (
    <li className="grid gap-x-6 gap-y-3 p-3 md:grid-cols-[minmax(12rem,1.2fr)_minmax(9rem,1fr)_minmax(12rem,1.4fr)]">
      <div className="min-w-0">
        <p className="flex flex-wrap items-center gap-2">
          <span className="truncate font-medium" title={worker.id}>
            {worker.host}
          </span>
          <span className="tnum font-mono text-soft text-xs">pid {worker.pid}</span>
          <Standing worker={worker} />
        </p>
        <p className="mt-1 flex flex-wrap gap-1">
          {worker.roles.map((role) => (
            <Tag key={role}>{role}</Tag>
          ))}
        </p>
        <p className="mt-1 text-faint text-xs">
          {worker.version} · {t("jobs.workers.started", { when: formatRelative(worker.started_at) })}
        </p>
      </div>
      <div className="min-w-0">
        <p className="flex items-baseline justify-between gap-2 text-xs">
          <span className="text-faint">{t("jobs.workers.load")}</span>
          <span className="tnum">
            {formatNumber(worker.running)} / {formatNumber(worker.capacity)}
          </span>
        </p>
        <div className="mt-1">
          <Meter
            value={worker.running}
            limit={worker.capacity}
            label={`${worker.host} ${worker.pid}: ${t("jobs.workers.load")}`}
            tone={worker.running >= worker.capacity ? "warn" : "running"}
          />
        </div>
        <p className="mt-2 flex items-baseline justify-between gap-2 text-xs">
          <span className="text-faint">{t("jobs.workers.heartbeat")}</span>
          <span className="tnum">
            {t("jobs.workers.ago", { seconds: formatNumber(Math.round(worker.heartbeat_age_s)) })}
          </span>
        </p>
      </div>
      <Transport worker={worker} />
      {shown.length > 0 ? (
        <div className="flex min-w-0 flex-wrap items-center gap-x-3 gap-y-1 text-xs md:col-span-3">
          <span className="text-faint">{t("jobs.workers.jobs")}</span>
          {shown.map((job) => (
            <span key={job.id} className="inline-flex items-center gap-1">
              <span className="font-mono text-soft">{job.type}</span>
              <JobLink id={job.id} />
              <span className="text-faint">
                <Time at={job.started_at} />
              </span>
            </span>
          ))}
          {jobs.length > shown.length ? (
            <span className="text-faint">{t("jobs.workers.more", { count: jobs.length - shown.length })}</span>
          ) : null}
        </div>
      ) : null}
    </li>
  );
}

function Standing({ worker }: { worker: Worker }) {
  const { t } = useTranslation();
  if (!worker.alive)
    return (
      <StateBadge tone="failed" title={t("jobs.workers.silentHint")}>
        {t("jobs.workers.silent")}
      </StateBadge>
    );
  if (worker.draining)
    return (
      <StateBadge tone="warn" title={t("jobs.workers.drainingHint")}>
        {t("jobs.workers.draining")}
      </StateBadge>
    );
  return <StateBadge tone="done">{t("jobs.workers.alive")}</StateBadge>;
}

function Transport({ worker }: { worker: Worker }) {
  const { t } = useTranslation();
  const { transport } = worker;
  if (!transport) return <div className="text-faint text-xs">{t("jobs.workers.transport")}: –</div>;
  const { state } = transport;
  const word =
    state === "up" || state === "connecting" || state === "down" ? t(`jobs.workers.transportStates.${state}`) : state;
  return (
    <div className="min-w-0 text-xs">
      <p className="flex flex-wrap items-center gap-2">
        <span className="text-faint">{t("jobs.workers.transport")}</span>
        <span className="font-medium">{transport.name}</span>
        <StateBadge tone={TRANSPORT_TONES[state] ?? "idle"}>{word}</StateBadge>
        <span className="text-faint">
          {t("jobs.workers.since", { when: formatRelative(transport.since) })}
          {transport.reconnects ? ` · ${t("jobs.workers.reconnects", { count: transport.reconnects })}` : null}
        </span>
      </p>
      <p className="tnum mt-1 text-soft">
        {t("jobs.workers.counts", {
          published: formatNumber(transport.published),
          delivered: formatNumber(transport.delivered),
          redelivered: formatNumber(transport.redelivered),
          refused: formatNumber(transport.refused),
          nacked: formatNumber(transport.nacked),
        })}
      </p>
      {transport.error ? <p className="mt-1 break-words font-mono text-failed">{transport.error}</p> : null}
    </div>
  );
}
