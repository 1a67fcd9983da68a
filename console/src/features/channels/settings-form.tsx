/** A channel's settings as a form: what everybody needs first, the rest folded. */
import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";
import type { Channel } from "@/api/channels";
import { TagInput } from "@/shared/tag-input";
import { Checkbox, Field, Input, Textarea } from "@/ui/field";
import type { ChannelForm } from "./channel-form";

/** Names that have a preset on the server; any other word is taken as a service that speaks OpenAI's protocol. */
const PROVIDERS = [
  "openai",
  "openai-responses",
  "azure",
  "anthropic",
  "gemini",
  "deepseek",
  "qwen",
  "moonshot",
  "zhipu",
  "mistral",
  "groq",
  "openrouter",
  "xai",
  "siliconflow",
  "vllm",
  "sglang",
  "ollama",
  "llamacpp",
  "jina",
  "cohere",
];

type TextField = { [K in keyof ChannelForm]: ChannelForm[K] extends string ? K : never }[keyof ChannelForm];
type ListField = { [K in keyof ChannelForm]: ChannelForm[K] extends string[] ? K : never }[keyof ChannelForm];

export interface SettingsProps {
  form: ChannelForm;
  set: (part: Partial<ChannelForm>) => void;
  channel: Channel | undefined;
  /** What is wrong with a field, by the server's name of it or the form's. */
  problem: (field: string) => string | undefined;
}

export function SettingsForm({ form, set, channel, problem }: SettingsProps) {
  const { t } = useTranslation();
  const managed = channel?.config_id !== null && channel?.config_id !== undefined;
  const known = channel?.keys.map((key) => `…${key.last4}`).join(", ");
  const text = (name: TextField, label: string, field: string, more: Partial<LineProps> = {}) => (
    <Line
      label={label}
      value={form[name]}
      onChange={(value) => set({ [name]: value })}
      error={problem(field)}
      {...more}
    />
  );
  const area = (
    name: TextField,
    label: string,
    field: string,
    hint: string,
    rows: number,
    more?: Partial<AreaProps>,
  ) => (
    <Area
      label={label}
      hint={hint}
      rows={rows}
      value={form[name]}
      onChange={(value) => set({ [name]: value })}
      error={problem(field)}
      {...more}
    />
  );
  const tags = (name: ListField, label: string, field: string, hint?: string) => (
    <Field label={label} hint={hint} error={problem(field)}>
      {(wiring) => (
        <TagInput
          wiring={wiring}
          values={form[name]}
          onChange={(values) => set({ [name]: values })}
          removeLabel={(value) => t("channels.removeTag", { name: value })}
          testId={`channel-${name}`}
        />
      )}
    </Field>
  );
  return (
    <>
      {text("name", t("channels.name"), "name", { disabled: managed, required: true, testId: "channel-name" })}
      <div className="grid gap-4 sm:grid-cols-[10rem_1fr]">
        {text("provider", t("channels.provider"), "provider", { disabled: managed, list: PROVIDERS })}
        {text("baseUrl", t("channels.baseUrl"), "base_url", {
          hint: t("channels.baseUrlHint"),
          disabled: managed,
          mono: true,
          testId: "channel-url",
        })}
      </div>
      {area("models", t("channels.models"), "models", t("channels.modelsHint"), 3, {
        disabled: managed,
        required: true,
        testId: "channel-models",
      })}
      {area(
        "keys",
        t("channels.keys"),
        "keys",
        channel && known ? t("channels.keysKeep", { keys: known }) : t("channels.keysHint"),
        2,
        { disabled: managed },
      )}
      <div className="grid grid-cols-2 gap-4 sm:grid-cols-3">
        {text("priority", t("channels.priority"), "priority", { hint: t("channels.priorityHint"), number: true })}
        {text("weight", t("channels.weight"), "weight", { hint: t("channels.weightHint"), number: true })}
        {text("timeoutS", t("channels.timeout"), "timeout_s", { disabled: managed, number: true })}
        {text("maxConcurrent", t("channels.maxConcurrent"), "max_concurrent", {
          placeholder: t("state.unlimited"),
          disabled: managed,
          number: true,
        })}
        {text("rpm", t("channels.rpm"), "rpm", { placeholder: t("state.unlimited"), number: true })}
        {text("tpm", t("channels.tpm"), "tpm", { placeholder: t("state.unlimited"), number: true })}
      </div>
      <Fold title={t("channels.sections.whom")}>
        <div className="grid gap-4 sm:grid-cols-2">
          {tags("groups", t("channels.groups"), "groups", t("channels.groupsHint"))}
          {text("region", t("channels.region"), "region", { hint: t("channels.regionHint") })}
          {tags("tags", t("channels.tags"), "tags")}
          {tags("deniedGroups", t("channels.deniedGroups"), "denied")}
          {tags("deniedUsers", t("channels.deniedUsers"), "deniedUsers")}
          {tags("deniedModels", t("channels.deniedModels"), "denied")}
        </div>
      </Fold>
      <Fold title={t("channels.sections.overrides")}>
        {area("headers", t("channels.headers"), "header_overrides", t("channels.headersHint"), 2, {
          disabled: managed,
        })}
        {area("params", t("channels.params"), "param_overrides", t("channels.paramsHint"), 3, { disabled: managed })}
        {area("defaults", t("channels.defaults"), "defaults", t("channels.defaultsHint"), 3, { disabled: managed })}
        <Checkbox
          label={t("channels.forwardTrace")}
          checked={form.forwardTrace}
          onChange={(event) => set({ forwardTrace: event.target.checked })}
        />
      </Fold>
      <Fold title={t("channels.sections.money")}>
        {area("prices", t("channels.prices"), "prices", t("channels.pricesHint"), 3)}
        <div className="grid gap-4 sm:grid-cols-2">
          {text("probeModel", t("channels.probeModel"), "probe_model", { hint: t("channels.probeModelHint") })}
          {text("balanceFloor", t("channels.balanceFloor"), "balance_floor", {
            hint: t("channels.balanceFloorHint"),
            disabled: managed,
          })}
        </div>
      </Fold>
    </>
  );
}

