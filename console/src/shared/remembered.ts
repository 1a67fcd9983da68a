/** State that outlives the visit, kept in the browser's storage. */
import { useCallback, useState } from "react";

function read<T>(key: string, fallback: T, isValid: (value: unknown) => value is T): T {
  const stored = localStorage.getItem(key);
  if (stored === null) return fallback;
  try {
    const value: unknown = JSON.parse(stored);
    return isValid(value) ? value : fallback;
  } catch {
    return fallback; // Written by hand or by an older console: the default is as good.
  }
}

export function useRemembered<T>(name: string, fallback: T, isValid: (value: unknown) => value is T) {
  const key = `tidemill.${name}`;
  const [value, setValue] = useState<T>(() => read(key, fallback, isValid));
  const remember = useCallback(
    (next: T) => {
      setValue(next);
      localStorage.setItem(key, JSON.stringify(next));
    },
    [key],
  );
  return [value, remember] as const;
}

export const isBoolean = (value: unknown): value is boolean => typeof value === "boolean";
export const isStringList = (value: unknown): value is string[] =>
  Array.isArray(value) && value.every((item) => typeof item === "string");
