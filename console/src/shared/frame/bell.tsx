/** The bell in the top bar: how many alerts nobody has taken up. Administrators only. */
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { Bell as BellIcon } from "lucide-react";
import { useTranslation } from "react-i18next";
import { COUNTED, openAlertsQuery } from "@/api/alerts";

const REFRESH_MS = 20_000;

export function Bell() {
  const { t } = useTranslation();
  const { data } = useQuery({ ...openAlertsQuery, refetchInterval: REFRESH_MS });
  const count = data?.length ?? 0;
  const words = count === 0 ? t("alerts.noneOpen") : t("alerts.bell", { count });
  return (
    <Link
      to="/alerts"
      aria-label={words}
      title={words}
      data-testid="bell"
      data-count={count}
      className="relative inline-flex size-8 shrink-0 items-center justify-center rounded-md text-soft hover:bg-hover hover:text-text pointer-coarse:size-10"
    >
      <BellIcon aria-hidden className="size-4" />
      {count > 0 ? (
        <span
          aria-hidden
          className="tnum absolute top-0.5 right-0 flex h-4 min-w-4 items-center justify-center rounded-full bg-danger-fill px-1 font-medium text-[0.625rem] text-on-danger leading-none"
        >
          {count >= COUNTED ? `${COUNTED - 1}+` : count}
        </span>
      ) : null}
    </Link>
  );
}
