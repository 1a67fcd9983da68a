/** How one channel has been doing: what keeps calls from it, its keys, its day, and what went wrong last. */
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { callsQuery } from "@/api/calls";
import { type Channel, type ChannelReport, channelReportQuery, setChannelKey } from "@/api/channels";
import { ChannelBadge } from "@/shared/channel-state";
import { Strip, type StripBar } from "@/shared/charts";
import { formatDateTime, formatMs, formatNumber, formatPercent } from "@/shared/format";
import { useWrite } from "@/shared/mutation";
import { Time } from "@/shared/time";
import { Facts } from "@/ui/blocks";
import { Button } from "@/ui/button";
import { StateBadge, type Tone } from "@/ui/state";
import { errorShare } from "./channel-figures";
import { Health } from "./health";

const REFRESH_MS = 10_000;
const LAST_ERRORS = 6;

export function ChannelOverview({ channel }: { channel: Channel }) {
  const { t } = useTranslation();
  return (
    <div className="flex flex-col gap-5">
      <div>
        <div className="mb-3">
          <ChannelBadge channel={channel} />
          {channel.status_reason ? <p className="mt-1 text-soft text-sm">{channel.status_reason}</p> : null}
        </div>
        <Facts
          items={[
            {
              label: t("channels.inFlight"),
              value: channel.limit ? `${channel.in_flight} / ${channel.limit}` : formatNumber(channel.in_flight),
            },
            { label: t("channels.requests"), value: formatNumber(channel.requests) },
            { label: t("channels.errors"), value: formatPercent(errorShare(channel), 1) },
            { label: t("channels.latency"), value: `${formatMs(channel.p50_ms)} / ${formatMs(channel.p95_ms)}` },
            ...(channel.balance
              ? [
                  {
                    label: t("channels.balance"),
                    value: (
                      <span title={formatDateTime(channel.balance_at)}>
                        {channel.balance} {channel.balance_currency ?? ""}
                      </span>
                    ),
                  },
                ]
              : []),
          ]}
        />
        {channel.last_error ? (
          <div className="mt-3">
            <p className="text-faint text-xs">{t("channels.lastError")}</p>
            <p className="whitespace-pre-wrap break-words font-mono text-failed text-xs">{channel.last_error}</p>
          </div>
        ) : null}
      </div>
      <Lanes channel={channel} />
      <Keys channel={channel} />
      {channel.read_only && channel.id < 0 ? null : <Health id={channel.id} />}
      <Day id={channel.id} />
      <LastErrors id={channel.id} />
    </div>
  );
}

export function Section({ title, aside, children }: { title: string; aside?: ReactNode; children: ReactNode }) {
  return (
    <section>
      <h3 className="mb-1.5 flex items-baseline justify-between gap-2 font-semibold text-sm">
        {title}
        {aside}
      </h3>
      {children}
    </section>
  );
}

const LANE_TONES: Record<Channel["breaker"], Tone> = { closed: "warn", half_open: "warn", open: "failed" };

/** What a breaker or a pause keeps calls from, and why. */
function Lanes({ channel }: { channel: Channel }) {
  const { t } = useTranslation();
  const lanes = channel.lanes ?? [];
  if (lanes.length === 0) return null;
  return (
    <Section title={t("channels.lanes.title")}>
      <ul className="divide-y rounded-md border" data-testid="channel-lanes">
        {lanes.map((lane) => (
          <li
            key={`${lane.key_last4 ?? ""}/${lane.model ?? ""}`}
            className="grid grid-cols-[auto_1fr_auto] items-center gap-x-2 px-2 py-1.5 text-sm"
          >
            <StateBadge tone={LANE_TONES[lane.breaker]}>{t(`channels.lanes.${lane.breaker}`)}</StateBadge>
            <span className="min-w-0 truncate font-mono text-xs">
              {[lane.key_last4 ? `…${lane.key_last4}` : null, lane.model].filter(Boolean).join(" · ") ||
                t("channels.lanes.whole")}
            </span>
            <span className="tnum text-faint text-xs">
              {lane.retry_in_s > 0 ? t("channels.lanes.retryIn", { seconds: Math.ceil(lane.retry_in_s) }) : null}
            </span>
            {lane.reason ? (
              <span className="col-span-3 mt-0.5 break-words text-soft text-xs">{lane.reason}</span>
            ) : null}
          </li>
        ))}
      </ul>
    </Section>
  );
}

