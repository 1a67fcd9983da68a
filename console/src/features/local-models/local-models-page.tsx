/** Models on the server's own machine: what each file is, what it does, and its switch. */
import { useQuery } from "@tanstack/react-query";
import { Cpu, Play, ScrollText, Square } from "lucide-react";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { type LocalModel, localModelsQuery, startLocalModel, stopLocalModel } from "@/api/local-models";
import { CopyButton } from "@/shared/copy";
import { formatBytes, formatCompact, formatNumber } from "@/shared/format";
import { useMe } from "@/shared/me";
import { useWrite } from "@/shared/mutation";
import { PageHead } from "@/shared/page-head";
import { Trouble } from "@/shared/trouble";
import { Empty, Facts, Panel, SkeletonRows } from "@/ui/blocks";
import { Button } from "@/ui/button";
import { StateBadge, Tag, type Tone } from "@/ui/state";
import { LogSheet } from "./log-sheet";

const TONES: Record<LocalModel["status"], Tone> = {
  available: "idle",
  starting: "running",
  running: "done",
  stopping: "running",
  failed: "failed",
};
/** While a model changes state it is looked at often, otherwise now and then (a new file may have appeared). */
const CHANGING_MS = 1_000;
const STEADY_MS = 5_000;
const FETCH_DEMO = "tidemill models fetch-demo";

export const isChanging = (model: LocalModel) => model.status === "starting" || model.status === "stopping";

export function LocalModelsPage() {
  const { t } = useTranslation();
  const me = useMe();
  const [logOf, setLogOf] = useState<string | null>(null);
  const { data, error, refetch } = useQuery({
    ...localModelsQuery,
    refetchInterval: (query) => (query.state.data?.some(isChanging) ? CHANGING_MS : STEADY_MS),
  });
  return (
    <>
      <PageHead
        title={t("localModels.title")}
        hint={me.is_admin ? t("localModels.sentence") : t("localModels.adminOnly")}
      />
      {error && !data ? (
        <Trouble error={error} onRetry={() => void refetch()} />
      ) : !data ? (
        <SkeletonRows label={t("state.loading")} />
      ) : data.length === 0 ? (
        <Panel>
          <Empty icon={<Cpu aria-hidden />} title={t("localModels.emptyTitle")}>
            {t("localModels.emptyBody")}
            <span className="mt-2 inline-flex items-center gap-1 rounded-md bg-sunken px-2 py-0.5 font-mono text-xs">
              {FETCH_DEMO}
              <CopyButton text={FETCH_DEMO} label={t("act.copy")} />
            </span>
          </Empty>
        </Panel>
      ) : (
        <ul className="flex flex-col gap-3">
          {data.map((model) => (
            <li key={model.name}>
              <ModelCard model={model} mayRun={me.is_admin} onLog={() => setLogOf(model.name)} />
            </li>
          ))}
        </ul>
      )}
      <LogSheet name={logOf} onClose={() => setLogOf(null)} />
    </>
  );
}

function ModelCard({ model, mayRun, onLog }: { model: LocalModel; mayRun: boolean; onLog: () => void }) {
  const { t } = useTranslation();
  const refresh = [["local-models"], ["models"], ["channels"]];
  const name = model.name;
  const start = useWrite({ run: () => startLocalModel(name), refresh });
  const stop = useWrite({ run: () => stopLocalModel(name), refresh });
  const on = model.status === "running" || model.status === "starting";
  return (
    <section
      aria-label={name}
      className="rounded-md border bg-panel"
      data-testid="local-model"
      data-name={name}
      data-status={model.status}
    >
      <header className="flex flex-wrap items-center gap-x-3 gap-y-2 border-b px-3 py-2">
        <div className="min-w-0 flex-1 basis-60">
          <h2 className="flex flex-wrap items-center gap-2">
            <span className="font-mono font-semibold text-sm">{name}</span>
            <StateBadge tone={TONES[model.status]} testId="model-status">
              {t(`localModels.status.${model.status}`)}
            </StateBadge>
            {model.embeddings ? <Tag>{t("localModels.embeddings")}</Tag> : null}
          </h2>
          <p className="text-soft text-xs">{model.detail || model.description}</p>
        </div>
        {mayRun ? (
          <div className="flex items-center gap-2">
            <Button
              small
              look="quiet"
              icon={<ScrollText aria-hidden className="size-3.5" />}
              onClick={onLog}
              data-testid="model-log"
            >
              {t("localModels.log")}
            </Button>
            {on || model.status === "stopping" ? (
              <Button
                icon={<Square aria-hidden className="size-3.5" />}
                busy={stop.isPending || model.status === "stopping"}
                onClick={() => stop.mutate()}
                data-testid="model-stop"
              >
                {t("localModels.stop")}
              </Button>
            ) : (
              <Button
                look="primary"
                icon={<Play aria-hidden className="size-3.5" />}
                busy={start.isPending}
                onClick={() => start.mutate()}
                data-testid="model-start"
              >
                {t("localModels.start")}
              </Button>
            )}
          </div>
        ) : null}
      </header>
      <div className="p-3">
        <Facts
          items={[
            { label: t("localModels.architecture"), value: model.architecture },
            { label: t("localModels.quantization"), value: model.quantization },
            { label: t("localModels.parameters"), value: formatCompact(model.parameters) },
            { label: t("localModels.size"), value: formatBytes(model.size_bytes) },
            {
              label: t("localModels.context"),
              value: t("localModels.contextOf", {
                used: formatNumber(model.context),
                trained: formatNumber(model.context_trained),
              }),
            },
            { label: t("localModels.slots"), value: formatNumber(model.slots) },
            {
              label: t("localModels.memory"),
              value: model.rss_bytes
                ? formatBytes(model.rss_bytes)
                : t("localModels.memoryEstimate", { size: formatBytes(model.memory_estimate_bytes) }),
            },
            {
              label: t("localModels.inFlight"),
              value: (
                <>
                  {formatNumber(model.in_flight)} / {formatNumber(model.slots)}
                  {model.queued > 0 ? (
                    <span className="text-warn"> · {t("localModels.queued", { count: model.queued })}</span>
                  ) : null}
                </>
              ),
            },
            ...(model.port ? [{ label: t("localModels.port"), value: String(model.port) }] : []),
          ]}
        />
        {on ? (
          <p className="mt-2 text-faint text-xs">
            {model.pinned ? t("localModels.pinned") : t("localModels.onDemand")}
          </p>
        ) : null}
        {model.error ? (
          <details className="mt-3 rounded-md bg-failed-soft text-failed" open={model.status === "failed"}>
            <summary className="px-2.5 py-1.5 font-medium text-sm">{t("localModels.errorTitle")}</summary>
            <pre className="scroll-thin overflow-x-auto whitespace-pre-wrap px-2.5 pb-2 font-mono text-xs leading-relaxed">
              {model.error}
            </pre>
          </details>
        ) : null}
      </div>
    </section>
  );
}