function Fold({ title, children }: { title: string; children: ReactNode }) {
  return (
    <details className="group rounded-md border">
      <summary className="cursor-pointer select-none px-3 py-2 font-medium text-sm marker:text-faint">{title}</summary>
      <div className="flex flex-col gap-4 border-t p-3">{children}</div>
    </details>
  );
}

interface LineProps {
  label: string;
  hint?: ReactNode;
  value: string;
  onChange: (value: string) => void;
  error?: string | undefined;
  required?: boolean;
  disabled?: boolean;
  placeholder?: string;
  number?: boolean;
  mono?: boolean;
  list?: readonly string[];
  testId?: string;
}

function Line(props: LineProps) {
  return (
    <Field label={props.label} hint={props.hint} error={props.error} required={props.required}>
      {(wiring) => (
        <>
          <Input
            {...wiring}
            type={props.number ? "number" : "text"}
            value={props.value}
            disabled={props.disabled}
            placeholder={props.placeholder}
            spellCheck={false}
            list={props.list ? `${wiring.id}-list` : undefined}
            className={props.mono ? "font-mono text-xs" : undefined}
            data-testid={props.testId}
            onChange={(event) => props.onChange(event.target.value)}
          />
          {props.list ? (
            <datalist id={`${wiring.id}-list`}>
              {props.list.map((word) => (
                <option key={word} value={word} />
              ))}
            </datalist>
          ) : null}
        </>
      )}
    </Field>
  );
}

interface AreaProps {
  label: string;
  hint: string;
  rows: number;
  value: string;
  onChange: (value: string) => void;
  error: string | undefined;
  disabled?: boolean;
  required?: boolean;
  testId?: string;
}

function Area(props: AreaProps) {
  return (
    <Field label={props.label} hint={props.hint} error={props.error} required={props.required}>
      {(wiring) => (
        <Textarea
          {...wiring}
          rows={props.rows}
          spellCheck={false}
          autoComplete="off"
          disabled={props.disabled}
          className="min-h-10 font-mono text-xs"
          value={props.value}
          data-testid={props.testId}
          onChange={(event) => props.onChange(event.target.value)}
        />
      )}
    </Field>
  );
}
