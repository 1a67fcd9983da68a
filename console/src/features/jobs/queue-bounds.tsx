/** A queue's bounds in a sheet: how much may wait, of all and of one user, and how much runs at once. */
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { isApiError } from "@/api/errors";
import { changeQueue, type Queue, type QueueChange } from "@/api/queues";
import { formatNumber } from "@/shared/format";
import { useWrite } from "@/shared/mutation";
import { notify } from "@/shared/notify";
import { Button } from "@/ui/button";
import { Dialog } from "@/ui/dialog";
import { Field, Input } from "@/ui/field";

const LIMITS = { max_length: 10_000_000, max_per_user: 10_000_000, concurrency: 100_000 } as const;
type Bound = keyof typeof LIMITS;
const BOUNDS: readonly Bound[] = ["max_length", "max_per_user", "concurrency"];
const WORDS = { max_length: "maxLength", max_per_user: "maxPerUser", concurrency: "concurrency" } as const;

/** A bound as typed: null is the default, undefined is no bound. */
export function readBound(text: string, limit: number): number | null | undefined {
  if (text.trim() === "") return null;
  const value = Number(text);
  return Number.isInteger(value) && value >= 1 && value <= limit ? value : undefined;
}

export function QueueBounds({ queue, onClose }: { queue: Queue; onClose: () => void }) {
  const { t } = useTranslation();
  const { name } = queue;
  const [texts, setTexts] = useState<Record<Bound, string>>({
    max_length: String(queue.max_length),
    max_per_user: String(queue.max_per_user),
    concurrency: queue.concurrency === null ? "" : String(queue.concurrency),
  });
  const [before] = useState(queue);
  const [asked, setAsked] = useState(false);
  const restore = useWrite({
    run: () =>
      changeQueue(name, {
        max_length: before.max_length,
        max_per_user: before.max_per_user,
        concurrency: before.concurrency,
      }),
    refresh: [["queues"]],
    done: t("jobs.queues.saved", { name }),
  });
  const save = useWrite({
    run: (change: QueueChange) => changeQueue(name, change),
    refresh: [["queues"]],
    onDone: () => {
      notify.done(t("jobs.queues.saved", { name }), { label: t("act.undo"), run: () => restore.mutate() });
      onClose();
    },
    onFailed: (error) => isApiError(error) && error.fields.length > 0,
  });
  const said = isApiError(save.error) ? save.error.fields : [];
  const problem = (bound: Bound) =>
    asked && readBound(texts[bound], LIMITS[bound]) === undefined
      ? t("jobs.queues.whole", { limit: formatNumber(LIMITS[bound]) })
      : said.find((item) => item.field === bound)?.message;
  const submit = () => {
    setAsked(true);
    const change: QueueChange = {};
    for (const bound of BOUNDS) {
      const value = readBound(texts[bound], LIMITS[bound]);
      if (value === undefined) return;
      if (value !== before[bound]) change[bound] = value;
    }
    if (Object.keys(change).length > 0) save.mutate(change);
    else onClose();
  };
  return (
    <Dialog
      open
      onOpenChange={(open) => {
        if (!open) onClose();
      }}
      place="side"
      title={t("jobs.queues.boundsTitle", { name })}
      description={t("jobs.queues.boundsSentence")}
      closeLabel={t("act.close")}
      testId="queue-bounds"
      footer={
        <>
          <Button onClick={onClose}>{t("act.cancel")}</Button>
          <Button
            look="primary"
            type="submit"
            form="queue-bounds"
            busy={save.isPending}
            data-testid="queue-bounds-save"
          >
            {t("act.save")}
          </Button>
        </>
      }
    >
      <form
        id="queue-bounds"
        noValidate
        className="flex flex-col gap-4"
        onSubmit={(event) => {
          event.preventDefault();
          submit();
        }}
      >
        {BOUNDS.map((bound) => (
          <Field
            key={bound}
            label={t(`jobs.queues.${WORDS[bound]}`)}
            hint={t(`jobs.queues.${WORDS[bound]}Hint`)}
            error={problem(bound)}
          >
            {(wiring) => (
              <Input
                {...wiring}
                type="number"
                inputMode="numeric"
                min={1}
                max={LIMITS[bound]}
                className="w-40"
                value={texts[bound]}
                placeholder={bound === "concurrency" ? t("jobs.queues.noBound") : undefined}
                data-testid={`bound-${bound}`}
                onChange={(event) => setTexts((now) => ({ ...now, [bound]: event.target.value }))}
              />
            )}
          </Field>
        ))}
      </form>
    </Dialog>
  );
}
