/** Pieces that every page is laid out with. */
import type { ReactNode } from "react";
import { cx } from "./cx";

export function Panel({
  title,
  aside,
  children,
  className,
  flush,
  testId,
}: {
  title?: ReactNode;
  aside?: ReactNode;
  children: ReactNode;
  className?: string;
  flush?: boolean;
  testId?: string;
}) {
  return (
    <section data-testid={testId} className={cx("min-w-0 rounded-md border bg-panel", className)}>
      {title || aside ? (
        <header className="flex min-h-10 flex-wrap items-center gap-x-3 gap-y-1 border-b px-3 py-1.5">
          <h2 className="min-w-0 flex-1 font-semibold text-sm">{title}</h2>
          {aside}
        </header>
      ) : null}
      <div className={flush ? undefined : "p-3"}>{children}</div>
    </section>
  );
}

/** A shape in the place of what is still on its way. Appears only after 150 ms, so that quick answers do not flicker. */
export function Skeleton({ className }: { className?: string }) {
  return <div aria-hidden className={cx("tm-skeleton rounded-sm bg-idle-soft", className)} />;
}

export function SkeletonRows({ rows = 6, label }: { rows?: number; label: string }) {
  const widths = ["w-3/4", "w-1/2", "w-2/3", "w-5/6", "w-3/5"];
  return (
    <div role="status" aria-label={label} className="flex flex-col gap-3 p-3">
      {Array.from({ length: rows }, (_, index) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: shapes without identity
        <Skeleton key={index} className={cx("h-4", widths[index % widths.length])} />
      ))}
    </div>
  );
}

export function Empty({
  icon,
  title,
  children,
  action,
}: {
  icon?: ReactNode;
  title: ReactNode;
  children?: ReactNode;
  action?: ReactNode;
}) {
  return (
    <div className="flex flex-col items-center gap-2 px-4 py-10 text-center">
      {icon ? <div className="text-faint [&_svg]:size-7 [&_svg]:stroke-[1.5]">{icon}</div> : null}
      <p className="font-medium text-base">{title}</p>
      {children ? <div className="max-w-md text-soft text-sm">{children}</div> : null}
      {action ? <div className="mt-2 flex flex-wrap justify-center gap-2">{action}</div> : null}
    </div>
  );
}

/** Facts in pairs: a small name over its value. */
export function Facts({ items, className }: { items: { label: string; value: ReactNode }[]; className?: string }) {
  return (
    <dl className={cx("grid grid-cols-2 gap-x-4 gap-y-2 sm:grid-cols-[repeat(auto-fill,minmax(8rem,1fr))]", className)}>
      {items.map((item) => (
        <div key={item.label} className="min-w-0">
          <dt className="text-faint text-xs">{item.label}</dt>
          <dd className="tnum text-sm">{item.value}</dd>
        </div>
      ))}
    </dl>
  );
}
