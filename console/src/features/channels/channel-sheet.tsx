/** One channel beside the list: its settings, and how it has been doing. */
import { PlugZap } from "lucide-react";
import { type ReactNode, useState } from "react";
import { useTranslation } from "react-i18next";
import { addChannel, type Channel, changeChannel } from "@/api/channels";
import { isApiError } from "@/api/errors";
import { ChannelBadge } from "@/shared/channel-state";
import { formatMs, formatNumber, formatPercent } from "@/shared/format";
import { useWrite } from "@/shared/mutation";
import { notify } from "@/shared/notify";
import { TagInput } from "@/shared/tag-input";
import { Facts } from "@/ui/blocks";
import { Button } from "@/ui/button";
import { Dialog } from "@/ui/dialog";
import { Field, Input, Textarea } from "@/ui/field";
import { type ChannelForm, EMPTY_CHANNEL, formOf, toChange, toNewChannel } from "./channel-form";
import { errorShare } from "./channels-page";
import { readModelLines } from "./model-lines";
import { useChannelActs } from "./use-channel-acts";

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
  const [form, setForm] = useState<ChannelForm>(() => (channel ? formOf(channel) : EMPTY_CHANNEL));
  const [asked, setAsked] = useState(false);
  const set = (part: Partial<ChannelForm>) => setForm((before) => ({ ...before, ...part }));
  const read = readModelLines(form.models);
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
  const problem = (field: string) =>
    said.find((item) => item.field === field || item.field.startsWith(`${field}[`))?.message;
  const modelsProblem = (() => {
    if (!read.ok) return t("channels.lines", { line: read.line });
    if (asked && Object.keys(read.models).length === 0) return t("channels.needModels");
    return problem("models");
  })();
  const submit = () => {
    setAsked(true);
    if (read.ok && Object.keys(read.models).length > 0) save.mutate();
  };
  const fixed = channel?.read_only === true;
  const managed = channel?.config_id !== null && channel?.config_id !== undefined;
  const known = channel?.keys.map((key) => `…${key.last4}`).join(", ");
  return (
    <Dialog
      open={open}
      onOpenChange={(next) => {
        if (!next) onClose();
      }}
      place="side"
      sticky={!channel && form.name !== ""}
      title={channel ? t("channels.editTitle", { name: channel.name }) : t("channels.add")}
      description={fixed ? t("channels.readOnly") : managed ? t("channels.managed") : undefined}
      closeLabel={t("act.close")}
      testId="channel-sheet"
      footer={
        <>
          {channel ? <TestButton channel={channel} /> : null}
          <Button onClick={onClose}>{fixed ? t("act.close") : t("act.cancel")}</Button>
          {fixed ? null : (
            <Button look="primary" type="submit" form="channel-form" busy={save.isPending} data-testid="channel-save">
              {channel ? t("act.save") : t("act.add")}
            </Button>
          )}
        </>
      }
    >
      {channel ? <Live channel={channel} /> : null}
      {fixed ? null : (
        <form
          id="channel-form"
          className="flex flex-col gap-4"
          noValidate
          onSubmit={(event) => {
            event.preventDefault();
            submit();
          }}
        >
          <Text
            label={t("channels.name")}
            value={form.name}
            onChange={(name) => set({ name })}
            error={problem("name")}
            disabled={managed}
            required
            testId="channel-name"
          />
          <Text
            label={t("channels.baseUrl")}
            hint={t("channels.baseUrlHint")}
            value={form.baseUrl}
            onChange={(baseUrl) => set({ baseUrl })}
            error={problem("base_url")}
            disabled={managed}
            required
            mono
            testId="channel-url"
          />
          <Field label={t("channels.models")} hint={t("channels.modelsHint")} error={modelsProblem} required>
            {(wiring) => (
              <Textarea
                {...wiring}
                rows={3}
                spellCheck={false}
                disabled={managed}
                className="font-mono text-xs"
                value={form.models}
                data-testid="channel-models"
                onChange={(event) => set({ models: event.target.value })}
              />
            )}
          </Field>
          <Field
            label={t("channels.keys")}
            hint={channel && known ? t("channels.keysKeep", { keys: known }) : t("channels.keysHint")}
            error={problem("keys")}
          >
            {(wiring) => (
              <Textarea
                {...wiring}
                rows={2}
                spellCheck={false}
                autoComplete="off"
                disabled={managed}
                className="min-h-10 font-mono text-xs"
                value={form.keys}
                onChange={(event) => set({ keys: event.target.value })}
              />
            )}
          </Field>
          <div className="grid grid-cols-2 gap-4">
            <Text
              label={t("channels.priority")}
              hint={t("channels.priorityHint")}
              value={form.priority}
              onChange={(priority) => set({ priority })}
              error={problem("priority")}
              number
            />
            <Text
              label={t("channels.weight")}
              hint={t("channels.weightHint")}
              value={form.weight}
              onChange={(weight) => set({ weight })}
              error={problem("weight")}
              number
            />
            <Text
              label={t("channels.maxConcurrent")}
              value={form.maxConcurrent}
              onChange={(maxConcurrent) => set({ maxConcurrent })}
              error={problem("max_concurrent")}
              placeholder={t("state.unlimited")}
              disabled={managed}
              number
            />
            <Text
              label={t("channels.rpm")}
              value={form.rpm}
              onChange={(rpm) => set({ rpm })}
              error={problem("rpm")}
              placeholder={t("state.unlimited")}
              number
            />
            <Text
              label={t("channels.timeout")}
              value={form.timeoutS}
              onChange={(timeoutS) => set({ timeoutS })}
              error={problem("timeout_s")}
              disabled={managed}
              number
            />
          </div>
          <Field label={t("channels.tags")} error={problem("tags")}>
            {(wiring) => (
              <TagInput
                wiring={wiring}
                values={form.tags}
                onChange={(tags) => set({ tags })}
                removeLabel={(name) => t("channels.removeTag", { name })}
              />
            )}
          </Field>
        </form>
      )}
    </Dialog>
  );
}

