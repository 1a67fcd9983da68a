/** Progress as lengths: one bar split by outcome, one meter against a limit, one ring. */
import { cx } from "./cx";
import type { Tone } from "./state";

const BAR: Record<Tone, string> = {
  running: "bg-running-bar",
  done: "bg-done-bar",
  warn: "bg-warn-bar",
  failed: "bg-failed-bar",
  idle: "bg-idle-bar",
};

export interface BarPart {
  id: string;
  value: number;
  tone: Tone;
  label: string;
}

/** Parts of `total`; what no part takes is left empty. The label says the same in words. */
export function SplitBar({
  parts,
  total,
  label,
  tall,
}: {
  parts: BarPart[];
  total: number;
  label: string;
  tall?: boolean;
}) {
  const known = parts.reduce((sum, part) => sum + part.value, 0);
  const whole = Math.max(total, known, 1);
  return (
    <div
      role="progressbar"
      aria-label={label}
      aria-valuemin={0}
      aria-valuemax={total}
      aria-valuenow={Math.min(known, total)}
      className={cx("flex w-full gap-px overflow-hidden rounded-sm bg-idle-soft", tall ? "h-4" : "h-1.5")}
    >
      {parts
        .filter((part) => part.value > 0)
        .map((part) => (
          <div
            key={part.id}
            title={`${part.label} ${part.value}`}
            className={cx("h-full transition-[width] duration-150", BAR[part.tone])}
            style={{ width: `${(part.value / whole) * 100}%` }}
          />
        ))}
    </div>
  );
}

/** How much of a limit is taken. */
export function Meter({
  value,
  limit,
  label,
  tone = "running",
}: {
  value: number;
  limit: number;
  label: string;
  tone?: Tone;
}) {
  const share = limit > 0 ? Math.min(1, value / limit) : 0;
  return (
    <div
      role="meter"
      aria-label={label}
      aria-valuemin={0}
      aria-valuemax={limit}
      aria-valuenow={value}
      className="h-1.5 w-full overflow-hidden rounded-sm bg-idle-soft"
    >
      <div className={cx("h-full transition-[width] duration-150", BAR[tone])} style={{ width: `${share * 100}%` }} />
    </div>
  );
}

export function Ring({ share, label, size = 36 }: { share: number; label: string; size?: number }) {
  const radius = size / 2 - 3;
  const round = 2 * Math.PI * radius;
  const clamped = Math.max(0, Math.min(1, share));
  return (
    <svg
      role="img"
      aria-label={label}
      width={size}
      height={size}
      viewBox={`0 0 ${size} ${size}`}
      className="shrink-0 -rotate-90"
    >
      <circle cx={size / 2} cy={size / 2} r={radius} fill="none" strokeWidth="4" className="stroke-idle-soft" />
      <circle
        cx={size / 2}
        cy={size / 2}
        r={radius}
        fill="none"
        strokeWidth="4"
        strokeLinecap="butt"
        strokeDasharray={`${clamped * round} ${round}`}
        className="stroke-running-bar transition-[stroke-dasharray] duration-150"
      />
    </svg>
  );
}
