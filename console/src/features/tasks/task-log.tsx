/** The task's log, with the state of the line it comes over. */
import { useLayoutEffect, useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import type { LineState } from "@/api/progress";
import { Panel } from "@/ui/blocks";
import { cx } from "@/ui/cx";
import { Input } from "@/ui/field";
import { StateBadge, type Tone } from "@/ui/state";
import type { LogLine } from "./task-progress";

const TONES: Record<LineState, Tone> = { connecting: "idle", live: "running", lost: "warn", ended: "idle" };

export function TaskLog({ log, line }: { log: readonly LogLine[]; line: LineState }) {
  const { t } = useTranslation();
  const [q, setQ] = useState("");
  const box = useRef<HTMLDivElement>(null);
  const following = useRef(true);
  const shown = q === "" ? log : log.filter((entry) => entry.message.toLowerCase().includes(q.toLowerCase()));
  const newest = shown[shown.length - 1]?.id;

  // Stay with the newest line, unless the reader has scrolled up to read an older one.
  // biome-ignore lint/correctness/useExhaustiveDependencies: runs when a line is added
  useLayoutEffect(() => {
    if (box.current && following.current) box.current.scrollTop = box.current.scrollHeight;
  }, [newest]);

  return (
    <Panel
      flush
      testId="task-log"
      title={t("tasks.log")}
      aside={
        <>
          <Input
            type="text"
            aria-label={t("tasks.logFilter")}
            placeholder={t("tasks.logFilter")}
            value={q}
            onChange={(event) => setQ(event.target.value)}
            className="h-7 w-36 text-xs"
          />
          <StateBadge tone={TONES[line]} testId="line-state">
            {t(`tasks.line.${line}`)}
          </StateBadge>
        </>
      }
    >
      {shown.length === 0 ? (
        <p className="px-3 py-4 text-faint text-sm">{q === "" ? t("tasks.noLog") : t("tasks.noLogMatch", { q })}</p>
      ) : (
        <div
          ref={box}
          role="log"
          aria-label={t("tasks.log")}
          tabIndex={0}
          onScroll={(event) => {
            const { scrollHeight, scrollTop, clientHeight } = event.currentTarget;
            following.current = scrollHeight - scrollTop - clientHeight < 24;
          }}
          className="scroll-thin h-80 overflow-y-auto px-3 py-2 font-mono text-xs leading-relaxed"
        >
          {shown.map((entry) => (
            <p
              key={entry.id}
              className={cx(
                "whitespace-pre-wrap",
                entry.code === "failed" ? "text-failed" : entry.code === "paused" ? "text-warn" : "text-soft",
              )}
            >
              {entry.message}
            </p>
          ))}
        </div>
      )}
    </Panel>
  );
}
