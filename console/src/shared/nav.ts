/** The pages there are, in the groups of the rail. A group without pages is not shown. */
import {
  ClipboardCheck,
  Cpu,
  FileStack,
  Gauge,
  KeyRound,
  type LucideIcon,
  Route,
  ScrollText,
  Waves,
} from "lucide-react";

export type NavGroup = "use" | "make" | "run" | "govern";
export type NavKey = "dashboard" | "samples" | "tasks" | "review" | "reports" | "channels" | "localModels" | "keys";

export interface NavItem {
  key: NavKey;
  to: "/" | "/samples" | "/tasks" | "/review" | "/reports" | "/channels" | "/local-models" | "/keys";
  icon: LucideIcon;
  group: NavGroup | null;
  adminOnly?: boolean;
}

export const NAV: readonly NavItem[] = [
  { key: "dashboard", to: "/", icon: Gauge, group: null },
  { key: "samples", to: "/samples", icon: FileStack, group: "make" },
  { key: "tasks", to: "/tasks", icon: Waves, group: "make" },
  { key: "review", to: "/review", icon: ClipboardCheck, group: "make" },
  { key: "reports", to: "/reports", icon: ScrollText, group: "make" },
  { key: "channels", to: "/channels", icon: Route, group: "run", adminOnly: true },
  { key: "localModels", to: "/local-models", icon: Cpu, group: "run" },
  { key: "keys", to: "/keys", icon: KeyRound, group: "run" },
];

export const GROUPS: readonly NavGroup[] = ["use", "make", "run", "govern"];

export function navFor(isAdmin: boolean): NavItem[] {
  return NAV.filter((item) => isAdmin || !item.adminOnly);
}
