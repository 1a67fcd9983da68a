/** Every channel as one small card: its state, its load, its speed. */
import { Link } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import type { Channel } from "@/api/channels";
import { ChannelBadge, channelTone } from "@/shared/channel-state";
import { formatMs, formatNumber } from "@/shared/format";
import { Panel, SkeletonRows } from "@/ui/blocks";
import { Meter } from "@/ui/progress";

export function ChannelStrip({ channels }: { channels: readonly Channel[] | undefined }) {
  const { t } = useTranslation();
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
                search={{ q: channel.name }}
                className="block rounded-md border px-2.5 py-2 hover:bg-hover"
              >
                <span className="mb-1.5 flex items-center justify-between gap-2">
                  <span className="truncate font-medium text-sm">{channel.name}</span>
                  <ChannelBadge channel={channel} />
                </span>
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
