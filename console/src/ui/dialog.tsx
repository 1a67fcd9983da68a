/** Dialogs in the middle and sheets at the side; both trap focus and give it back. */
import { X } from "lucide-react";
import { Dialog as Primitive } from "radix-ui";
import type { ReactNode } from "react";
import { IconButton } from "./button";
import { cx } from "./cx";

export interface DialogProps {
  open: boolean;
  onOpenChange: (open: boolean) => void;
  title: ReactNode;
  description?: ReactNode;
  closeLabel: string;
  children: ReactNode;
  footer?: ReactNode;
  /** `side` slides over from the right and is meant for looking beside the page. */
  place?: "middle" | "side";
  wide?: boolean;
  /** Keep the dialog open when the ground beside it is pressed. */
  sticky?: boolean;
  testId?: string;
}

export function Dialog(props: DialogProps) {
  const side = props.place === "side";
  const hold = (event: Event) => {
    if (props.sticky) event.preventDefault();
  };
  return (
    <Primitive.Root open={props.open} onOpenChange={props.onOpenChange}>
      <Primitive.Portal>
        <Primitive.Overlay className="fixed inset-0 z-40 bg-overlay" />
        <Primitive.Content
          data-testid={props.testId}
          onPointerDownOutside={hold}
          onInteractOutside={hold}
          aria-describedby={props.description ? undefined : ""}
          className={cx(
            "fixed z-50 flex flex-col border border-line bg-panel shadow-lift outline-none",
            side
              ? "inset-y-0 right-0 w-full rounded-l-md border-y-0 border-r-0"
              : "top-[8dvh] left-1/2 max-h-[84dvh] w-[calc(100vw-2rem)] -translate-x-1/2 rounded-md",
            side ? (props.wide ? "max-w-3xl" : "max-w-lg") : props.wide ? "max-w-2xl" : "max-w-md",
          )}
        >
          <header className="flex items-start gap-3 border-b px-4 py-3">
            <div className="min-w-0 flex-1">
              <Primitive.Title className="font-semibold text-lg">{props.title}</Primitive.Title>
              {props.description ? (
                <Primitive.Description className="mt-0.5 text-soft text-sm">{props.description}</Primitive.Description>
              ) : null}
            </div>
            <Primitive.Close asChild>
              <IconButton label={props.closeLabel} icon={<X aria-hidden className="size-4" />} />
            </Primitive.Close>
          </header>
          <div className="scroll-thin min-h-0 flex-1 overflow-y-auto px-4 py-4">{props.children}</div>
          {props.footer ? (
            <footer className="flex flex-wrap items-center justify-end gap-2 border-t px-4 py-3">{props.footer}</footer>
          ) : null}
        </Primitive.Content>
      </Primitive.Portal>
    </Primitive.Root>
  );
}
