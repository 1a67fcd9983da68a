/** The end of a model's log, beside the page. */
import { useQuery } from "@tanstack/react-query";
import { useLayoutEffect, useRef } from "react";
import { useTranslation } from "react-i18next";
import { localLogsQuery } from "@/api/local-models";
import { Trouble } from "@/shared/trouble";
import { SkeletonRows } from "@/ui/blocks";
import { Dialog } from "@/ui/dialog";

const REFRESH_MS = 2_000;

export function LogSheet({ name, onClose }: { name: string | null; onClose: () => void }) {
  const { t } = useTranslation();
  return (
    <Dialog
      open={name !== null}
      onOpenChange={(open) => {
        if (!open) onClose();
      }}
      place="side"
      wide
      title={t("localModels.logTitle", { name: name ?? "" })}
      description={t("localModels.logBody")}
      closeLabel={t("act.close")}
      testId="model-log-sheet"
    >
      {name ? <Tail name={name} /> : null}
    </Dialog>
  );
}

function Tail({ name }: { name: string }) {
  const { t } = useTranslation();
  const end = useRef<HTMLDivElement>(null);
  const { data, error, refetch } = useQuery({ ...localLogsQuery(name), refetchInterval: REFRESH_MS });
  const count = data?.length ?? 0;
  // biome-ignore lint/correctness/useExhaustiveDependencies: follows the newest line
  useLayoutEffect(() => {
    end.current?.scrollIntoView({ block: "end" });
  }, [count]);
  if (error && !data) return <Trouble error={error} onRetry={() => void refetch()} />;
  if (!data) return <SkeletonRows label={t("state.loading")} />;
  if (data.length === 0) return <p className="text-faint text-sm">{t("localModels.logEmpty")}</p>;
  return (
    <div role="log" aria-label={t("localModels.log")}>
      <pre className="whitespace-pre-wrap font-mono text-xs leading-relaxed">{data.join("\n")}</pre>
      <div ref={end} />
    </div>
  );
}
