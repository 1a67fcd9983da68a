/** Drop-down menus. */
import { Check } from "lucide-react";
import { DropdownMenu as Primitive } from "radix-ui";
import type { ReactNode } from "react";
import { cx } from "./cx";

const ITEM =
  "flex min-h-8 w-full cursor-default select-none items-center gap-2 rounded-sm px-2 py-1 text-sm outline-none " +
  "data-disabled:opacity-50 data-highlighted:bg-hover pointer-coarse:min-h-10";

export function Menu({
  trigger,
  children,
  align = "end",
}: {
  trigger: ReactNode;
  children: ReactNode;
  align?: "start" | "end";
}) {
  return (
    <Primitive.Root>
      <Primitive.Trigger asChild>{trigger}</Primitive.Trigger>
      <Primitive.Portal>
        <Primitive.Content
          align={align}
          sideOffset={4}
          collisionPadding={8}
          className="z-50 min-w-44 max-w-80 rounded-md border border-line bg-panel p-1 shadow-lift"
        >
          {children}
        </Primitive.Content>
      </Primitive.Portal>
    </Primitive.Root>
  );
}

export interface MenuItemProps {
  icon?: ReactNode;
  children: ReactNode;
  onSelect?: () => void;
  danger?: boolean;
  disabled?: boolean;
  /** Make the item a download or a plain link. */
  href?: string;
  download?: boolean;
  testId?: string;
}

export function MenuItem({ icon, children, onSelect, danger, disabled, href, download, testId }: MenuItemProps) {
  const look = cx(ITEM, danger && "text-failed");
  return href ? (
    <Primitive.Item asChild disabled={disabled}>
      <a href={href} download={download ? "" : undefined} className={look} data-testid={testId}>
        {icon}
        {children}
      </a>
    </Primitive.Item>
  ) : (
    <Primitive.Item disabled={disabled} onSelect={onSelect} className={look} data-testid={testId}>
      {icon}
      {children}
    </Primitive.Item>
  );
}

export function MenuCheck({
  checked,
  onChange,
  children,
}: {
  checked: boolean;
  onChange: (on: boolean) => void;
  children: ReactNode;
}) {
  return (
    <Primitive.CheckboxItem
      checked={checked}
      onCheckedChange={onChange}
      onSelect={(event) => event.preventDefault()}
      className={ITEM}
    >
      <span className="flex size-4 items-center justify-center">
        <Primitive.ItemIndicator>
          <Check aria-hidden className="size-3.5" />
        </Primitive.ItemIndicator>
      </span>
      {children}
    </Primitive.CheckboxItem>
  );
}

export function MenuLabel({ children }: { children: ReactNode }) {
  return <Primitive.Label className="px-2 py-1 text-faint text-xs">{children}</Primitive.Label>;
}

export function MenuSeparator() {
  return <Primitive.Separator className="-mx-1 my-1 h-px bg-line" />;
}
