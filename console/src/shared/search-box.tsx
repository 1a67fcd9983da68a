/** A search field that reports when typing pauses, so that each letter does not ask the server. */
import { Search, X } from "lucide-react";
import { useEffect, useEffectEvent, useState } from "react";
import { useTranslation } from "react-i18next";
import { IconButton } from "@/ui/button";
import { Input } from "@/ui/field";

const PAUSE_MS = 250;

export function SearchBox({
  value,
  onChange,
  label,
  className,
}: {
  value: string;
  onChange: (value: string) => void;
  label: string;
  className?: string;
}) {
  const { t } = useTranslation();
  const [text, setText] = useState(value);
  const report = useEffectEvent((next: string) => onChange(next));
  useEffect(() => setText(value), [value]);
  useEffect(() => {
    if (text === value) return;
    const timer = setTimeout(() => report(text), PAUSE_MS);
    return () => clearTimeout(timer);
  }, [text, value]);
  return (
    <div role="search" className={className ?? "relative w-full max-w-64"}>
      <Search
        aria-hidden
        className="pointer-events-none absolute top-1/2 left-2 size-3.5 -translate-y-1/2 text-faint"
      />
      <Input
        type="text"
        inputMode="search"
        aria-label={label}
        placeholder={label}
        value={text}
        className="pr-8 pl-7"
        onChange={(event) => setText(event.target.value)}
        onKeyDown={(event) => {
          if (event.key === "Enter" && !event.nativeEvent.isComposing) onChange(text);
          if (event.key === "Escape" && text !== "") {
            event.stopPropagation();
            setText("");
          }
        }}
      />
      {text === "" ? null : (
        <IconButton
          label={t("table.clearFilters")}
          icon={<X aria-hidden className="size-3.5" />}
          className="absolute top-1/2 right-1 size-6 -translate-y-1/2"
          onClick={() => setText("")}
        />
      )}
    </div>
  );
}
