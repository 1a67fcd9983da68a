/** The filters above a list of jobs, kept in the address. */
import { useTranslation } from "react-i18next";
import { JOB_STATES, type JobStatus } from "@/api/jobs";
import { JOB_TONES } from "@/shared/job-state";
import { SearchBox } from "@/shared/search-box";
import { oneOf } from "@/shared/url-state";
import { Button } from "@/ui/button";
import { cx } from "@/ui/cx";
import { Input, Select } from "@/ui/field";
import { StateShape, TONE_TEXT } from "@/ui/state";
import { isNarrowed, type JobsUrl, LOST, NO_FILTERS, SPANS, statesOf, withState } from "./filters";
import { localInput } from "./local-input";

export interface FilterProps {
  url: JobsUrl;
  setUrl: (part: Partial<JobsUrl>) => void;
  types: readonly string[];
  queues: readonly string[];
  /** Everybody's jobs: more to narrow by. */
  all: boolean;
}

export function JobFilters({ url, setUrl, types, queues, all }: FilterProps) {
  const { t } = useTranslation();
  return (
    <div className="flex flex-wrap items-center gap-2 border-b p-2" data-testid="job-filters">
      <Chips
        states={url.tab === "dead" ? LOST : JOB_STATES}
        chosen={statesOf(url.status)}
        onChange={(state, on) => setUrl({ status: withState(url.status, state, on) })}
      />
      {all ? (
        <>
          <Choice
            label={t("jobs.filter.type")}
            value={url.type}
            options={types}
            onChange={(type) => setUrl({ type })}
            testId="filter-type"
          />
          {queues.length > 1 || url.queue ? (
            <Choice
              label={t("jobs.filter.queue")}
              value={url.queue}
              options={queues}
              onChange={(queue) => setUrl({ queue })}
            />
          ) : null}
          <Input
            type="number"
            inputMode="numeric"
            min={1}
            aria-label={t("jobs.filter.user")}
            placeholder={t("jobs.filter.user")}
            className="w-28"
            value={url.user ?? ""}
            onChange={(event) => setUrl({ user: event.target.value === "" ? undefined : Number(event.target.value) })}
          />
          <Input
            key={url.error ?? ""}
            aria-label={t("jobs.filter.errorCode")}
            placeholder={t("jobs.filter.errorCode")}
            className="w-36"
            spellCheck={false}
            autoCapitalize="off"
            defaultValue={url.error ?? ""}
            onBlur={(event) => setUrl({ error: event.target.value.trim() || undefined })}
            onKeyDown={(event) => {
              if (event.key === "Enter") event.currentTarget.blur();
            }}
          />
          <Made url={url} setUrl={setUrl} />
          <SearchBox
            label={t("jobs.filter.search")}
            value={url.q ?? ""}
            onChange={(q) => setUrl({ q })}
            className="relative w-full sm:w-60"
          />
        </>
      ) : null}
      {isNarrowed(url) ? (
        <Button small look="quiet" onClick={() => setUrl(NO_FILTERS)} data-testid="clear-filters">
          {t("table.clearFilters")}
        </Button>
      ) : null}
    </div>
  );
}

function Chips({
  states,
  chosen,
  onChange,
}: {
  states: readonly JobStatus[];
  chosen: readonly JobStatus[];
  onChange: (state: JobStatus, on: boolean) => void;
}) {
  const { t } = useTranslation();
  return (
    <fieldset className="flex min-w-0 flex-wrap gap-1">
      <legend className="sr-only">{t("jobs.statusLabel")}</legend>
      {states.map((state) => {
        const on = chosen.includes(state);
        const tone = JOB_TONES[state];
        return (
          <button
            key={state}
            type="button"
            aria-pressed={on}
            title={t(`jobs.statusHint.${state}`)}
            data-testid={`state-${state}`}
            onClick={() => onChange(state, !on)}
            className={cx(
              "inline-flex h-7 items-center gap-1 rounded-md border px-2 text-xs transition-colors duration-100 pointer-coarse:h-10",
              on ? "border-accent bg-selected font-medium text-text" : "border-line text-soft hover:bg-hover",
            )}
          >
            <span className={TONE_TEXT[tone]}>
              <StateShape tone={tone} />
            </span>
            {t(`jobs.status.${state}`)}
          </button>
        );
      })}
    </fieldset>
  );
}

function Choice({
  label,
  value,
  options,
  onChange,
  testId,
}: {
  label: string;
  value: string | undefined;
  options: readonly string[];
  onChange: (value: string | undefined) => void;
  testId?: string;
}) {
  const { t } = useTranslation();
  const known = value === undefined || options.includes(value) ? options : [value, ...options];
  return (
    <Select
      aria-label={label}
      className="w-44"
      value={value ?? ""}
      data-testid={testId}
      onChange={(event) => onChange(event.target.value || undefined)}
    >
      <option value="">{`${label}: ${t("state.all")}`}</option>
      {known.map((option) => (
        <option key={option} value={option}>
          {option}
        </option>
      ))}
    </Select>
  );
}

function Made({ url, setUrl }: Pick<FilterProps, "url" | "setUrl">) {
  const { t } = useTranslation();
  const moment = (text: string) => (text === "" ? undefined : new Date(text).toISOString());
  return (
    <>
      <Select
        aria-label={t("jobs.filter.made")}
        className="w-44"
        value={url.span ?? ""}
        onChange={(event) => setUrl({ span: oneOf(event.target.value, SPANS), from: undefined, to: undefined })}
      >
        <option value="">{`${t("jobs.filter.made")}: ${t("jobs.filter.any")}`}</option>
        {SPANS.map((span) => (
          <option key={span} value={span}>
            {t(`jobs.filter.span.${span}`)}
          </option>
        ))}
      </Select>
      {url.span === "custom" ? (
        <>
          <Input
            type="datetime-local"
            aria-label={t("jobs.filter.from")}
            className="w-48"
            value={localInput(url.from)}
            onChange={(event) => setUrl({ from: moment(event.target.value) })}
          />
          <Input
            type="datetime-local"
            aria-label={t("jobs.filter.to")}
            className="w-48"
            value={localInput(url.to)}
            onChange={(event) => setUrl({ to: moment(event.target.value) })}
          />
        </>
      ) : null}
    </>
  );
}
