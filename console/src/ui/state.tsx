/** States: always a colour and a shape, so that neither carries the meaning alone. */
import { Check, Circle, TriangleAlert, X } from "lucide-react";
import type { ReactNode } from "react";
import { cx } from "./cx";

export type Tone = "running" | "done" | "warn" | "failed" | "idle";

const SOFT: Record<Tone, string> = {
  running: "bg-running-soft text-running",
  done: "bg-done-soft text-done",
  warn: "bg-warn-soft text-warn",
  failed: "bg-failed-soft text-failed",
  idle: "bg-idle-soft text-idle",
};

export const TONE_TEXT: Record<Tone, string> = {
  running: "text-running",
  done: "text-done",
  warn: "text-warn",
  failed: "text-failed",
  idle: "text-idle",
};

export function StateShape({ tone, className }: { tone: Tone; className?: string }) {
  const size = cx("size-3 shrink-0", className);
  switch (tone) {
    case "running":
      return (
        <span aria-hidden className={cx("relative flex items-center justify-center", size)}>
          <span className="size-2 rounded-full bg-current motion-safe:animate-pulse" />
        </span>
      );
    case "done":
      return <Check aria-hidden strokeWidth={3} className={size} />;
    case "warn":
      return <TriangleAlert aria-hidden strokeWidth={2.5} className={size} />;
    case "failed":
      return <X aria-hidden strokeWidth={3} className={size} />;
    case "idle":
      return <Circle aria-hidden strokeWidth={2.5} className={size} />;
  }
}

export function StateBadge({
  tone,
  children,
  title,
  testId,
}: {
  tone: Tone;
  children: ReactNode;
  title?: string;
  testId?: string;
}) {
  return (
    <span
      title={title}
      data-testid={testId}
      data-tone={tone}
      className={cx(
        "inline-flex h-5.5 max-w-full items-center gap-1 rounded-sm px-1.5 font-medium text-xs",
        SOFT[tone],
      )}
    >
      <StateShape tone={tone} />
      <span className="truncate">{children}</span>
    </span>
  );
}

/** A quiet label for facts that are no state. */
export function Tag({ children, mono, title }: { children: ReactNode; mono?: boolean; title?: string }) {
  return (
    <span
      title={title}
      className={cx(
        "inline-flex h-5.5 max-w-full items-center rounded-sm border bg-sunken px-1.5 text-soft text-xs",
        mono && "font-mono",
      )}
    >
      <span className="truncate">{children}</span>
    </span>
  );
}
