/** The pages there are, in the groups of the rail. A group without pages is not shown. */
import {
  BellRing,
  CalendarClock,
  ClipboardCheck,
  Cpu,
  FileStack,
  Gauge,
  KeyRound,
  Layers,
  type LucideIcon,
  PhoneOutgoing,
  Route,
  ScrollText,
  Waves,
} from "lucide-react";

export type NavGroup = "use" | "make" | "run" | "govern";
export type NavKey =
  | "dashboard"
  | "samples"
  | "tasks"
  | "review"
  | "reports"
  | "channels"
  | "calls"
  | "alerts"
  | "localModels"
  | "keys"
  | "schedules"
  | "jobs"
  | "myJobs";

export interface NavItem {
  key: NavKey;
  to:
    | "/"
    | "/samples"
    | "/tasks"
    | "/review"
    | "/reports"
    | "/channels"
    | "/calls"
    | "/alerts"
    | "/local-models"
    | "/keys"
    | "/schedules"
    | "/jobs";
  icon: LucideIcon;
  group: NavGroup | null;
  adminOnly?: boolean;
  /** Administrators have another entry for the same. */
  othersOnly?: boolean;
}

export const NAV: readonly NavItem[] = [
  { key: "dashboard", to: "/", icon: Gauge, group: null },
  { key: "samples", to: "/samples", icon: FileStack, group: "make" },
  { key: "tasks", to: "/tasks", icon: Waves, group: "make" },
  { key: "review", to: "/review", icon: ClipboardCheck, group: "make" },
  { key: "reports", to: "/reports", icon: ScrollText, group: "make" },
  { key: "schedules", to: "/schedules", icon: CalendarClock, group: "make" },
  { key: "myJobs", to: "/jobs", icon: Layers, group: "make", othersOnly: true },
  { key: "channels", to: "/channels", icon: Route, group: "run", adminOnly: true },
  { key: "calls", to: "/calls", icon: PhoneOutgoing, group: "run" },
  { key: "localModels", to: "/local-models", icon: Cpu, group: "run" },
  { key: "keys", to: "/keys", icon: KeyRound, group: "run" },
  { key: "alerts", to: "/alerts", icon: BellRing, group: "govern", adminOnly: true },
  { key: "jobs", to: "/jobs", icon: Layers, group: "govern", adminOnly: true },
];

export const GROUPS: readonly NavGroup[] = ["use", "make", "run", "govern"];

export function navFor(isAdmin: boolean): NavItem[] {
  return NAV.filter((item) => (isAdmin ? !item.othersOnly : !item.adminOnly));
}