function TestButton({ channel }: { channel: Channel }) {
  const { t } = useTranslation();
  const { test } = useChannelActs(channel);
  return (
    <Button
      className="mr-auto"
      icon={<PlugZap aria-hidden className="size-3.5" />}
      busy={test.isPending}
      onClick={() => test.mutate(undefined)}
      data-testid="channel-sheet-test"
    >
      {test.isPending ? t("channels.testing") : t("channels.test")}
    </Button>
  );
}

function Live({ channel }: { channel: Channel }) {
  const { t } = useTranslation();
  return (
    <div className="mb-4 border-b pb-4">
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
        ]}
      />
      {channel.last_error ? (
        <div className="mt-3">
          <p className="text-faint text-xs">{t("channels.lastError")}</p>
          <p className="whitespace-pre-wrap font-mono text-failed text-xs">{channel.last_error}</p>
        </div>
      ) : null}
    </div>
  );
}

interface TextProps {
  label: string;
  hint?: ReactNode;
  value: string;
  onChange: (value: string) => void;
  error?: string;
  required?: boolean;
  disabled?: boolean;
  placeholder?: string;
  number?: boolean;
  mono?: boolean;
  testId?: string;
}

function Text({
  label,
  hint,
  value,
  onChange,
  error,
  required,
  disabled,
  placeholder,
  number,
  mono,
  testId,
}: TextProps) {
  return (
    <Field label={label} hint={hint} error={error} required={required}>
      {(wiring) => (
        <Input
          {...wiring}
          type={number ? "number" : "text"}
          value={value}
          disabled={disabled}
          placeholder={placeholder}
          spellCheck={false}
          className={mono ? "font-mono text-xs" : undefined}
          data-testid={testId}
          onChange={(event) => onChange(event.target.value)}
        />
      )}
    </Field>
  );
}
