/** What can be done to a channel, with what to say afterwards. */
import { useTranslation } from "react-i18next";
import { type Channel, deleteChannel, disableChannel, drainChannel, enableChannel, testChannel } from "@/api/channels";
import { useConfirm } from "@/shared/confirm";
import { formatMs } from "@/shared/format";
import { useWrite } from "@/shared/mutation";
import { notify } from "@/shared/notify";

export function useChannelActs(channel: Channel, onGone?: () => void) {
  const { t } = useTranslation();
  const confirm = useConfirm();
  const { id, name } = channel;
  const refresh = [["channels"], ["models"]];
  const test = useWrite({
    run: (model: string | undefined) => testChannel(id, model),
    refresh: [["channels"]],
    onDone: (result) => {
      if (result.ok) notify.done(t("channels.testOk", { name, latency: formatMs(result.latency_ms) }));
      else notify.failed(new Error(t("channels.testFailed", { name, error: result.error ?? String(result.status) })));
    },
  });
  const enable = useWrite({ run: () => enableChannel(id), refresh, done: t("channels.enabled", { name }) });
  const disable = useWrite({ run: () => disableChannel(id), refresh, done: t("channels.disabled", { name }) });
  const drain = useWrite({ run: () => drainChannel(id), refresh, done: t("channels.draining", { name }) });
  const remove = useWrite({
    run: () => deleteChannel(id),
    refresh,
    done: t("channels.deleted", { name }),
    onDone: onGone,
  });
  const askRemoval = async () => {
    const yes = await confirm({
      title: t("channels.deleteTitle", { name }),
      body: t("channels.deleteBody"),
      act: t("act.delete"),
      danger: true,
    });
    if (yes) remove.mutate();
  };
  return { test, enable, disable, drain, askRemoval };
}
