/** A payload edited as JSON, with what is wrong with it and what has changed. */
import { useState } from "react";
import { useTranslation } from "react-i18next";
import type { Payload } from "@/api/jobs";
import { formatBytes } from "@/shared/format";
import { pretty } from "@/shared/row-text";
import { Button } from "@/ui/button";
import { cx } from "@/ui/cx";
import { Field, Textarea } from "@/ui/field";
import { type JsonChange, jsonDiff, MAX_PAYLOAD_BYTES, type Problem, readPayload } from "./json-diff";

const MOST_LINES = 24;

export interface EditorProps {
  payload: Payload;
  /** It has a checkpoint, which another payload drops. */
  checkpointed: boolean;
  busy: boolean;
  /** The main act, and its words. */
  act: string;
  onAct: (payload: Payload) => void;
  /** Keep the payload without running the job. */
  onSave?: (payload: Payload) => void;
  onCancel: () => void;
}

export function PayloadEditor({ payload, checkpointed, busy, act, onAct, onSave, onCancel }: EditorProps) {
  const { t } = useTranslation();
  const problemWords = useProblemWords();
  const [original] = useState(payload);
  const [text, setText] = useState(() => pretty(payload));
  const read = readPayload(text);
  const changes = read.ok ? jsonDiff(original, read.value) : [];
  const ready = read.ok && changes.length > 0;
  const submit = () => {
    if (read.ok && changes.length > 0 && !busy) onAct(read.value);
  };
  return (
    <div className="flex flex-col gap-2" data-testid="payload-editor">
      <Field label={t("jobs.editor.label")} error={read.ok ? undefined : problemWords(read.problem)}>
        {(wiring) => (
          <Textarea
            {...wiring}
            rows={Math.min(MOST_LINES, Math.max(6, text.split("\n").length + 1))}
            spellCheck={false}
            autoCapitalize="off"
            className="scroll-thin font-mono text-xs leading-relaxed"
            value={text}
            data-testid="payload-text"
            onChange={(event) => setText(event.target.value)}
            onKeyDown={(event) => {
              if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey) || event.nativeEvent.isComposing) return;
              event.preventDefault();
              submit();
            }}
          />
        )}
      </Field>
      <Changes changes={changes} />
      {checkpointed && changes.length > 0 ? (
        <p className="text-warn text-xs">{t("jobs.editor.dropsCheckpoint")}</p>
      ) : null}
      <div className="flex flex-wrap items-center gap-2">
        <Button small look="quiet" disabled={!read.ok} onClick={() => setText(read.ok ? pretty(read.value) : text)}>
          {t("jobs.editor.format")}
        </Button>
        <Button small look="quiet" onClick={() => setText(pretty(original))}>
          {t("jobs.editor.restore")}
        </Button>
        <span className="ml-auto flex flex-wrap gap-2">
          <Button small onClick={onCancel}>
            {t("act.cancel")}
          </Button>
          {onSave ? (
            <Button
              small
              disabled={!ready}
              busy={busy}
              onClick={() => {
                if (read.ok) onSave(read.value);
              }}
              data-testid="payload-save"
            >
              {t("jobs.act.savePayload")}
            </Button>
          ) : null}
          <Button small look="primary" disabled={!ready} busy={busy} onClick={submit} data-testid="payload-act">
            {act}
          </Button>
        </span>
      </div>
    </div>
  );
}

function useProblemWords(): (problem: Problem) => string {
  const { t } = useTranslation();
  return (problem) => {
    switch (problem.kind) {
      case "syntax":
        return t("errors.badJson", { reason: problem.reason });
      case "shape":
        return t("jobs.editor.notObject");
      case "size":
        return t("jobs.editor.tooLarge", { size: formatBytes(problem.bytes), limit: formatBytes(MAX_PAYLOAD_BYTES) });
    }
  };
}

function Changes({ changes }: { changes: readonly JsonChange[] }) {
  const { t } = useTranslation();
  if (changes.length === 0) return <p className="text-faint text-xs">{t("jobs.editor.unchanged")}</p>;
  return (
    <section
      aria-label={t("jobs.editor.changes", { count: changes.length })}
      className="overflow-hidden rounded-md border"
      data-testid="payload-diff"
    >
      <p className="tnum border-b bg-sunken px-2 py-1 text-soft text-xs">
        {t("jobs.editor.changes", { count: changes.length })}
      </p>
      <ul className="scroll-thin max-h-48 divide-y overflow-y-auto font-mono text-xs">
        {changes.map((change) => (
          <li key={change.path} className="px-2 py-1">
            <span className="text-soft">{change.path}</span>{" "}
            <span className="font-sans text-faint">{t(`jobs.editor.${change.kind}`)}</span>
            {change.kind === "added" ? null : <Side mark="−" text={change.before} tone="bg-failed-soft text-failed" />}
            {change.kind === "removed" ? null : <Side mark="+" text={change.after} tone="bg-done-soft text-done" />}
          </li>
        ))}
      </ul>
    </section>
  );
}

function Side({ mark, text, tone }: { mark: string; text: string; tone: string }) {
  return (
    <span className={cx("mt-0.5 flex gap-2 rounded-sm px-1.5 py-0.5", tone)}>
      <span aria-hidden>{mark}</span>
      <span className="min-w-0 whitespace-pre-wrap break-all">{text}</span>
    </span>
  );
}
