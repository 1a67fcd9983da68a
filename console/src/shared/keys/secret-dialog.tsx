/** The one time a key's secret is shown. It closes only after the reader says it is saved. */
import { useState } from "react";
import { useTranslation } from "react-i18next";
import type { CreatedKey } from "@/api/keys";
import { CopyButton } from "@/shared/copy";
import { Button } from "@/ui/button";
import { Dialog } from "@/ui/dialog";
import { Checkbox } from "@/ui/field";

export function curlExample(origin: string, key: string): string {
  return [`curl ${origin}/v1/models \\`, `  -H "Authorization: Bearer ${key}"`].join("\n");
}

export function SecretDialog({ created, onDone }: { created: CreatedKey | null; onDone: () => void }) {
  const { t } = useTranslation();
  const [saved, setSaved] = useState(false);
  const finish = () => {
    if (!saved) return;
    setSaved(false);
    onDone();
  };
  const example = curlExample(window.location.origin, created?.key ?? "");
  return (
    <Dialog
      open={created !== null}
      onOpenChange={(open) => {
        if (!open) finish();
      }}
      sticky
      wide
      title={t("keys.secretTitle")}
      description={t("keys.secretBody")}
      closeLabel={t("act.close")}
      testId="key-secret-dialog"
      footer={
        <>
          <Checkbox
            className="mr-auto"
            label={t("keys.saved")}
            checked={saved}
            data-testid="key-saved"
            onChange={(event) => setSaved(event.target.checked)}
          />
          <Button look="primary" disabled={!saved} onClick={finish} data-testid="key-done">
            {t("keys.done")}
          </Button>
        </>
      }
    >
      <div className="flex flex-col gap-4">
        <div className="flex items-center gap-2 rounded-md border bg-sunken py-1 pr-1 pl-3">
          <code className="min-w-0 flex-1 break-all font-mono text-sm" data-testid="key-secret">
            {created?.key}
          </code>
          <CopyButton text={created?.key ?? ""} label={t("keys.copyKey")} className="size-8" />
        </div>
        <div>
          <p className="mb-1 flex items-center gap-1 text-soft text-xs">
            {t("keys.tryIt")}
            <CopyButton text={example} label={t("act.copy")} />
          </p>
          <pre className="scroll-thin overflow-x-auto rounded-md bg-sunken p-2 font-mono text-xs leading-relaxed">
            {example}
          </pre>
        </div>
      </div>
    </Dialog>
  );
}
