/**
 * The table used for every list: sticky head, sorting by the server, a column chooser, rows reached with the arrow
 * keys, selection with a bar for what to do with it, and the page copied as CSV.
 */
import { ArrowDown, ArrowUp, Columns3, Copy } from "lucide-react";
import { type KeyboardEvent, type ReactNode, useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import { SkeletonRows } from "@/ui/blocks";
import { Button, IconButton } from "@/ui/button";
import { cx } from "@/ui/cx";
import { Menu, MenuCheck, MenuItem, MenuLabel, MenuSeparator } from "@/ui/menu";
import { toCsv } from "./csv";
import { notify } from "./notify";
import { isStringList, useRemembered } from "./remembered";

export interface Column<T> {
  id: string;
  head: string;
  cell: (row: T) => ReactNode;
  /** Plain value for CSV; a column without one is left out of it. */
  text?: (row: T) => string | number | null | undefined;
  right?: boolean;
  /** Cannot be hidden (the name, the actions). */
  fixed?: boolean;
  /** Hidden below this width, so that a phone shows what matters. */
  from?: "sm" | "md" | "lg" | "xl" | "2xl";
  /** The server's sort word. */
  sort?: string;
  className?: string;
}

const FROM = {
  sm: "max-sm:hidden",
  md: "max-md:hidden",
  lg: "max-lg:hidden",
  xl: "max-xl:hidden",
  "2xl": "max-2xl:hidden",
};

export interface TableProps<T> {
  /** Names the table for screen readers and keeps its column choice. */
  name: string;
  label: string;
  columns: Column<T>[];
  rows: readonly T[] | undefined;
  rowKey: (row: T) => string;
  onOpen?: (row: T) => void;
  empty?: ReactNode;
  selection?: { keys: ReadonlySet<string>; onChange: (keys: ReadonlySet<string>) => void; actions: ReactNode };
  sort?: { word: string; onChange: (word: string) => void };
  filters?: ReactNode;
  footer?: ReactNode;
  rowTestId?: string;
}

export function Table<T>(props: TableProps<T>) {
  const { t } = useTranslation();
  const [hidden, setHidden] = useRemembered(`columns.${props.name}`, [] as string[], isStringList);
  const [active, setActive] = useState(0);
  const body = useRef<HTMLTableSectionElement>(null);
  const columns = props.columns.filter((column) => column.fixed || !hidden.includes(column.id));
  const rows = props.rows ?? [];
  const selected = props.selection?.keys ?? new Set<string>();
  const allSelected = rows.length > 0 && rows.every((row) => selected.has(props.rowKey(row)));

  const moveTo = (index: number) => {
    const next = Math.max(0, Math.min(rows.length - 1, index));
    setActive(next);
    body.current?.querySelectorAll<HTMLElement>("tr[data-row]")[next]?.focus();
  };
  const toggle = (key: string) => {
    const next = new Set(selected);
    if (!next.delete(key)) next.add(key);
    props.selection?.onChange(next);
  };
  const onKeyDown = (event: KeyboardEvent<HTMLTableRowElement>, row: T, index: number) => {
    if (event.target !== event.currentTarget) return;
    const act: Record<string, (() => void) | undefined> = {
      ArrowDown: () => moveTo(index + 1),
      ArrowUp: () => moveTo(index - 1),
      Home: () => moveTo(0),
      End: () => moveTo(rows.length - 1),
      Enter: props.onOpen ? () => props.onOpen?.(row) : undefined,
      " ": props.selection ? () => toggle(props.rowKey(row)) : undefined,
    };
    const run = act[event.key];
    if (!run) return;
    event.preventDefault();
    run();
  };
  const copyCsv = () => {
    const texts = columns.filter((column) => column.text);
    const csv = toCsv([
      texts.map((column) => column.head),
      ...rows.map((row) => texts.map((column) => column.text?.(row) ?? "")),
    ]);
    void navigator.clipboard.writeText(csv).then(() => notify.done(t("table.copied", { count: rows.length })));
  };

  return (
    <div className="min-w-0 rounded-md border bg-panel">
      <div
        className={cx(
          "flex min-h-11 flex-wrap items-center gap-2 border-b px-2 py-1.5",
          !props.filters && rows.length === 0 && "hidden",
        )}
      >
        {selected.size > 0 && props.selection ? (
          <div role="toolbar" aria-label={t("table.bulk")} className="flex flex-1 flex-wrap items-center gap-2">
            <span className="tnum px-1 font-medium text-sm">{t("table.selected", { count: selected.size })}</span>
            {props.selection.actions}
            <Button small look="quiet" onClick={() => props.selection?.onChange(new Set())}>
              {t("table.clear")}
            </Button>
          </div>
        ) : (
          <div className="flex flex-1 flex-wrap items-center gap-2">{props.filters}</div>
        )}
        <Menu trigger={<IconButton label={t("table.columns")} icon={<Columns3 aria-hidden className="size-4" />} />}>
          <MenuLabel>{t("table.columns")}</MenuLabel>
          {props.columns
            .filter((column) => !column.fixed)
            .map((column) => (
              <MenuCheck
                key={column.id}
                checked={!hidden.includes(column.id)}
                onChange={(on) => setHidden(on ? hidden.filter((id) => id !== column.id) : [...hidden, column.id])}
              >
                {column.head}
              </MenuCheck>
            ))}
          <MenuSeparator />
          <MenuItem icon={<Copy aria-hidden className="size-3.5" />} onSelect={copyCsv}>
            {t("table.copyCsv")}
          </MenuItem>
        </Menu>
      </div>
      {props.rows === undefined ? (
        <SkeletonRows label={t("state.loading")} />
      ) : rows.length === 0 ? (
        props.empty
      ) : (
        <section className="scroll-thin overflow-x-auto" aria-label={props.label} tabIndex={0}>
          <table className="w-full border-separate border-spacing-0 text-sm">
            <caption className="sr-only">{props.label}</caption>
            <thead>
              <tr>
                {props.selection ? (
                  <th scope="col" className="sticky top-0 z-10 w-9 border-b bg-panel px-2 text-left">
                    <input
                      type="checkbox"
                      className="size-4 align-middle"
                      aria-label={t("table.selectAll")}
                      checked={allSelected}
                      onChange={() =>
                        props.selection?.onChange(allSelected ? new Set() : new Set(rows.map(props.rowKey)))
                      }
                    />
                  </th>
                ) : null}
                {columns.map((column) => (
                  <Head key={column.id} column={column} sort={props.sort} />
                ))}
              </tr>
            </thead>
            <tbody ref={body}>
              {rows.map((row, index) => {
                const key = props.rowKey(row);
                const isSelected = selected.has(key);
                return (
                  <tr
                    key={key}
                    data-row
                    data-testid={props.rowTestId}
                    data-key={key}
                    tabIndex={index === Math.min(active, rows.length - 1) ? 0 : -1}
                    aria-selected={props.selection ? isSelected : undefined}
                    onFocus={() => setActive(index)}
                    onKeyDown={(event) => onKeyDown(event, row, index)}
                    onClick={(event) => {
                      if (!props.onOpen || !opensRow(event.target)) return;
                      props.onOpen(row);
                    }}
                    className={cx(
                      "group -outline-offset-2",
                      isSelected ? "bg-selected" : "hover:bg-hover",
                      props.onOpen && "cursor-pointer",
                    )}
                  >
                    {props.selection ? (
                      <td className="w-9 border-b px-2 group-last:border-b-0">
                        <input
                          type="checkbox"
                          className="size-4 align-middle"
                          aria-label={t("table.select", { name: key })}
                          checked={isSelected}
                          onChange={() => toggle(key)}
                        />
                      </td>
                    ) : null}
                    {columns.map((column) => (
                      <td
                        key={column.id}
                        className={cx(
                          "h-9 border-b px-2 py-1 group-last:border-b-0",
                          column.right && "tnum whitespace-nowrap text-right",
                          column.from && FROM[column.from],
                          column.className,
                        )}
                      >
                        {column.cell(row)}
                      </td>
                    ))}
                  </tr>
                );
              })}
            </tbody>
          </table>
        </section>
      )}
      {props.footer && rows.length > 0 ? <div className="border-t px-2 py-1.5">{props.footer}</div> : null}
    </div>
  );
}

/** A press on a control inside the row is meant for the control. */
function opensRow(target: EventTarget): boolean {
  return target instanceof Element && !target.closest("a, button, input, select, textarea, label, [role='menuitem']");
}

function Head<T>({ column, sort }: { column: Column<T>; sort: TableProps<T>["sort"] }) {
  const className = cx(
    "sticky top-0 z-10 h-8 whitespace-nowrap border-b bg-panel px-2 font-medium text-faint text-xs",
    column.right ? "text-right" : "text-left",
    column.from && FROM[column.from],
  );
  const word = column.sort;
  if (!sort || !word)
    return (
      <th scope="col" className={className}>
        {column.head === "" ? <span className="sr-only">{column.id}</span> : column.head}
      </th>
    );
  const up = sort.word === `+${word}` || sort.word === word;
  const down = sort.word === `-${word}`;
  return (
    <th scope="col" className={className} aria-sort={up ? "ascending" : down ? "descending" : "none"}>
      <button
        type="button"
        className="inline-flex items-center gap-1 rounded-sm hover:text-text"
        onClick={() => sort.onChange(down ? word : `-${word}`)}
      >
        {column.head}
        {up ? <ArrowUp aria-hidden className="size-3" /> : null}
        {down ? <ArrowDown aria-hidden className="size-3" /> : null}
      </button>
    </th>
  );
}

/** Page numbers below a table. */
export function Pager({
  page,
  pageSize,
  total,
  onPage,
}: {
  page: number;
  pageSize: number;
  total: number | null;
  onPage: (page: number) => void;
}) {
  const { t } = useTranslation();
  if (total === null) return null;
  const pages = Math.max(1, Math.ceil(total / pageSize));
  return (
    <nav aria-label={t("table.pages")} className="flex items-center justify-between gap-2 text-soft text-xs">
      <span className="tnum px-1">{t("table.total", { count: total })}</span>
      {pages > 1 ? (
        <span className="flex items-center gap-1">
          <Button small look="quiet" disabled={page <= 1} onClick={() => onPage(page - 1)}>
            {t("table.previous")}
          </Button>
          <span className="tnum">
            {page} / {pages}
          </span>
          <Button small look="quiet" disabled={page >= pages} onClick={() => onPage(page + 1)}>
            {t("table.next")}
          </Button>
        </span>
      ) : null}
    </nav>
  );
}
