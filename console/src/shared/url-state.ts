/** A page's filters live in its address, so that they can be kept, shared and gone back to. */
import { useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { useCallback, useMemo } from "react";

export type Search = Record<string, unknown>;

/** What the address says, read by `parse`, and a way to change some of it. Empty values leave the address. */
export function useUrlState<T extends object>(parse: (search: Search) => T) {
  const search = useSearch({ strict: false }) as Search;
  const navigate = useNavigate();
  const state = useMemo(() => parse(search), [parse, search]);
  const change = useCallback(
    (part: Partial<T>, how: { push?: boolean } = {}) => {
      void navigate({
        to: ".",
        replace: !how.push,
        resetScroll: false,
        search: (before: Search) => tidy({ ...before, ...part }),
      });
    },
    [navigate],
  );
  return [state, change] as const;
}

function tidy(search: Search): Search {
  return Object.fromEntries(
    Object.entries(search).filter(([, value]) => value !== undefined && value !== null && value !== ""),
  );
}

export function textOf(value: unknown): string | undefined {
  if (typeof value === "string") return value === "" ? undefined : value;
  return typeof value === "number" ? String(value) : undefined;
}

export function numberOf(value: unknown): number | undefined {
  const number =
    typeof value === "number" ? value : typeof value === "string" && value !== "" ? Number(value) : Number.NaN;
  return Number.isFinite(number) ? number : undefined;
}

export function pageOf(value: unknown): number {
  return Math.max(1, Math.trunc(numberOf(value) ?? 1));
}

export function oneOf<const T extends readonly string[]>(value: unknown, words: T): T[number] | undefined {
  return words.find((word) => word === value);
}

/** A part of the path. The router only shows a page whose path has it. */
export function usePathPart(name: string): string {
  const params = useParams({ strict: false }) as Record<string, string | undefined>;
  return params[name] ?? "";
}
