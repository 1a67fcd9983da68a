/** A moment: how long ago, with the exact time on hover. */
import { formatDateTime, formatRelative, NO_VALUE } from "./format";

export function Time({ at }: { at: string | null | undefined }) {
  if (!at) return <span>{NO_VALUE}</span>;
  return (
    <time dateTime={at} title={formatDateTime(at)} className="tnum whitespace-nowrap">
      {formatRelative(at)}
    </time>
  );
}
