/** Form controls: a label that belongs to its control, a hint, and the error that names what to change. */
import {
  type InputHTMLAttributes,
  type ReactNode,
  type Ref,
  type SelectHTMLAttributes,
  type TextareaHTMLAttributes,
  useId,
} from "react";
import { cx } from "./cx";

const CONTROL =
  "rounded-md border border-line-strong bg-panel px-2.5 text-sm text-text disabled:opacity-60 " +
  "aria-invalid:border-failed-bar aria-invalid:outline-failed-bar";

/** Controls fill their place unless the caller names a width or a height. */
function sized(className: string | undefined, height: string): string {
  return cx(!/(^|\s)w-/.test(className ?? "") && "w-full", !/(^|\s)h-/.test(className ?? "") && height, className);
}

export interface FieldWiring {
  id: string;
  "aria-describedby": string | undefined;
  "aria-invalid": true | undefined;
  "aria-required": true | undefined;
}

export interface FieldProps {
  label: ReactNode;
  hint?: ReactNode;
  error?: string | undefined;
  required?: boolean;
  className?: string;
  children: (wiring: FieldWiring) => ReactNode;
}

export function Field({ label, hint, error, required, className, children }: FieldProps) {
  const id = useId();
  const hintId = hint ? `${id}-hint` : undefined;
  const errorId = error ? `${id}-error` : undefined;
  return (
    <div className={cx("flex min-w-0 flex-col gap-1", className)}>
      <label htmlFor={id} className="font-medium text-sm text-text">
        {label}
        {required ? (
          <span aria-hidden className="text-failed">
            {" "}
            *
          </span>
        ) : null}
      </label>
      {children({
        id,
        "aria-describedby": [hintId, errorId].filter(Boolean).join(" ") || undefined,
        "aria-invalid": error ? true : undefined,
        "aria-required": required ? true : undefined,
      })}
      {hint ? (
        <p id={hintId} className="text-faint text-xs">
          {hint}
        </p>
      ) : null}
      {error ? (
        <p id={errorId} role="alert" className="text-failed text-xs">
          {error}
        </p>
      ) : null}
    </div>
  );
}

export function Input({ className, ...rest }: InputHTMLAttributes<HTMLInputElement> & { ref?: Ref<HTMLInputElement> }) {
  return (
    <input
      {...rest}
      className={cx(CONTROL, rest.type === "number" && "tnum", sized(className, "h-8 pointer-coarse:h-10"))}
    />
  );
}

export function Textarea({
  className,
  ...rest
}: TextareaHTMLAttributes<HTMLTextAreaElement> & { ref?: Ref<HTMLTextAreaElement> }) {
  return <textarea {...rest} className={cx(CONTROL, "py-1.5", sized(className, "min-h-16"))} />;
}

/** The platform's own select: fast, accessible, and at home on a phone. */
export function Select({
  className,
  ...rest
}: SelectHTMLAttributes<HTMLSelectElement> & { ref?: Ref<HTMLSelectElement> }) {
  return <select {...rest} className={cx(CONTROL, "pr-7", sized(className, "h-8 pointer-coarse:h-10"))} />;
}

export function Checkbox({ label, className, ...rest }: InputHTMLAttributes<HTMLInputElement> & { label: ReactNode }) {
  return (
    <label className={cx("inline-flex items-center gap-2 text-sm pointer-coarse:min-h-10", className)}>
      <input {...rest} type="checkbox" className="size-4 shrink-0" />
      <span>{label}</span>
    </label>
  );
}