function Keys({ channel }: { channel: Channel }) {
  const { t } = useTranslation();
  const change = useWrite({
    run: ({ id, act }: { id: string; act: "enable" | "disable" }) => setChannelKey(channel.id, id, act),
    refresh: [["channels"]],
    done: (_, { act }) => t(act === "enable" ? "channels.keyEnabled" : "channels.keyDisabled"),
  });
  if (channel.keys.length === 0) return null;
  return (
    <Section title={t("channels.keys")}>
      <ul className="divide-y rounded-md border" data-testid="channel-keys">
        {channel.keys.map((key) => {
          const off = key.status === "disabled";
          return (
            <li key={key.id} className="flex min-h-9 flex-wrap items-center gap-2 px-2 py-1 text-sm">
              <span className="font-mono text-xs">…{key.last4 || "????"}</span>
              <StateBadge tone={off ? "failed" : "done"}>{t(`channels.keyStatus.${key.status}`)}</StateBadge>
              {key.changed_at ? (
                <span className="text-faint text-xs">
                  <Time at={key.changed_at} />
                </span>
              ) : null}
              {channel.read_only && channel.id < 0 ? null : (
                <Button
                  small
                  look="quiet"
                  className="ml-auto"
                  busy={change.isPending && change.variables.id === key.id}
                  onClick={() => change.mutate({ id: key.id, act: off ? "enable" : "disable" })}
                  data-testid={off ? "key-enable" : "key-disable"}
                >
                  {off ? t("channels.enable") : t("channels.disable")}
                </Button>
              )}
              {key.reason ? <span className="basis-full break-words text-soft text-xs">{key.reason}</span> : null}
            </li>
          );
        })}
      </ul>
    </Section>
  );
}

const HOURS = 24;
const HOUR_MS = 3_600_000;

function hourBars(report: ChannelReport, say: (hour: ChannelReport["series"][number]) => string): StripBar[] {
  const known = new Map(report.series.map((hour) => [Date.parse(hour.hour), hour]));
  const end = Date.parse(report.to);
  const top = Math.max(1, ...report.series.map((hour) => hour.requests));
  return Array.from({ length: HOURS }, (_, index) => {
    const at = end - (HOURS - index) * HOUR_MS;
    const hour = known.get(at);
    const title = hour ? say(hour) : formatDateTime(new Date(at).toISOString());
    return {
      id: String(at),
      share: hour ? hour.requests / top : null,
      tone: hour && hour.errors > 0 ? (hour.errors * 2 > hour.requests ? "failed" : "warn") : "running",
      title,
    };
  });
}

/** The last day: calls by the hour, by model, and how they ended. */
function Day({ id }: { id: number }) {
  const { t } = useTranslation();
  const { data } = useQuery({ ...channelReportQuery(id), refetchInterval: REFRESH_MS });
  if (!data || data.totals.requests === undefined || data.totals.requests === 0) return null;
  const bars = hourBars(
    data,
    (hour) =>
      `${formatDateTime(hour.hour)} · ${t("channels.day.calls", { count: hour.requests })} · ${t("channels.day.errors", { count: hour.errors })} · ${formatMs(hour.latency_ms_avg)}`,
  );
  return (
    <Section
      title={t("channels.day.title")}
      aside={
        <span className="tnum font-normal text-faint text-xs">
          {t("channels.day.calls", { count: data.totals.requests })} · {formatMs(data.totals.latency_ms_avg)}
        </span>
      }
    >
      <Strip bars={bars} label={t("channels.day.title")} tall />
      <div className="mt-2 grid gap-x-6 gap-y-1 text-sm sm:grid-cols-2">
        <Tally rows={data.models.map((model) => ({ id: model.key, name: model.key, count: model.requests }))} mono />
        <Tally
          rows={data.outcomes.map((end) => ({
            id: `${end.status}/${end.error_code ?? ""}`,
            name: [t(`calls.status.${end.status}` as "calls.status.ok"), end.error_code].filter(Boolean).join(" · "),
            count: end.requests,
          }))}
        />
      </div>
    </Section>
  );
}

function Tally({ rows, mono }: { rows: { id: string; name: string; count: number }[]; mono?: boolean }) {
  return (
    <ul className="min-w-0">
      {rows.slice(0, 8).map((row) => (
        <li key={row.id} className="flex justify-between gap-3">
          <span className={mono ? "truncate font-mono text-xs leading-5" : "truncate"} title={row.name}>
            {row.name}
          </span>
          <span className="tnum text-soft">{formatNumber(row.count)}</span>
        </li>
      ))}
    </ul>
  );
}

function LastErrors({ id }: { id: number }) {
  const { t } = useTranslation();
  const { data } = useQuery({
    ...callsQuery({ channel_id: id, status: "failed" }, undefined, LAST_ERRORS),
    refetchInterval: REFRESH_MS,
  });
  if (!data || data.items.length === 0) return null;
  return (
    <Section
      title={t("channels.lastErrors")}
      aside={
        <Link
          to="/calls"
          search={{ channel: id, status: "failed" }}
          className="font-normal text-accent text-xs hover:underline"
        >
          {t("channels.allErrors")}
        </Link>
      }
    >
      <ul className="divide-y rounded-md border" data-testid="channel-last-errors">
        {data.items.map((call) => (
          <li key={call.id}>
            <Link
              to="/calls"
              search={{ channel: id, status: "failed", call: call.id }}
              className="flex flex-wrap items-center gap-x-3 px-2 py-1.5 text-xs hover:bg-hover"
            >
              <Time at={call.created_at} />
              <span className="font-mono">{call.model}</span>
              <span className="text-failed">{t(`calls.status.${call.status}` as "calls.status.ok")}</span>
              <span className="tnum ml-auto text-faint">
                {[call.http_status, call.error_code].filter(Boolean).join(" · ")}
              </span>
            </Link>
          </li>
        ))}
      </ul>
    </Section>
  );
}
