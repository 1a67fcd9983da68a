/** What probes say of a channel over the last day, and what befell it: its breakers, its keys, its balance. */
import { useQuery } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import { type ChannelHealth, channelEventsQuery, channelHealthQuery } from "@/api/channels";
import { Strip, type StripBar } from "@/shared/charts";
import { formatDateTime, formatMs, formatPercent } from "@/shared/format";
import { Time } from "@/shared/time";
import { StateShape, TONE_TEXT, type Tone } from "@/ui/state";
import { Section } from "./channel-overview";

const REFRESH_MS = 15_000;
const EVENT_TONES: Record<string, Tone> = {
  opened: "failed",
  closed: "done",
  key_refused: "failed",
  key_broke: "failed",
  key_back: "done",
  balance_low: "warn",
  balance_ok: "done",
};

export function Health({ id }: { id: number }) {
  const { t } = useTranslation();
  const health = useQuery({ ...channelHealthQuery(id), refetchInterval: REFRESH_MS });
  const events = useQuery({ ...channelEventsQuery(id), refetchInterval: REFRESH_MS });
  const points = health.data?.points ?? [];
  return (
    <>
      {points.length > 0 && health.data ? (
        <Section
          title={t("channels.health.title")}
          aside={
            <span className="tnum font-normal text-faint text-xs">
              {t("channels.health.uptime", { share: formatPercent(health.data.uptime, 1) })}
            </span>
          }
        >
          <Strip
            tall
            label={t("channels.health.title")}
            bars={probeBars(points, (point) =>
              point.failures > 0
                ? t("channels.health.failed", { count: point.failures, probes: point.probes })
                : formatMs(point.p50_ms),
            )}
          />
          <p className="tnum mt-1 flex justify-between text-faint text-xs">
            {points.length > 1 ? <Time at={points[0]?.at} /> : <span />}
            <span>{t("channels.health.tall")}</span>
            <Time at={points[points.length - 1]?.at} />
          </p>
        </Section>
      ) : null}
      {events.data && events.data.length > 0 ? (
        <Section title={t("channels.events.title")}>
          <ul className="scroll-thin max-h-56 divide-y overflow-y-auto rounded-md border" data-testid="channel-events">
            {events.data.map((event) => {
              const tone = EVENT_TONES[event.kind] ?? "idle";
              return (
                <li key={event.id} className="flex flex-wrap items-center gap-x-2 px-2 py-1.5 text-sm">
                  <span className={TONE_TEXT[tone]}>
                    <StateShape tone={tone} />
                  </span>
                  <span>{t(`channels.events.${event.kind}`)}</span>
                  <span className="font-mono text-soft text-xs">
                    {[event.key_last4 ? `…${event.key_last4}` : null, event.model].filter(Boolean).join(" · ")}
                  </span>
                  <span className="ml-auto text-faint text-xs">
                    <Time at={event.at} />
                  </span>
                  {event.reason ? (
                    <span className="basis-full break-words text-soft text-xs">{event.reason}</span>
                  ) : null}
                </li>
              );
            })}
          </ul>
        </Section>
      ) : null}
    </>
  );
}

type Point = ChannelHealth["points"][number];

function probeBars(points: readonly Point[], say: (point: Point) => string): StripBar[] {
  const top = Math.max(1, ...points.map((point) => point.p50_ms ?? 0));
  return points.map((point) => ({
    id: point.at,
    share: point.p50_ms === null || point.p50_ms === undefined ? 1 : Math.max(0.04, point.p50_ms / top),
    tone: point.failures === 0 ? "done" : point.failures < point.probes ? "warn" : "failed",
    title: `${formatDateTime(point.at)} · ${say(point)}`,
  }));
}
