/** The head of every page: what it is, one sentence, and its main act at the right. */
import { type ReactNode, useEffect } from "react";

export function PageHead({
  title,
  hint,
  actions,
  above,
}: {
  title: string;
  hint?: ReactNode;
  actions?: ReactNode;
  above?: ReactNode;
}) {
  useEffect(() => {
    document.title = `${title} · Tidemill`;
  }, [title]);
  return (
    <header className="mb-4 flex flex-wrap items-end gap-x-4 gap-y-2">
      <div className="min-w-0 flex-1 basis-64">
        {above}
        <h1 className="font-semibold text-xl">{title}</h1>
        {hint ? <p className="mt-0.5 text-soft text-sm">{hint}</p> : null}
      </div>
      {actions ? <div className="flex flex-wrap items-center gap-2">{actions}</div> : null}
    </header>
  );
}
