/** For addresses that lead nowhere. */
import { Link } from "@tanstack/react-router";
import { Compass } from "lucide-react";
import { useTranslation } from "react-i18next";
import { Empty } from "@/ui/blocks";
import { buttonClass } from "@/ui/button";

export function NotFound() {
  const { t } = useTranslation();
  return (
    <div className="pt-[12dvh]">
      <h1 className="sr-only">{t("errors.notFoundTitle")}</h1>
      <Empty
        icon={<Compass aria-hidden />}
        title={t("errors.notFoundTitle")}
        action={
          <Link to="/" className={buttonClass("primary")}>
            {t("errors.toDashboard")}
          </Link>
        }
      >
        {t("errors.notFound")}
      </Empty>
    </div>
  );
}
