/** The workbench's filters, in one row. */
import { useQuery } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import { tasksQuery } from "@/api/tasks";
import { ROW_WORDS } from "@/shared/row-state";
import { SearchBox } from "@/shared/search-box";
import { useTypeTitle } from "@/shared/task-state";
import { numberOf, oneOf } from "@/shared/url-state";
import { Button } from "@/ui/button";
import { Input, Select } from "@/ui/field";
import { isNarrowed, type ReviewUrl, SORT_NAMES, STATUSES } from "./filters";

export function FilterBar({ url, setUrl }: { url: ReviewUrl; setUrl: (part: Partial<ReviewUrl>) => void }) {
  const { t } = useTranslation();
  const typeTitle = useTypeTitle();
  const { data: tasks } = useQuery(tasksQuery());
  const set = (part: Partial<ReviewUrl>) => setUrl({ ...part, row: undefined });
  const known = tasks?.items ?? [];
  const unlisted = url.task_id !== undefined && !known.some((task) => task.task_id === url.task_id);
  return (
    <div className="mb-3 flex flex-wrap items-center gap-2">
      <Select
        aria-label={t("review.filter.task")}
        className="w-52"
        value={url.task_id ?? ""}
        onChange={(event) => set({ task_id: event.target.value || undefined })}
        data-testid="filter-task"
      >
        <option value="">{t("review.filter.allTasks")}</option>
        {unlisted ? <option value={url.task_id}>{url.task_id}</option> : null}
        {known.map((task) => (
          <option key={task.task_id} value={task.task_id}>
            {`${typeTitle(task.task_type)} · ${task.task_id}`}
          </option>
        ))}
      </Select>
      <Select
        aria-label={t("review.filter.status")}
        className="w-auto"
        value={url.status ?? ""}
        onChange={(event) => set({ status: oneOf(event.target.value, STATUSES) })}
        data-testid="filter-status"
      >
        <option value="">{`${t("review.filter.status")}: ${t("state.all")}`}</option>
        {STATUSES.map((status) => (
          <option key={status} value={status}>
            {t(ROW_WORDS[status])}
          </option>
        ))}
      </Select>
      <Select
        aria-label={t("review.filter.confirmed")}
        className="w-auto"
        value={url.confirmed ?? ""}
        onChange={(event) => set({ confirmed: oneOf(event.target.value, ["yes", "no"]) })}
      >
        <option value="">{`${t("review.filter.confirmed")}: ${t("state.all")}`}</option>
        <option value="yes">{t("review.confirmed")}</option>
        <option value="no">{t("review.notConfirmed")}</option>
      </Select>
      <ScoreInput label={t("review.filter.min")} value={url.min} onChange={(min) => set({ min })} />
      <ScoreInput label={t("review.filter.max")} value={url.max} onChange={(max) => set({ max })} />
      <SearchBox
        className="relative w-44"
        label={t("review.filter.text")}
        value={url.q ?? ""}
        onChange={(q) => set({ q: q || undefined })}
      />
      <Select
        aria-label={t("review.filter.sort")}
        className="w-auto"
        value={url.sort ?? "newest"}
        onChange={(event) => set({ sort: oneOf(event.target.value, SORT_NAMES) })}
      >
        {SORT_NAMES.map((sort) => (
          <option key={sort} value={sort}>
            {t(`review.sort.${sort}`)}
          </option>
        ))}
      </Select>
      {isNarrowed(url) ? (
        <Button
          small
          look="quiet"
          onClick={() =>
            set({
              task_id: undefined,
              task_type: undefined,
              status: undefined,
              confirmed: undefined,
              min: undefined,
              max: undefined,
              q: undefined,
            })
          }
        >
          {t("table.clearFilters")}
        </Button>
      ) : null}
    </div>
  );
}

function ScoreInput({
  label,
  value,
  onChange,
}: {
  label: string;
  value: number | undefined;
  onChange: (value: number | undefined) => void;
}) {
  return (
    <Input
      type="number"
      min={0}
      max={10}
      step={0.5}
      aria-label={label}
      placeholder={label}
      className="w-24"
      value={value ?? ""}
      onChange={(event) => onChange(numberOf(event.target.value))}
    />
  );
}
