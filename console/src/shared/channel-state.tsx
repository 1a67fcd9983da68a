/** A channel's state as one badge: what an administrator set, and what the breaker says. */
import { useTranslation } from "react-i18next";
import type { Channel } from "@/api/channels";
import { StateBadge, type Tone } from "@/ui/state";

export const CHANNEL_WORDS = {
  enabled: "channels.status.enabled",
  disabled: "channels.status.disabled",
  auto_disabled: "channels.status.autoDisabled",
  draining: "channels.status.draining",
} as const;

type Watched = Pick<Channel, "status" | "breaker"> & Partial<Pick<Channel, "lanes" | "keys" | "models">>;

/**
 * What the breakers say of a channel as a whole: each key has one for each model, and they open by themselves. `partly`:
 * some of them keep calls away, others let them through.
 */
export function breakerOf(channel: Watched): Channel["breaker"] | "partly" {
  if (channel.breaker !== "closed") return channel.breaker;
  const shut = (channel.lanes ?? []).filter((lane) => lane.breaker !== "closed");
  if (shut.length === 0) return "closed";
  const models = Object.keys(channel.models ?? {}).length;
  const keys = Math.max(1, (channel.keys ?? []).filter((key) => key.status === "active").length);
  const kept = shut.reduce((sum, lane) => sum + (lane.model === null ? models : 1), 0);
  if (kept < models * keys) return "partly";
  return shut.every((lane) => lane.breaker === "open") ? "open" : "half_open";
}

export function channelTone(channel: Watched): Tone {
  if (channel.status === "disabled") return "idle";
  if (channel.status === "auto_disabled") return "failed";
  const breaker = breakerOf(channel);
  if (breaker === "open") return "failed";
  return channel.status === "draining" || breaker !== "closed" ? "warn" : "done";
}

const BREAKER_WORDS = {
  open: "channels.breaker.open",
  half_open: "channels.breaker.halfOpen",
  partly: "channels.breaker.partly",
} as const;

export function ChannelBadge({ channel }: { channel: Channel }) {
  const { t } = useTranslation();
  const breaker = breakerOf(channel);
  const word =
    channel.status === "enabled" && breaker !== "closed" ? t(BREAKER_WORDS[breaker]) : t(CHANNEL_WORDS[channel.status]);
  return (
    <StateBadge
      tone={channelTone(channel)}
      title={channel.status_reason ?? channel.last_error ?? undefined}
      testId="channel-state"
    >
      {word}
    </StateBadge>
  );
}
