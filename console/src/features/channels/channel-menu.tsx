/** The acts on one channel, in its row. */
import { CirclePause, CirclePlay, Ellipsis, PlugZap, Trash2, Waves } from "lucide-react";
import { useTranslation } from "react-i18next";
import type { Channel } from "@/api/channels";
import { IconButton } from "@/ui/button";
import { Menu, MenuItem, MenuSeparator } from "@/ui/menu";
import { useChannelActs } from "./use-channel-acts";

const ICON = "size-3.5";

export function ChannelMenu({ channel }: { channel: Channel }) {
  const { t } = useTranslation();
  const acts = useChannelActs(channel);
  return (
    <Menu
      trigger={
        <IconButton
          label={`${t("act.more")}: ${channel.name}`}
          icon={<Ellipsis aria-hidden className="size-4" />}
          className="size-7"
          data-testid="channel-menu"
        />
      }
    >
      <MenuItem
        icon={<PlugZap aria-hidden className={ICON} />}
        onSelect={() => acts.test.mutate(undefined)}
        testId="channel-test"
      >
        {t("channels.test")}
      </MenuItem>
      {channel.read_only ? null : (
        <>
          {channel.status === "enabled" ? (
            <>
              <MenuItem
                icon={<Waves aria-hidden className={ICON} />}
                onSelect={() => acts.drain.mutate()}
                testId="channel-drain"
              >
                {t("channels.drain")}
              </MenuItem>
              <MenuItem
                icon={<CirclePause aria-hidden className={ICON} />}
                onSelect={() => acts.disable.mutate()}
                testId="channel-disable"
              >
                {t("channels.disable")}
              </MenuItem>
            </>
          ) : (
            <MenuItem
              icon={<CirclePlay aria-hidden className={ICON} />}
              onSelect={() => acts.enable.mutate()}
              testId="channel-enable"
            >
              {t("channels.enable")}
            </MenuItem>
          )}
          {channel.config_id === null ? (
            <>
              <MenuSeparator />
              <MenuItem
                danger
                icon={<Trash2 aria-hidden className={ICON} />}
                onSelect={() => void acts.askRemoval()}
                testId="channel-delete"
              >
                {t("act.delete")}
              </MenuItem>
            </>
          ) : null}
        </>
      )}
    </Menu>
  );
}
