/** One channel beside the list: how it has been doing, and its settings. */
import { CirclePause, CirclePlay, PlugZap, Waves } from "lucide-react";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { addChannel, type Channel, changeChannel } from "@/api/channels";
import { isApiError } from "@/api/errors";
import { useWrite } from "@/shared/mutation";
import { notify } from "@/shared/notify";
import { Button } from "@/ui/button";
import { cx } from "@/ui/cx";
import { Dialog } from "@/ui/dialog";
import { type ChannelForm, EMPTY_CHANNEL, formOf, toChange, toNewChannel, unreadable } from "./channel-form";
import { ChannelOverview } from "./channel-overview";
import { readModelLines } from "./model-lines";
import { SettingsForm } from "./settings-form";
import { useChannelActs } from "./use-channel-acts";

const PARTS = ["overview", "settings"] as const;
type Part = (typeof PARTS)[number];

const NAMES = { headers: "header_overrides", params: "param_overrides" } as const;

export function ChannelSheet({
  open,
  channel,
  onClose,
}: {
  open: boolean;
  channel: Channel | undefined;
  onClose: () => void;
}) {
  const { t } = useTranslation();
  const [part, setPart] = useState<Part>(channel ? "overview" : "settings");
  const [form, setForm] = useState<ChannelForm>(() => (channel ? formOf(channel) : EMPTY_CHANNEL));
  const [asked, setAsked] = useState(false);
  const set = (change: Partial<ChannelForm>) => setForm((before) => ({ ...before, ...change }));
  const save = useWrite({
    run: () => (channel ? changeChannel(channel.id, toChange(form, channel)) : addChannel(toNewChannel(form))),
    refresh: [["channels"], ["models"]],
    done: (saved) => t(channel ? "channels.saved" : "channels.added", { name: saved.name }),
    onDone: onClose,
    onFailed: (error) => {
      if (!isApiError(error) || error.fields.length === 0) notify.failed(error);
      return true;
    },
  });
  const said = isApiError(save.error) ? save.error.fields : [];
  const wrong = unreadable(form);
  const read = readModelLines(form.models);
  const needsModels = read.ok && Object.keys(read.models).length === 0;
  const problem = (field: string): string | undefined => {
    if (wrong) {
      const name = wrong.field in NAMES ? NAMES[wrong.field as keyof typeof NAMES] : wrong.field;
      if (name === field) return t(`channels.wrong.${wrong.field}`, { line: wrong.line ?? 1 });
    }
    if (field === "models" && asked && needsModels) return t("channels.needModels");
    return said.find((item) => item.field === field || item.field.startsWith(`${field}[`))?.message;
  };
  const submit = () => {
    setAsked(true);
    if (wrong === null && !needsModels) save.mutate();
  };
  const fixed = channel?.read_only === true;
  const managed = channel?.config_id !== null && channel?.config_id !== undefined;
  const note = fixed
    ? t(channel.id < 0 ? "channels.readOnly" : "channels.fromFile")
    : managed
      ? t("channels.managed")
      : undefined;
  const editing = part === "settings";
  return (
    <Dialog
      open={open}
      onOpenChange={(next) => {
        if (!next) onClose();
      }}
      place="side"
      wide
      sticky={!channel && form.name !== ""}
      title={channel ? t("channels.editTitle", { name: channel.name }) : t("channels.add")}
      description={note}
      closeLabel={t("act.close")}
      testId="channel-sheet"
      footer={
        <>
          {channel ? <Acts channel={channel} fixed={fixed} /> : null}
          <Button onClick={onClose}>{fixed || !editing ? t("act.close") : t("act.cancel")}</Button>
          {fixed || !editing ? null : (
            <Button look="primary" type="submit" form="channel-form" busy={save.isPending} data-testid="channel-save">
              {channel ? t("act.save") : t("act.add")}
            </Button>
          )}
        </>
      }
    >
      {channel && !fixed ? (
        <div role="tablist" aria-label={channel.name} className="-mt-1 mb-4 flex gap-1 border-b">
          {PARTS.map((name) => (
            <button
              key={name}
              type="button"
              role="tab"
              aria-selected={part === name}
              data-testid={`channel-part-${name}`}
              onClick={() => setPart(name)}
              className={cx(
                "-mb-px h-9 border-b-2 px-3 text-sm -outline-offset-2 pointer-coarse:h-11",
                part === name ? "border-accent font-medium" : "border-transparent text-soft hover:text-text",
              )}
            >
              {t(`channels.parts.${name}`)}
            </button>
          ))}
        </div>
      ) : null}
      {channel && !editing ? <ChannelOverview channel={channel} /> : null}
      {editing ? (
        <form
          id="channel-form"
          className="flex flex-col gap-4"
          noValidate
          onSubmit={(event) => {
            event.preventDefault();
            submit();
          }}
        >
          <SettingsForm form={form} set={set} channel={channel} problem={problem} />
        </form>
      ) : null}
    </Dialog>
  );
}

const ICON = "size-3.5";

function Acts({ channel, fixed }: { channel: Channel; fixed: boolean }) {
  const { t } = useTranslation();
  const { test, enable, disable, drain } = useChannelActs(channel);
  return (
    <div className="mr-auto flex flex-wrap gap-2">
      <Button
        icon={<PlugZap aria-hidden className={ICON} />}
        busy={test.isPending}
        onClick={() => test.mutate(undefined)}
        data-testid="channel-sheet-test"
      >
        {test.isPending ? t("channels.testing") : t("channels.test")}
      </Button>
      {fixed ? null : channel.status === "enabled" ? (
        <>
          <Button
            icon={<Waves aria-hidden className={ICON} />}
            busy={drain.isPending}
            onClick={() => drain.mutate()}
            data-testid="channel-sheet-drain"
          >
            {t("channels.drain")}
          </Button>
          <Button
            icon={<CirclePause aria-hidden className={ICON} />}
            busy={disable.isPending}
            onClick={() => disable.mutate()}
            data-testid="channel-sheet-disable"
          >
            {t("channels.disable")}
          </Button>
        </>
      ) : (
        <Button
          icon={<CirclePlay aria-hidden className={ICON} />}
          busy={enable.isPending}
          onClick={() => enable.mutate()}
          data-testid="channel-sheet-enable"
        >
          {t("channels.enable")}
        </Button>
      )}
    </div>
  );
}
