/** Small charts drawn as SVG: they print, follow the theme, and carry their numbers as text for screen readers. */
import { useId, useState } from "react";
import { cx } from "@/ui/cx";
import { formatNumber } from "./format";

export interface Bar {
  id: string;
  label: string;
  value: number;
  tone?: "running" | "done" | "warn" | "failed" | "idle";
}

const FILL = {
  running: "bg-running-bar",
  done: "bg-done-bar",
  warn: "bg-warn-bar",
  failed: "bg-failed-bar",
  idle: "bg-idle-bar",
};

/** Upright bars, for histograms. `mark` is where, counted in bars from the left, a threshold line stands. */
export function Columns({
  bars,
  label,
  mark,
  markLabel,
}: {
  bars: Bar[];
  label: string;
  mark?: number;
  markLabel?: string;
}) {
  const top = Math.max(1, ...bars.map((bar) => bar.value));
  return (
    <figure aria-label={label} className="min-w-0">
      <div className="relative flex h-32 items-end gap-px border-b">
        {bars.map((bar) => (
          <div
            key={bar.id}
            title={`${bar.label}: ${formatNumber(bar.value)}`}
            className="flex h-full min-w-0 flex-1 flex-col justify-end"
          >
            <span className="sr-only">{`${bar.label}: ${bar.value}`}</span>
            <div
              className={cx("w-full rounded-t-[2px]", FILL[bar.tone ?? "running"])}
              style={{ height: bar.value > 0 ? `max(2px, ${(bar.value / top) * 100}%)` : 0 }}
            />
          </div>
        ))}
        {mark === undefined ? null : (
          <div
            title={markLabel}
            className="absolute inset-y-0 border-text border-l border-dashed"
            style={{ left: `${(mark / Math.max(1, bars.length)) * 100}%` }}
          />
        )}
      </div>
      <div aria-hidden className="tnum flex gap-px pt-1 text-[0.6875rem] text-faint">
        {bars.map((bar) => (
          <span key={bar.id} className="min-w-0 flex-1 truncate text-center">
            {bar.label}
          </span>
        ))}
      </div>
    </figure>
  );
}

/** Lying bars with their names, for rankings. */
export function Rows({ bars, label }: { bars: Bar[]; label: string }) {
  const top = Math.max(1, ...bars.map((bar) => bar.value));
  return (
    <ul aria-label={label} className="flex flex-col gap-1.5">
      {bars.map((bar) => (
        <li key={bar.id} className="grid grid-cols-[minmax(6rem,14rem)_1fr_3.5rem] items-center gap-2 text-sm">
          <span className="truncate" title={bar.label}>
            {bar.label}
          </span>
          <span className="h-2 overflow-hidden rounded-sm bg-idle-soft">
            <span
              className={cx("block h-full", FILL[bar.tone ?? "running"])}
              style={{ width: `${(bar.value / top) * 100}%` }}
            />
          </span>
          <span className="tnum text-right text-soft">{formatNumber(bar.value, 2)}</span>
        </li>
      ))}
    </ul>
  );
}

export interface Point {
  x: number;
  y: number;
}

const WIDTH = 600;
const HEIGHT = 140;

/** One line over time with the value under the pointer. */
export function Line({
  points,
  label,
  describe,
  unit,
}: {
  points: Point[];
  label: string;
  describe: (x: number) => string;
  unit: string;
}) {
  const gradient = useId();
  const [at, setAt] = useState<number | null>(null);
  const first = points[0];
  const last = points[points.length - 1];
  if (!first || !last) return null;
  const spanX = last.x - first.x || 1;
  const top = Math.max(1e-9, ...points.map((point) => point.y));
  const place = (point: Point) =>
    [((point.x - first.x) / spanX) * WIDTH, HEIGHT - (point.y / top) * (HEIGHT - 8)] as const;
  const path = points.map((point, index) => `${index === 0 ? "M" : "L"}${place(point).join(" ")}`).join("");
  const shown = at === null ? last : points[at];
  return (
    <figure aria-label={label} className="min-w-0">
      <figcaption className="tnum mb-1 text-right text-soft text-xs">
        {shown ? `${formatNumber(shown.y, 2)} ${unit} · ${describe(shown.x)}` : null}
      </figcaption>
      <svg
        viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
        preserveAspectRatio="none"
        className="h-36 w-full border-b text-running-bar"
        role="img"
        aria-label={label}
        onPointerLeave={() => setAt(null)}
        onPointerMove={(event) => {
          const box = event.currentTarget.getBoundingClientRect();
          const x = first.x + ((event.clientX - box.left) / Math.max(1, box.width)) * spanX;
          let nearest = 0;
          points.forEach((point, index) => {
            if (Math.abs(point.x - x) < Math.abs((points[nearest]?.x ?? 0) - x)) nearest = index;
          });
          setAt(nearest);
        }}
      >
        <defs>
          <linearGradient id={gradient} x1="0" y1="0" x2="0" y2="1">
            <stop offset="0" stopColor="currentColor" stopOpacity="0.22" />
            <stop offset="1" stopColor="currentColor" stopOpacity="0" />
          </linearGradient>
        </defs>
        <path d={`${path}L${WIDTH} ${HEIGHT}L0 ${HEIGHT}Z`} fill={`url(#${gradient})`} />
        <path d={path} fill="none" stroke="currentColor" strokeWidth="1.5" vectorEffect="non-scaling-stroke" />
        {at !== null && shown ? (
          <line
            x1={place(shown)[0]}
            x2={place(shown)[0]}
            y1="0"
            y2={HEIGHT}
            stroke="currentColor"
            strokeDasharray="3 3"
            vectorEffect="non-scaling-stroke"
          />
        ) : null}
      </svg>
    </figure>
  );
}

/** A curve without axes, beside a number that says the rest. */
export function Sparkline({ values, className }: { values: readonly number[]; className?: string }) {
  const top = Math.max(...values, 0);
  if (values.length < 2 || top <= 0) return <span aria-hidden className={className} />;
  const path = values
    .map(
      (value, index) => `${index === 0 ? "M" : "L"}${(index / (values.length - 1)) * 100} ${27 - (value / top) * 25}`,
    )
    .join("");
  return (
    <svg aria-hidden viewBox="0 0 100 28" preserveAspectRatio="none" className={className}>
      <path d={`${path}L100 28L0 28Z`} fill="currentColor" opacity="0.14" />
      <path d={path} fill="none" stroke="currentColor" strokeWidth="1.5" vectorEffect="non-scaling-stroke" />
    </svg>
  );
}

export interface StripBar {
  id: string;
  /** Height from 0 to 1; nothing is drawn for null. */
  share: number | null;
  tone: "running" | "done" | "warn" | "failed" | "idle";
  title: string;
}

/** Thin bars side by side, each with its own state: what happened lately, read from left to right. */
export function Strip({ bars, label, tall }: { bars: readonly StripBar[]; label: string; tall?: boolean }) {
  return (
    <div
      role="img"
      aria-label={label}
      className={cx("flex min-w-0 items-end justify-end gap-px", tall ? "h-20 border-b" : "h-6")}
    >
      {bars.map((bar) => (
        <span
          key={bar.id}
          title={bar.title}
          className={cx("flex h-full min-w-0 flex-1 items-end", tall ? "max-w-8" : "max-w-2")}
        >
          <span
            className={cx("w-full rounded-t-[1px]", FILL[bar.tone])}
            style={{ height: bar.share === null ? 0 : `max(2px, ${Math.min(1, bar.share) * 100}%)` }}
          />
        </span>
      ))}
    </div>
  );
}
