/** A row's content by what it is: a dialogue as turns, entities as marked spans, lists of like things as a table, the rest as JSON. */
import type { ReactNode } from "react";
import { cx } from "@/ui/cx";
import { Tag } from "@/ui/state";
import { isFlatTable, isTurnList, type Span, spanParts, spansOf, tableColumns } from "./content-shape";

export function ContentView({ content, quiet }: { content: unknown; quiet?: boolean }) {
  if (typeof content !== "object" || content === null || Array.isArray(content))
    return <FieldValue value={content} spans={[]} />;
  const spans = spansOf(content);
  return (
    <dl className={cx("flex flex-col gap-3", quiet && "text-soft")}>
      {Object.entries(content).map(([name, value]) => (
        <div key={name} className="min-w-0">
          <dt className="mb-0.5 font-mono text-faint text-xs">{name}</dt>
          <dd className="min-w-0">
            <FieldValue value={value} spans={name === "text" ? spans : []} />
          </dd>
        </div>
      ))}
    </dl>
  );
}

function FieldValue({ value, spans }: { value: unknown; spans: readonly Span[] }): ReactNode {
  if (typeof value === "string")
    return (
      <p className="whitespace-pre-wrap text-base">
        {spans.length > 0 ? <Marked text={value} spans={spans} /> : value}
      </p>
    );
  if (value === null || value === undefined) return <span className="text-faint">–</span>;
  if (typeof value !== "object") return <span className="tnum">{String(value)}</span>;
  if (isTurnList(value))
    return (
      <ol className="flex flex-col gap-2">
        {value.map((turn, index) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: turns have no identity but their place
          <li key={index} className="grid grid-cols-[5.5rem_1fr] gap-2">
            <span
              className={cx(
                "pt-px text-right font-mono text-xs",
                turn.role === "assistant" ? "text-accent-text" : "text-faint",
              )}
            >
              {turn.role}
            </span>
            <p className="whitespace-pre-wrap text-base">{turn.content}</p>
          </li>
        ))}
      </ol>
    );
  if (Array.isArray(value) && value.every((item) => typeof item === "string"))
    return (
      <span className="flex flex-wrap gap-1">
        {value.map((item) => (
          <Tag key={item}>{item}</Tag>
        ))}
      </span>
    );
  if (isFlatTable(value)) return <FlatTable rows={value} />;
  return (
    <pre className="scroll-thin overflow-x-auto whitespace-pre-wrap rounded-md bg-sunken p-2 font-mono text-xs leading-relaxed">
      {JSON.stringify(value, null, 2)}
    </pre>
  );
}

function Marked({ text, spans }: { text: string; spans: readonly Span[] }) {
  return (
    <>
      {spanParts(text, spans).map((piece) =>
        piece.label === null ? (
          <span key={piece.start}>{piece.text}</span>
        ) : (
          <mark
            key={piece.start}
            className="rounded-sm border-accent border-b-2 bg-accent-soft px-0.5 text-text"
            title={piece.label}
          >
            {piece.text}
            <span className="ml-1 font-mono text-[0.6875rem] text-accent-text">{piece.label}</span>
          </mark>
        ),
      )}
    </>
  );
}

function FlatTable({ rows }: { rows: readonly Record<string, unknown>[] }) {
  const columns = tableColumns(rows);
  return (
    <div className="scroll-thin overflow-x-auto rounded-md border">
      <table className="w-full text-sm">
        <thead>
          <tr>
            {columns.map((column) => (
              <th
                key={column}
                scope="col"
                className="border-b px-2 py-1 text-left font-mono font-normal text-faint text-xs"
              >
                {column}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row, index) => (
            // biome-ignore lint/suspicious/noArrayIndexKey: entries have no identity but their place
            <tr key={index} className="group">
              {columns.map((column) => (
                <td
                  key={column}
                  className={cx(
                    "border-b px-2 py-1 align-top group-last:border-b-0",
                    typeof row[column] === "number" && "tnum",
                  )}
                >
                  {row[column] === undefined || row[column] === null ? "–" : String(row[column])}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
