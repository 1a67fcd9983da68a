/** Queues and the processes that work them off, with figures that follow what happens. */
import type { UseQueryResult } from "@tanstack/react-query";
import { Layers } from "lucide-react";
import { useEffect, useState } from "react";
import { useTranslation } from "react-i18next";
import type { Queue } from "@/api/queues";
import { Trouble } from "@/shared/trouble";
import { Empty, Panel, SkeletonRows } from "@/ui/blocks";
import { QueueBounds } from "./queue-bounds";
import { QueueCard } from "./queue-card";
import { addRates, NO_RATES, type Rates } from "./rates";
import { Workers } from "./workers";

/** The answers so far, added up for the curves. They live as long as the page. */
function useRates(queues: UseQueryResult<Queue[]>): Rates {
  const [rates, setRates] = useState(NO_RATES);
  const { data, dataUpdatedAt } = queues;
  // biome-ignore lint/correctness/useExhaustiveDependencies: an answer counts also when it says the same again
  useEffect(() => {
    if (data) setRates((before) => addRates(before, data));
  }, [data, dataUpdatedAt]);
  return rates;
}

export function Overview({ queues }: { queues: UseQueryResult<Queue[]> }) {
  const { t } = useTranslation();
  const rates = useRates(queues);
  const [edited, setEdited] = useState<string | null>(null);
  const { data, error, refetch } = queues;
  const queue = data?.find((one) => one.name === edited);
  return (
    <div className="flex flex-col gap-3">
      {error && !data ? (
        <Trouble error={error} onRetry={() => void refetch()} />
      ) : !data ? (
        <Panel flush>
          <SkeletonRows rows={5} label={t("state.loading")} />
        </Panel>
      ) : data.length === 0 ? (
        <Panel>
          <Empty icon={<Layers aria-hidden />} title={t("jobs.queues.emptyTitle")}>
            {t("jobs.queues.emptyBody")}
          </Empty>
        </Panel>
      ) : (
        <section aria-label={t("jobs.queues.title")} className="flex flex-col gap-3">
          {data.map((one) => (
            <QueueCard
              key={one.name}
              queue={one}
              rates={rates.get(one.name) ?? []}
              onEdit={() => setEdited(one.name)}
            />
          ))}
        </section>
      )}
      <Workers />
      {queue ? <QueueBounds key={queue.name} queue={queue} onClose={() => setEdited(null)} /> : null}
    </div>
  );
}
