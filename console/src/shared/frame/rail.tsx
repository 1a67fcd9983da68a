/** The left rail: where one can go. On a phone it is a drawer. */
import { Link } from "@tanstack/react-router";
import { PanelLeftClose, PanelLeftOpen } from "lucide-react";
import { useTranslation } from "react-i18next";
import { IconButton } from "@/ui/button";
import { cx } from "@/ui/cx";
import { useMe } from "../me";
import { GROUPS, type NavItem, navFor } from "../nav";

export function Mark({ className }: { className?: string }) {
  return <img src="/mark.svg" alt="" className={cx("size-6", className)} />;
}

function RailLink({ item, narrow, onGo }: { item: NavItem; narrow: boolean; onGo?: () => void }) {
  const { t } = useTranslation();
  const Icon = item.icon;
  const label = t(`nav.${item.key}`);
  return (
    <Link
      to={item.to}
      onClick={onGo}
      title={narrow ? label : undefined}
      activeOptions={{ exact: item.to === "/" }}
      data-testid={`nav-${item.key}`}
      className={cx(
        "flex h-8 items-center gap-2.5 rounded-md px-2 text-sm text-soft transition-colors duration-100 hover:bg-hover hover:text-text pointer-coarse:h-11",
        "aria-[current=page]:bg-selected aria-[current=page]:font-medium aria-[current=page]:text-text",
        narrow && "justify-center",
      )}
    >
      <Icon aria-hidden className="size-4 shrink-0" />
      <span className={narrow ? "sr-only" : "truncate"}>{label}</span>
    </Link>
  );
}

export interface RailProps {
  narrow: boolean;
  onNarrow?: (narrow: boolean) => void;
  onGo?: () => void;
}

export function Rail({ narrow, onNarrow, onGo }: RailProps) {
  const { t } = useTranslation();
  const me = useMe();
  const items = navFor(me.is_admin);
  return (
    <nav aria-label={t("nav.label")} className="flex h-full flex-col gap-1 p-2">
      <Link
        to="/"
        onClick={onGo}
        className={cx("mb-2 flex h-9 items-center gap-2 rounded-md px-1.5", narrow && "justify-center")}
        aria-label="Tidemill"
      >
        <Mark className="shrink-0" />
        {narrow ? null : <span className="font-semibold text-base tracking-tight">Tidemill</span>}
      </Link>
      {items
        .filter((item) => item.group === null)
        .map((item) => (
          <RailLink key={item.key} item={item} narrow={narrow} onGo={onGo} />
        ))}
      {GROUPS.map((group) => {
        const inGroup = items.filter((item) => item.group === group);
        if (inGroup.length === 0) return null;
        return (
          <div key={group} className="mt-3 flex flex-col gap-0.5">
            {narrow ? (
              <hr className="mx-2 mb-1" aria-hidden />
            ) : (
              <p className="px-2 pb-0.5 text-faint text-xs">{t(`nav.group.${group}`)}</p>
            )}
            {inGroup.map((item) => (
              <RailLink key={item.key} item={item} narrow={narrow} onGo={onGo} />
            ))}
          </div>
        );
      })}
      {onNarrow ? (
        <IconButton
          className={cx("mt-auto", narrow ? "self-center" : "self-start")}
          label={narrow ? t("nav.expand") : t("nav.collapse")}
          icon={
            narrow ? (
              <PanelLeftOpen aria-hidden className="size-4" />
            ) : (
              <PanelLeftClose aria-hidden className="size-4" />
            )
          }
          onClick={() => onNarrow(!narrow)}
        />
      ) : null}
    </nav>
  );
}
