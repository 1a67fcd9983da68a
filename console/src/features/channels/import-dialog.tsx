/** A file of channels: chosen, looked at difference by difference, and only then applied. */
import { useMutation } from "@tanstack/react-query";
import { FileUp } from "lucide-react";
import { useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import { type ImportReport, importChannels } from "@/api/channels";
import { useWrite } from "@/shared/mutation";
import { errorSentence } from "@/shared/notify";
import { Button } from "@/ui/button";
import { Dialog } from "@/ui/dialog";
import { Textarea } from "@/ui/field";
import { StateBadge } from "@/ui/state";

export function ImportDialog({ onClose }: { onClose: () => void }) {
  const { t } = useTranslation();
  const [content, setContent] = useState("");
  const picker = useRef<HTMLInputElement>(null);
  const look = useMutation({ mutationFn: (text: string) => importChannels(text, true) });
  const apply = useWrite({
    run: () => importChannels(content, false),
    refresh: [["channels"], ["models"]],
    done: (report) => t("channels.import.done", { created: report.created.length, changed: report.changed.length }),
    onDone: onClose,
  });
  const read = (text: string) => {
    setContent(text);
    look.reset();
    if (text.trim() !== "") look.mutate(text);
  };
  const report = look.data;
  const nothing = report !== undefined && report.created.length + report.changed.length === 0;
  return (
    <Dialog
      open
      onOpenChange={(next) => {
        if (!next) onClose();
      }}
      wide
      sticky={content !== ""}
      title={t("channels.import.title")}
      description={t("channels.import.sentence")}
      closeLabel={t("act.close")}
      testId="import-dialog"
      footer={
        <>
          <Button onClick={onClose}>{t("act.cancel")}</Button>
          <Button
            look="primary"
            busy={apply.isPending}
            disabled={report === undefined || nothing}
            onClick={() => apply.mutate()}
            data-testid="import-apply"
          >
            {t("channels.import.apply")}
          </Button>
        </>
      }
    >
      <input
        ref={picker}
        type="file"
        accept=".yaml,.yml,.json,text/yaml,application/json"
        className="sr-only"
        aria-label={t("channels.import.choose")}
        data-testid="import-file"
        onChange={(event) => {
          const file = event.target.files?.[0];
          event.target.value = "";
          if (file) void file.text().then(read);
        }}
      />
      <Button icon={<FileUp aria-hidden className="size-3.5" />} onClick={() => picker.current?.click()}>
        {t("channels.import.choose")}
      </Button>
      <Textarea
        aria-label={t("channels.import.content")}
        rows={7}
        spellCheck={false}
        className="mt-3 font-mono text-xs"
        placeholder={"channels:\n  - name: vllm-1\n    base_url: http://10.0.0.5:8000/v1\n    models: [qwen3-8b]"}
        value={content}
        data-testid="import-content"
        onChange={(event) => {
          setContent(event.target.value);
          look.reset();
        }}
        onBlur={() => {
          if (!look.data && !look.isPending && content.trim() !== "") look.mutate(content);
        }}
      />
      {look.error ? (
        <p role="alert" className="mt-2 whitespace-pre-wrap break-words text-failed text-sm">
          {errorSentence(look.error)}
        </p>
      ) : null}
      {report ? <Preview report={report} /> : null}
      {nothing ? <p className="mt-3 text-soft text-sm">{t("channels.import.nothing")}</p> : null}
    </Dialog>
  );
}

function Preview({ report }: { report: ImportReport }) {
  const { t } = useTranslation();
  return (
    <div className="mt-3 flex flex-col gap-2" data-testid="import-preview">
      {report.created.map((name) => (
        <p key={name} className="flex items-center gap-2 text-sm">
          <StateBadge tone="done">{t("channels.import.created")}</StateBadge>
          {name}
        </p>
      ))}
      {report.differences.map((channel) => (
        <div key={channel.name} className="text-sm">
          <p className="flex items-center gap-2">
            <StateBadge tone="warn">{t("channels.import.changed")}</StateBadge>
            {channel.name}
          </p>
          <table className="mt-1 w-full table-fixed border-collapse font-mono text-xs">
            <tbody>
              {channel.fields.map((field) => (
                <tr key={field.field} className="border-t align-top">
                  <th scope="row" className="w-1/4 py-1 pr-2 text-left font-normal text-soft">
                    {field.field}
                  </th>
                  <td className="break-words py-1 pr-2 text-failed line-through decoration-1">
                    {field.field === "keys"
                      ? t("channels.import.keys", { count: Number(field.before) })
                      : shown(field.before)}
                  </td>
                  <td className="break-words py-1 text-done">
                    {field.field === "keys"
                      ? t("channels.import.keysNow", { count: Number(field.after) })
                      : shown(field.after)}
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      ))}
      {report.unchanged.length > 0 ? (
        <p className="text-faint text-xs">{t("channels.import.unchanged", { count: report.unchanged.length })}</p>
      ) : null}
    </div>
  );
}

function shown(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}
