/** When it fires: by cron or once, in which zone, and what that comes to. */
import { useQuery } from "@tanstack/react-query";
import { useId, useMemo } from "react";
import { useTranslation } from "react-i18next";
import { isApiError } from "@/api/errors";
import { firingsQuery } from "@/api/schedules";
import { formatRelative } from "@/shared/format";
import { Field, Input, Select } from "@/ui/field";
import { isZone, PRESET_NAMES, PRESETS, type TimingForm, timingOf, zoneNames } from "./timing";
import { useSettled } from "./use-settled";
import { useZoned } from "./zoned";

const ROWS = 5;
const PAUSE_MS = 300;

export function TimingFields({
  timing,
  onChange,
  problem,
}: {
  timing: TimingForm;
  onChange: (timing: TimingForm) => void;
  problem: (field: string) => string | undefined;
}) {
  const { t } = useTranslation();
  const set = (part: Partial<TimingForm>) => onChange({ ...timing, ...part });
  const zones = useMemo(zoneNames, []);
  const zonesId = useId();
  const preset = PRESET_NAMES.find((name) => PRESETS[name] === timing.cron.trim().replace(/\s+/g, " "));
  const wanted = timingOf(timing);
  const settled = useSettled(JSON.stringify(wanted && isZone(wanted.timezone) ? wanted : null), PAUSE_MS);
  const asked = JSON.parse(settled) as ReturnType<typeof timingOf>;
  const firings = useQuery({ ...firingsQuery(asked ?? { timezone: "UTC" }), enabled: asked !== null });
  const said = isApiError(firings.error) && asked !== null ? firings.error.fields : [];
  const problemOf = (field: string) => problem(field) ?? said.find((item) => item.field === field)?.message;
  const shown = asked === null || firings.isError ? undefined : firings.data;
  return (
    <fieldset className="flex min-w-0 flex-col gap-3">
      <legend className="mb-2 font-medium text-sm">{t("schedules.form.when")}</legend>
      <div className="flex flex-wrap gap-x-5 gap-y-1">
        {(["cron", "once"] as const).map((mode) => (
          <label key={mode} className="inline-flex items-center gap-2 text-sm pointer-coarse:min-h-10">
            <input
              type="radio"
              name="mode"
              className="size-4"
              checked={timing.mode === mode}
              data-testid={`schedule-mode-${mode}`}
              onChange={() => set({ mode })}
            />
            {mode === "cron" ? t("schedules.form.again") : t("schedules.form.onceAt")}
          </label>
        ))}
      </div>
      <div className="grid gap-4 sm:grid-cols-2">
        {timing.mode === "cron" ? (
          <>
            <Field label={t("schedules.form.presets")}>
              {(wiring) => (
                <Select
                  {...wiring}
                  value={preset ?? ""}
                  data-testid="schedule-preset"
                  onChange={(event) => {
                    const chosen = PRESET_NAMES.find((name) => name === event.target.value);
                    if (chosen) set({ cron: PRESETS[chosen] });
                  }}
                >
                  <option value="" disabled>
                    –
                  </option>
                  {PRESET_NAMES.map((name) => (
                    <option key={name} value={name}>
                      {t(`schedules.form.preset.${name}`)}
                    </option>
                  ))}
                </Select>
              )}
            </Field>
            <Field
              label={t("schedules.form.cron")}
              hint={t("schedules.form.cronHint")}
              error={problemOf("cron")}
              required
            >
              {(wiring) => (
                <Input
                  {...wiring}
                  value={timing.cron}
                  spellCheck={false}
                  autoCapitalize="off"
                  className="font-mono"
                  data-testid="schedule-cron"
                  onChange={(event) => set({ cron: event.target.value })}
                />
              )}
            </Field>
          </>
        ) : (
          <Field label={t("schedules.form.moment")} error={problemOf("run_at")} required>
            {(wiring) => (
              <Input
                {...wiring}
                type="datetime-local"
                value={timing.moment}
                data-testid="schedule-moment"
                onChange={(event) => set({ moment: event.target.value })}
              />
            )}
          </Field>
        )}
        <Field
          label={t("schedules.form.zone")}
          hint={t("schedules.form.zoneHint")}
          error={problemOf("timezone")}
          required
        >
          {(wiring) => (
            <>
              <Input
                {...wiring}
                list={zonesId}
                value={timing.timezone}
                spellCheck={false}
                autoComplete="off"
                data-testid="schedule-zone"
                onChange={(event) => set({ timezone: event.target.value })}
              />
              <datalist id={zonesId}>
                {zones.map((zone) => (
                  <option key={zone} value={zone} />
                ))}
              </datalist>
            </>
          )}
        </Field>
      </div>
      <Firings moments={shown} timezone={timing.timezone} rows={timing.mode === "cron" ? ROWS : 1} />
    </fieldset>
  );
}

function Firings({
  moments,
  timezone,
  rows,
}: {
  moments: readonly string[] | undefined;
  timezone: string;
  rows: number;
}) {
  const { t } = useTranslation();
  const zoned = useZoned();
  return (
    <section
      aria-label={t("schedules.form.firings")}
      className="rounded-md border bg-sunken px-3 py-2"
      style={{ minHeight: `calc(${rows * 1.25 + 2.75}rem)` }}
    >
      <p className="text-faint text-xs">{t("schedules.form.firings")}</p>
      {!moments || moments.length === 0 ? (
        <p className="text-soft text-sm">{t("schedules.form.firingsNone")}</p>
      ) : (
        <ol className="tnum grid grid-cols-[max-content_1fr] gap-x-4 text-sm leading-5" data-testid="schedule-firings">
          {moments.map((moment) => (
            <li key={moment} className="contents">
              <span>{zoned(moment, timezone)}</span>
              <span className="text-faint">{formatRelative(moment)}</span>
            </li>
          ))}
        </ol>
      )}
    </section>
  );
}
