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

export function channelTone(channel: Pick<Channel, "status" | "breaker">): Tone {
  if (channel.status === "disabled") return "idle";
  if (channel.status === "auto_disabled") return "failed";
  if (channel.breaker === "open") return "failed";
  if (channel.status === "draining" || channel.breaker === "half_open") return "warn";
  return "done";
}

export function ChannelBadge({ channel }: { channel: Channel }) {
  const { t } = useTranslation();
  const word =
    channel.status === "enabled" && channel.breaker === "open"
      ? t("channels.breaker.open")
      : channel.status === "enabled" && channel.breaker === "half_open"
        ? t("channels.breaker.halfOpen")
        : t(CHANNEL_WORDS[channel.status]);
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
