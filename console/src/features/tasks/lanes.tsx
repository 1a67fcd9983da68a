/** One lane for each service: what it carries against what it may, how fast, how often it refused. */
import { useTranslation } from "react-i18next";
import type { TaskService } from "@/api/tasks";
import { formatMs, formatNumber } from "@/shared/format";
import { Meter } from "@/ui/progress";
import { StateBadge, type Tone } from "@/ui/state";

const BREAKER: Record<string, { tone: Tone; word: "closed" | "open" | "halfOpen" }> = {
  closed: { tone: "done", word: "closed" },
  open: { tone: "failed", word: "open" },
  half_open: { tone: "warn", word: "halfOpen" },
};

export function Lanes({ services }: { services: readonly TaskService[] }) {
  const { t } = useTranslation();
  if (services.length === 0) return <p className="px-3 py-4 text-faint text-sm">{t("tasks.noLanes")}</p>;
  return (
    <ul className="divide-y">
      {services.map((service) => {
        const breaker = BREAKER[service.breaker] ?? { tone: "idle", word: "closed" };
        return (
          <li
            key={`${service.channel}/${service.model}`}
            className="grid grid-cols-2 items-center gap-x-4 gap-y-1 px-3 py-2 text-sm md:grid-cols-[minmax(10rem,2fr)_minmax(9rem,2fr)_repeat(3,minmax(4.5rem,1fr))_6.5rem]"
            data-testid="lane"
          >
            <span className="col-span-2 min-w-0 md:col-span-1">
              <span className="block truncate font-medium">{service.channel}</span>
              <span className="block truncate text-faint text-xs">{service.model}</span>
            </span>
            <span className="col-span-2 flex items-center gap-2 md:col-span-1">
              <Meter
                value={service.in_flight}
                limit={service.limit}
                label={`${service.channel}: ${t("tasks.inFlight")}`}
              />
              <span className="tnum w-14 shrink-0 text-right text-soft text-xs" title={t("tasks.inFlight")}>
                {service.in_flight} / {service.limit}
              </span>
            </span>
            <Figure label={t("tasks.lane.done")} value={formatNumber(service.done)} />
            <Figure label={t("tasks.lane.errors")} value={formatNumber(service.errors)} loud={service.errors > 0} />
            <Figure label={t("tasks.lane.p95")} value={formatMs(service.p95_ms)} />
            <span className="md:justify-self-end">
              <StateBadge tone={breaker.tone}>{t(`tasks.lane.breaker.${breaker.word}`)}</StateBadge>
            </span>
          </li>
        );
      })}
    </ul>
  );
}

function Figure({ label, value, loud }: { label: string; value: string; loud?: boolean }) {
  return (
    <span className="tnum whitespace-nowrap md:text-right">
      <span className="text-faint text-xs">{label} </span>
      <span className={loud ? "text-failed" : undefined}>{value}</span>
    </span>
  );
}
