/** One row as JSON, edited where it stands. */
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { replaceRow, type SampleRow } from "@/api/samples";
import { useWrite } from "@/shared/mutation";
import { Button } from "@/ui/button";
import { parseObject } from "./parse-rows";

export function RowEditor({
  fileId,
  row,
  topPx,
  onClose,
}: {
  fileId: number;
  row: SampleRow;
  topPx: number;
  onClose: () => void;
}) {
  const { t } = useTranslation();
  const [text, setText] = useState(() => JSON.stringify(row.data, null, 2));
  const parsed = parseObject(text);
  const problem = parsed.ok
    ? null
    : parsed.reason === "object"
      ? t("errors.notObject")
      : t("errors.badJson", { reason: parsed.detail });
  const save = useWrite({
    run: (data: Record<string, unknown>) => replaceRow(fileId, row.index, data),
    refresh: [["files"]],
    done: t("samples.rowSaved", { index: row.index }),
    onDone: onClose,
  });
  const submit = () => {
    if (parsed.ok) save.mutate(parsed.row);
  };
  const label = t("samples.editRow", { index: row.index });
  return (
    <form
      aria-label={label}
      data-testid="row-editor"
      className="absolute inset-x-2 z-20 flex flex-col gap-2 rounded-md border border-line-strong bg-panel p-2 shadow-lift"
      style={{ top: topPx }}
      onSubmit={(event) => {
        event.preventDefault();
        submit();
      }}
      onKeyDown={(event) => {
        if (event.key === "Escape") {
          event.stopPropagation();
          onClose();
        }
        if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
          event.preventDefault();
          submit();
        }
      }}
    >
      <textarea
        // biome-ignore lint/a11y/noAutofocus: it opens where the reader just asked to type
        autoFocus
        aria-label={label}
        aria-invalid={problem ? true : undefined}
        aria-describedby="row-editor-problem"
        spellCheck={false}
        value={text}
        onChange={(event) => setText(event.target.value)}
        className="scroll-thin h-36 w-full resize-y rounded-md border bg-sunken p-2 font-mono text-xs leading-relaxed"
      />
      <div className="flex flex-wrap items-center gap-2">
        <p
          id="row-editor-problem"
          className={problem ? "min-w-0 flex-1 text-failed text-xs" : "flex-1 text-faint text-xs"}
        >
          {problem ?? t("samples.editHint")}
        </p>
        <Button small onClick={onClose}>
          {t("act.cancel")}
        </Button>
        <Button small look="primary" type="submit" disabled={!parsed.ok} busy={save.isPending}>
          {t("act.save")}
        </Button>
      </div>
    </form>
  );
}
