/** Add rows by hand. */
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { appendRows } from "@/api/samples";
import { useWrite } from "@/shared/mutation";
import { Button } from "@/ui/button";
import { Dialog } from "@/ui/dialog";
import { Field, Textarea } from "@/ui/field";
import { parseRows } from "./parse-rows";

export function AppendDialog({
  fileId,
  columns,
  open,
  onOpenChange,
}: {
  fileId: number;
  columns: string[];
  open: boolean;
  onOpenChange: (open: boolean) => void;
}) {
  const { t } = useTranslation();
  const [text, setText] = useState("");
  const [asked, setAsked] = useState(false);
  const parsed = parseRows(text);
  const add = useWrite({
    run: (rows: Record<string, unknown>[]) => appendRows(fileId, rows),
    refresh: [["files"]],
    done: (answer) => t("samples.appended", { count: answer.added }),
    onDone: () => {
      setText("");
      setAsked(false);
      onOpenChange(false);
    },
  });
  const problem = (() => {
    if (parsed.ok) return undefined;
    if (parsed.reason === "empty") return t("samples.appendEmpty");
    const reason = parsed.reason === "object" ? t("errors.notObject") : parsed.detail;
    return t("samples.appendBadLine", { line: parsed.line, reason });
  })();
  const example = JSON.stringify(
    Object.fromEntries((columns.length > 0 ? columns.slice(0, 3) : ["text"]).map((name) => [name, "…"])),
  );
  return (
    <Dialog
      open={open}
      onOpenChange={onOpenChange}
      wide
      sticky={text !== ""}
      title={t("samples.appendTitle")}
      description={t("samples.appendBody")}
      closeLabel={t("act.close")}
      footer={
        <>
          <Button onClick={() => onOpenChange(false)}>{t("act.cancel")}</Button>
          <Button
            look="primary"
            busy={add.isPending}
            onClick={() => {
              setAsked(true);
              if (parsed.ok) add.mutate(parsed.rows);
            }}
          >
            {t("samples.append")}
          </Button>
        </>
      }
    >
      <Field label={t("samples.appendLabel")} error={asked ? problem : undefined}>
        {(wiring) => (
          <Textarea
            {...wiring}
            rows={10}
            spellCheck={false}
            placeholder={`${example}\n${example}`}
            className="font-mono text-xs"
            value={text}
            onChange={(event) => setText(event.target.value)}
          />
        )}
      </Field>
    </Dialog>
  );
}
