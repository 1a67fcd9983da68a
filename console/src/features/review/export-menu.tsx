/** Download rows: what, and as what. */
import { Download } from "lucide-react";
import { useTranslation } from "react-i18next";
import { type ExportFilter, type ExportFormat, exportUrl, type RowFilter } from "@/api/review";
import { Button } from "@/ui/button";
import { Menu, MenuItem, MenuLabel, MenuSeparator } from "@/ui/menu";

const FORMATS: readonly {
  id: "jsonl" | "jsonlMeta" | "csv" | "openai" | "alpaca" | "sharegpt";
  format: ExportFormat;
  meta: boolean;
}[] = [
  { id: "jsonl", format: "jsonl", meta: false },
  { id: "csv", format: "csv", meta: false },
  { id: "jsonlMeta", format: "jsonl", meta: true },
  { id: "openai", format: "openai", meta: false },
  { id: "alpaca", format: "alpaca", meta: false },
  { id: "sharegpt", format: "sharegpt", meta: false },
];

export function ExportMenu({ filter }: { filter: RowFilter }) {
  const { t } = useTranslation();
  // The server takes accepted rows where no status is named.
  const shown: ExportFilter = { ...filter, status: filter.status ?? "all" };
  const scopes = [
    { id: "accepted", label: t("review.exportAccepted"), filter: { ...filter, status: "accepted" as const } },
    {
      id: "confirmed",
      label: t("review.exportConfirmed"),
      filter: { ...filter, status: "accepted" as const, is_confirmed: true },
    },
    { id: "filtered", label: t("review.exportFiltered"), filter: shown },
  ];
  return (
    <Menu
      trigger={
        <Button icon={<Download aria-hidden className="size-3.5" />} data-testid="export">
          {t("review.export")}
        </Button>
      }
    >
      {scopes.map((scope, index) => (
        <div key={scope.id}>
          {index > 0 ? <MenuSeparator /> : null}
          <MenuLabel>{scope.label}</MenuLabel>
          {(index === 0 ? FORMATS : FORMATS.slice(0, 2)).map((choice) => (
            <MenuItem
              key={choice.id}
              href={exportUrl(scope.filter, choice.format, choice.meta)}
              download
              testId={`export-${scope.id}-${choice.id}`}
            >
              {t(`review.formats.${choice.id}`)}
            </MenuItem>
          ))}
        </div>
      ))}
    </Menu>
  );
}
