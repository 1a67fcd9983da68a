/** Where files are let fall, and the list of those on their way. */
import { FileUp, X } from "lucide-react";
import { type DragEvent, useId, useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import { formatBytes, formatPercent } from "@/shared/format";
import { Button, IconButton } from "@/ui/button";
import { cx } from "@/ui/cx";
import { Meter } from "@/ui/progress";
import { StateBadge } from "@/ui/state";
import type { Upload } from "./use-uploads";

const ACCEPTED = ".jsonl,.ndjson,.csv,.json,.txt,application/x-jsonlines,text/csv";

export function DropZone({ onFiles, tall }: { onFiles: (files: File[]) => void; tall?: boolean }) {
  const { t } = useTranslation();
  const [over, setOver] = useState(false);
  const input = useRef<HTMLInputElement>(null);
  const id = useId();
  const drop = (event: DragEvent) => {
    event.preventDefault();
    setOver(false);
    onFiles([...event.dataTransfer.files]);
  };
  return (
    <section
      aria-label={t("samples.upload")}
      data-testid="drop-zone"
      onDragOver={(event) => {
        event.preventDefault();
        setOver(true);
      }}
      onDragLeave={() => setOver(false)}
      onDrop={drop}
      className={cx(
        "flex flex-wrap items-center justify-center gap-x-2 gap-y-1 rounded-md border border-dashed px-3 text-soft text-sm transition-colors duration-100",
        tall ? "py-8" : "py-3",
        over ? "border-accent bg-accent-soft text-text" : "border-line-strong",
      )}
    >
      <FileUp aria-hidden className="size-4" />
      <span>{over ? t("samples.dropNow") : t("samples.dropHere")}</span>
      <Button small onClick={() => input.current?.click()} className={over ? "invisible" : undefined}>
        {t("samples.choose")}
      </Button>
      <label htmlFor={id} className="sr-only">
        {t("samples.choose")}
      </label>
      <input
        ref={input}
        id={id}
        type="file"
        multiple
        accept={ACCEPTED}
        className="sr-only"
        tabIndex={-1}
        data-testid="file-input"
        onChange={(event) => {
          onFiles([...(event.target.files ?? [])]);
          event.target.value = "";
        }}
      />
    </section>
  );
}

export function UploadList({
  uploads,
  onCancel,
  onClear,
}: {
  uploads: Upload[];
  onCancel: (id: number) => void;
  onClear: () => void;
}) {
  const { t } = useTranslation();
  if (uploads.length === 0) return null;
  return (
    <section aria-label={t("samples.uploading")} className="rounded-md border bg-panel">
      <ul className="divide-y">
        {uploads.map((upload) => {
          const open = upload.state === "waiting" || upload.state === "sending";
          return (
            <li
              key={upload.id}
              className="flex flex-wrap items-center gap-x-3 gap-y-1 px-3 py-1.5 text-sm"
              data-testid="upload"
            >
              <span className="min-w-32 flex-1 truncate" title={upload.name}>
                {upload.name}
              </span>
              <span className="tnum w-16 text-right text-faint text-xs">{formatBytes(upload.size)}</span>
              <span className="w-28">
                {open ? (
                  <Meter value={upload.share} limit={1} label={upload.name} />
                ) : upload.state === "done" ? (
                  <StateBadge tone="done">{t("samples.uploadDone")}</StateBadge>
                ) : upload.state === "failed" ? (
                  <StateBadge tone="failed">{t("samples.uploadFailed")}</StateBadge>
                ) : (
                  <StateBadge tone="idle">{t("act.cancel")}</StateBadge>
                )}
              </span>
              <span className="tnum w-9 text-right text-faint text-xs">{open ? formatPercent(upload.share) : ""}</span>
              {open ? (
                <IconButton
                  label={t("samples.uploadCancel", { name: upload.name })}
                  icon={<X aria-hidden className="size-3.5" />}
                  className="size-6"
                  onClick={() => onCancel(upload.id)}
                />
              ) : (
                <span className="w-6" />
              )}
              {upload.error ? (
                <p role="alert" className="w-full text-failed text-xs">
                  {upload.error}
                </p>
              ) : null}
            </li>
          );
        })}
      </ul>
      {uploads.some((upload) => upload.state !== "waiting" && upload.state !== "sending") ? (
        <div className="border-t px-2 py-1">
          <Button small look="quiet" onClick={onClear}>
            {t("act.close")}
          </Button>
        </div>
      ) : null}
    </section>
  );
}
