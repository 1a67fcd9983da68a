/** The first minutes: a model, a key, samples; each done right here. */
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { Check, KeyRound, Play, Plus } from "lucide-react";
import { type ReactNode, useState } from "react";
import { useTranslation } from "react-i18next";
import { type CreatedKey, keysQuery } from "@/api/keys";
import { type LocalModel, startLocalModel } from "@/api/local-models";
import { CreateKeyDialog } from "@/shared/keys/create-key-dialog";
import { SecretDialog } from "@/shared/keys/secret-dialog";
import { useMe } from "@/shared/me";
import { useWrite } from "@/shared/mutation";
import { DropZone, UploadList } from "@/shared/upload/drop-zone";
import { useUploads } from "@/shared/upload/use-uploads";
import { Button, buttonClass } from "@/ui/button";
import { cx } from "@/ui/cx";
import { StateBadge } from "@/ui/state";

export function Setup({
  modelCount,
  hasFiles,
  local,
}: {
  modelCount: number;
  hasFiles: boolean;
  local: readonly LocalModel[];
}) {
  const { t } = useTranslation();
  const { data: keys } = useQuery(keysQuery);
  const hasKey = (keys?.length ?? 0) > 0;
  return (
    <ol className="flex max-w-3xl flex-col gap-3">
      <Step
        number={1}
        title={t("dashboard.setup.model")}
        done={modelCount > 0 ? t("dashboard.setup.modelDone", { count: modelCount }) : null}
      >
        <ModelStep local={local} done={modelCount > 0} />
      </Step>
      <Step number={2} title={t("dashboard.setup.key")} done={hasKey ? t("dashboard.setup.keyDone") : null}>
        <KeyStep done={hasKey} />
      </Step>
      <Step number={3} title={t("dashboard.setup.samples")} done={hasFiles ? t("dashboard.setup.samplesDone") : null}>
        <SamplesStep />
      </Step>
      {modelCount > 0 && hasFiles ? (
        <li className="flex flex-wrap items-center justify-between gap-3 rounded-md border bg-panel p-4">
          <span className="font-medium">{t("dashboard.setup.ready")}</span>
          <Link to="/tasks/new" className={buttonClass("primary")}>
            <Plus aria-hidden className="size-3.5" />
            {t("dashboard.newTask")}
          </Link>
        </li>
      ) : null}
    </ol>
  );
}

function Step({
  number,
  title,
  done,
  children,
}: {
  number: number;
  title: string;
  done: string | null;
  children: ReactNode;
}) {
  return (
    <li className="flex gap-3 rounded-md border bg-panel p-4">
      <span
        aria-hidden
        className={cx(
          "flex size-6 shrink-0 items-center justify-center rounded-full text-xs",
          done ? "bg-done-soft text-done" : "bg-sunken text-soft",
        )}
      >
        {done ? <Check className="size-3.5" strokeWidth={3} /> : <span className="tnum">{number}</span>}
      </span>
      <div className="min-w-0 flex-1">
        <h2 className="mb-1 flex flex-wrap items-center gap-2 font-semibold text-base">
          {title}
          {done ? <StateBadge tone="done">{done}</StateBadge> : null}
        </h2>
        {children}
      </div>
    </li>
  );
}

function ModelStep({ local, done }: { local: readonly LocalModel[]; done: boolean }) {
  const { t } = useTranslation();
  const me = useMe();
  const startable = local.filter((model) => model.status === "available" || model.status === "failed").slice(0, 3);
  const starting = local.find((model) => model.status === "starting");
  const start = useWrite({ run: startLocalModel, refresh: [["local-models"], ["models"], ["channels"]] });
  if (!me.is_admin) return done ? null : <p className="text-soft text-sm">{t("dashboard.setup.adminNeeded")}</p>;
  return (
    <>
      <p className="mb-2 text-soft text-sm">
        {local.length === 0 ? t("dashboard.setup.noLocal") : t("dashboard.setup.modelBody")}
      </p>
      <div className="flex flex-wrap items-center gap-2">
        {starting ? (
          <StateBadge tone="running">{t("dashboard.setup.starting", { name: starting.name })}</StateBadge>
        ) : null}
        {startable.map((model) => (
          <Button
            key={model.name}
            look={done ? "plain" : "primary"}
            icon={<Play aria-hidden className="size-3.5" />}
            busy={start.isPending}
            onClick={() => start.mutate(model.name)}
            data-testid="setup-start-model"
          >
            {t("dashboard.setup.start", { name: model.name })}
          </Button>
        ))}
        <Link to="/channels" className={buttonClass("plain")}>
          {t("dashboard.setup.addChannel")}
        </Link>
      </div>
    </>
  );
}

function KeyStep({ done }: { done: boolean }) {
  const { t } = useTranslation();
  const [creating, setCreating] = useState(false);
  const [created, setCreated] = useState<CreatedKey | null>(null);
  return (
    <>
      <p className="mb-2 text-soft text-sm">{t("dashboard.setup.keyBody")}</p>
      {done ? null : (
        <Button icon={<KeyRound aria-hidden className="size-3.5" />} onClick={() => setCreating(true)}>
          {t("keys.create")}
        </Button>
      )}
      <CreateKeyDialog
        open={creating}
        onOpenChange={setCreating}
        onCreated={(key) => {
          setCreating(false);
          setCreated(key);
        }}
      />
      <SecretDialog created={created} onDone={() => setCreated(null)} />
    </>
  );
}

function SamplesStep() {
  const { t } = useTranslation();
  const { uploads, add, cancel, clear } = useUploads();
  return (
    <div className="flex flex-col gap-2">
      <p className="text-soft text-sm">{t("dashboard.setup.samplesBody")}</p>
      <DropZone onFiles={add} />
      <UploadList uploads={uploads} onCancel={cancel} onClear={clear} />
    </div>
  );
}
