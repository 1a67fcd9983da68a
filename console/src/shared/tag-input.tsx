/** A list of short texts: Enter (or a pasted list) adds, Backspace in an empty field takes the last one back. */
import { X } from "lucide-react";
import { useState } from "react";
import type { FieldWiring } from "@/ui/field";

export interface TagInputProps {
  wiring: FieldWiring;
  values: readonly string[];
  onChange: (values: string[]) => void;
  removeLabel: (value: string) => string;
  placeholder?: string;
  testId?: string;
}

export function TagInput({ wiring, values, onChange, removeLabel, placeholder, testId }: TagInputProps) {
  const [text, setText] = useState("");
  const add = (typed: string) => {
    const parts = typed.split(/[\n,，、;；]/).map((part) => part.trim());
    const fresh = [...new Set(parts)].filter((part) => part !== "" && !values.includes(part));
    if (fresh.length > 0) onChange([...values, ...fresh]);
    setText("");
  };
  return (
    <div className="flex min-h-8 flex-wrap items-center gap-1 rounded-md border border-line-strong bg-panel px-1.5 py-1 focus-within:outline-2 focus-within:outline-focus">
      {values.map((value) => (
        <span
          key={value}
          className="inline-flex h-6 max-w-full items-center gap-0.5 rounded-sm bg-accent-soft pl-1.5 text-sm text-text"
        >
          <span className="truncate">{value}</span>
          <button
            type="button"
            aria-label={removeLabel(value)}
            className="flex size-6 items-center justify-center rounded-sm text-soft hover:text-text"
            onClick={() => onChange(values.filter((other) => other !== value))}
          >
            <X aria-hidden className="size-3" />
          </button>
        </span>
      ))}
      <input
        {...wiring}
        type="text"
        value={text}
        data-testid={testId}
        placeholder={values.length === 0 ? placeholder : undefined}
        className="h-6 min-w-24 flex-1 bg-transparent px-1 text-sm outline-none"
        onChange={(event) => setText(event.target.value)}
        onBlur={() => add(text)}
        onPaste={(event) => {
          const pasted = event.clipboardData.getData("text");
          if (!/[\n,，、;；]/.test(pasted)) return;
          event.preventDefault();
          add(text + pasted);
        }}
        onKeyDown={(event) => {
          if (event.nativeEvent.isComposing) return;
          if (event.key === "Enter") {
            event.preventDefault();
            add(text);
          }
          if (event.key === "Backspace" && text === "" && values.length > 0) onChange(values.slice(0, -1));
        }}
      />
    </div>
  );
}
