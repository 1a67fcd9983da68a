/** Buttons. One look for each weight: the page's main act, ordinary acts, quiet ones in rows, and destruction. */
import { LoaderCircle } from "lucide-react";
import type { ButtonHTMLAttributes, ReactNode, Ref } from "react";
import { cx } from "./cx";

export type ButtonLook = "primary" | "plain" | "quiet" | "danger";

const LOOKS: Record<ButtonLook, string> = {
  primary: "bg-accent-fill text-on-accent hover:bg-accent-fill-hover border-transparent",
  plain: "bg-panel text-text border-line hover:bg-hover hover:border-line-strong",
  quiet: "bg-transparent text-soft border-transparent hover:bg-hover hover:text-text",
  danger: "bg-danger-fill text-on-danger hover:bg-danger-fill-hover border-transparent",
};

export function buttonClass(look: ButtonLook = "plain", small = false, extra?: string): string {
  return cx(
    "inline-flex shrink-0 select-none items-center justify-center gap-1.5 whitespace-nowrap rounded-md border font-medium",
    "transition-colors duration-100 disabled:pointer-events-none disabled:opacity-50 pointer-coarse:min-h-10",
    small ? "h-7 px-2 text-xs" : "h-8 px-3 text-sm",
    LOOKS[look],
    extra,
  );
}

export interface ButtonProps extends ButtonHTMLAttributes<HTMLButtonElement> {
  look?: ButtonLook;
  small?: boolean;
  busy?: boolean;
  icon?: ReactNode;
  /** The key that does the same, shown on the button. */
  hotkey?: string;
  ref?: Ref<HTMLButtonElement>;
}

export function Button({ look, small, busy, icon, hotkey, className, children, disabled, ...rest }: ButtonProps) {
  return (
    <button
      type="button"
      {...rest}
      disabled={disabled || busy}
      aria-busy={busy || undefined}
      className={buttonClass(look, small, className)}
    >
      {busy ? <LoaderCircle aria-hidden className="size-3.5 animate-spin" /> : icon}
      {children}
      {hotkey ? <Kbd>{hotkey}</Kbd> : null}
    </button>
  );
}

export interface IconButtonProps extends ButtonHTMLAttributes<HTMLButtonElement> {
  label: string;
  icon: ReactNode;
  ref?: Ref<HTMLButtonElement>;
}

/** A button that shows only a picture; its label is read aloud and shown on hover. */
export function IconButton({ label, icon, className, ...rest }: IconButtonProps) {
  return (
    <button
      type="button"
      title={label}
      aria-label={label}
      {...rest}
      className={cx(
        "inline-flex size-8 shrink-0 items-center justify-center rounded-md text-soft transition-colors duration-100",
        "hover:bg-hover hover:text-text disabled:pointer-events-none disabled:opacity-50 pointer-coarse:size-10",
        className,
      )}
    >
      {icon}
    </button>
  );
}

export function Kbd({ children }: { children: ReactNode }) {
  return (
    <kbd
      aria-hidden
      className="inline-flex h-4.5 min-w-4.5 items-center justify-center rounded-sm border border-current/25 px-1 font-mono text-[0.6875rem] leading-none opacity-80 pointer-coarse:hidden"
    >
      {children}
    </kbd>
  );
}
