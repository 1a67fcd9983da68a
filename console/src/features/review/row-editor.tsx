/** Edit a row field by field: texts as text, everything else as JSON. The server checks it against the type's schema. */
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { isApiError } from "@/api/errors";
import { type GeneratedRow, updateRow } from "@/api/review";
import { useWrite } from "@/shared/mutation";
import { errorSentence, notify } from "@/shared/notify";
import { parsedContent } from "@/shared/row-text";
import { Button } from "@/ui/button";
import { Field, Textarea } from "@/ui/field";
import { changedContent, draftOf } from "./draft";

export interface RowEditorProps {
  row: GeneratedRow;
  onSaved: (row: GeneratedRow) => void;
  onClose: () => void;
  onConflict: () => void;
}

export function RowEditor({ row, onSaved, onClose, onConflict }: RowEditorProps) {
  const { t } = useTranslation();
  const [draft, setDraft] = useState(() => draftOf(parsedContent(row.data_content)));
  const made = changedContent(draft);
  const save = useWrite({
    run: (content: Record<string, unknown> | string) => updateRow(row.id, content, row.row_version),
    done: t("review.saved"),
    onDone: (answer) => {
      const saved = answer.items.find((item) => item.id === row.id);
      if (saved) onSaved(saved);
    },
    onFailed: (error) => {
      if (isApiError(error) && error.status === 409) {
        notify.failed(new Error(t("review.conflict")));
        onConflict();
        return true;
      }
      return isApiError(error) && error.status === 400;
    },
  });
  const submit = () => {
    if (made.ok) save.mutate(made.content);
  };
  const refused = isApiError(save.error) && save.error.status === 400 ? save.error : null;
  return (
    <form
      className="flex flex-col gap-3"
      data-testid="review-editor"
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
      {draft.map((field, index) => (
        <Field
          key={field.name}
          label={<span className="font-mono text-xs">{field.name}</span>}
          error={!made.ok && made.field === field.name ? t("review.badField", { name: field.name }) : undefined}
        >
          {(wiring) => (
            <Textarea
              {...wiring}
              autoFocus={index === 0}
              aria-label={t("review.editField", { name: field.name })}
              spellCheck={!field.json}
              rows={Math.min(
                14,
                Math.max(2, field.text.split("\n").length + (field.json ? 0 : Math.floor(field.text.length / 90))),
              )}
              className={field.json ? "font-mono text-xs" : undefined}
              value={field.text}
              onChange={(event) =>
                setDraft((before) =>
                  before.map((other) => (other.name === field.name ? { ...other, text: event.target.value } : other)),
                )
              }
            />
          )}
        </Field>
      ))}
      {refused ? (
        <div role="alert" className="rounded-md bg-failed-soft px-3 py-2 text-failed text-sm">
          <p>{errorSentence(refused)}</p>
          {refused.fields.map((problem) => (
            <p key={`${problem.field}${problem.message}`} className="text-xs">
              {problem.field}: {problem.message}
            </p>
          ))}
        </div>
      ) : null}
      <div className="flex flex-wrap items-center gap-2">
        <p className="flex-1 text-faint text-xs">{t("review.editHint")}</p>
        <Button onClick={onClose}>{t("act.cancel")}</Button>
        <Button look="primary" type="submit" disabled={!made.ok} busy={save.isPending} data-testid="review-save">
          {t("act.save")}
        </Button>
      </div>
    </form>
  );
}
