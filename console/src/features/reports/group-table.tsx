/** The figures of groups of rows, side by side. */
import { useTranslation } from "react-i18next";
import type { Report } from "@/api/reports";
import { formatNumber, formatPercent, formatScore } from "@/shared/format";
import { Panel } from "@/ui/blocks";

type Group = Report["services"][number];

export function GroupTable({
  title,
  groups,
  nameOf,
}: {
  title: string;
  groups: readonly Group[];
  nameOf: (group: Group) => string;
}) {
  const { t } = useTranslation();
  if (groups.length === 0) return null;
  const heads = [
    t("reports.rows"),
    t("reports.accepted"),
    t("reports.acceptance"),
    t("reports.finalScore"),
    t("reports.tokens"),
  ];
  return (
    <Panel title={title} flush>
      <section className="scroll-thin overflow-x-auto" aria-label={title} tabIndex={0}>
        <table className="w-full text-sm">
          <thead>
            <tr className="text-faint text-xs">
              <th scope="col" className="h-8 border-b px-3 text-left font-medium">
                {title}
              </th>
              {heads.map((head) => (
                <th key={head} scope="col" className="h-8 whitespace-nowrap border-b px-3 text-right font-medium">
                  {head}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {groups.map((group) => (
              <tr key={nameOf(group)} className="group hover:bg-hover">
                <th
                  scope="row"
                  className="h-8 max-w-64 truncate border-b px-3 text-left font-normal group-last:border-b-0"
                  title={nameOf(group)}
                >
                  {nameOf(group)}
                </th>
                {[
                  formatNumber(group.rows),
                  formatNumber(group.accepted),
                  formatPercent(group.acceptance),
                  formatScore(group.final_score),
                  formatNumber(group.input_tokens + group.output_tokens),
                ].map((figure, index) => (
                  <td key={heads[index]} className="tnum border-b px-3 text-right group-last:border-b-0">
                    {figure}
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </section>
    </Panel>
  );
}
