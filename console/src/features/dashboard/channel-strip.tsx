/** Every channel as one small card: its state, its load, its last probes, its speed. */
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { type Channel, type HealthStrip, healthStripsQuery } from "@/api/channels";
import { ChannelBadge, channelTone } from "@/shared/channel-state";
import { Strip } from "@/shared/charts";
import { formatDateTime, formatMs, formatNumber, formatPercent } from "@/shared/format";
import { Panel, SkeletonRows } from "@/ui/blocks";
import { Meter } from "@/ui/progress";

const REFRESH_MS = 10_000;

export function ChannelStrip({ channels }: { channels: readonly Channel[] | undefined }) {
  const { t } = useTranslation();
  const health = useQuery({ ...healthStripsQuery, refetchInterval: REFRESH_MS });
  const of = (channel: Channel) => health.data?.find((strip) => strip.channel_id === channel.id);
  return (
    <Panel title={t("dashboard.channels")}>
      {!channels ? (
        <SkeletonRows rows={2} label={t("state.loading")} />
      ) : channels.length === 0 ? (
        <p className="text-faint text-sm">{t("dashboard.noChannels")}</p>
      ) : (
        <ul className="grid grid-cols-1 gap-2 sm:grid-cols-[repeat(auto-fill,minmax(15rem,1fr))]">
          {channels.map((channel) => (
            <li key={channel.id}>
              <Link
                to="/channels"
                search={{ channel: channel.id }}
                className="block rounded-md border px-2.5 py-2 hover:bg-hover"
              >
                <span className="mb-1.5 flex items-center justify-between gap-2">
                  <span className="truncate font-medium text-sm">{channel.name}</span>
                  <ChannelBadge channel={channel} />
                </span>
                <Probes strip={of(channel)} />
                <Meter
                  value={channel.in_flight}
                  limit={channel.limit ?? Math.max(1, channel.in_flight)}
                  label={`${channel.name}: ${t("channels.inFlight")}`}
                  tone={channelTone(channel) === "done" ? "running" : channelTone(channel)}
                />
                <span className="tnum mt-1.5 flex justify-between gap-2 text-faint text-xs">
                  <span>
                    {t("channels.inFlight")}{" "}
                    {channel.limit ? `${channel.in_flight} / ${channel.limit}` : formatNumber(channel.in_flight)}
                  </span>
                  <span>p95 {formatMs(channel.p95_ms)}</span>
                </span>
              </Link>
            </li>
          ))}
        </ul>
      )}
    </Panel>
  );
}

/** The last probes, oldest first: height is latency, colour how it went. */
function Probes({ strip }: { strip: HealthStrip | undefined }) {
  const { t } = useTranslation();
  if (!strip || strip.probes.length === 0) return null;
  const top = Math.max(1, ...strip.probes.map((probe) => probe.latency_ms ?? 0));
  return (
    <span className="mb-1.5 flex items-end gap-2">
      <span className="min-w-0 flex-1">
        <Strip
          label={`${strip.channel}: ${t("channels.health.title")}`}
          bars={strip.probes.map((probe) => ({
            id: probe.at,
            share: probe.ok ? Math.max(0.15, (probe.latency_ms ?? 0) / top) : 1,
            tone: probe.ok ? "done" : "failed",
            title: `${formatDateTime(probe.at)} · ${probe.reason ?? formatMs(probe.latency_ms)}`,
          }))}
        />
      </span>
      <span className="tnum text-faint text-xs">{formatPercent(strip.uptime)}</span>
    </span>
  );
}
