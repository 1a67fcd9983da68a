/** What the channel form holds and what is sent. Pure. */
import type { Channel, ChannelChange, NewChannel } from "@/api/channels";
import { readModelLines, writeModelLines } from "./model-lines";

export interface ChannelForm {
  name: string;
  provider: string;
  baseUrl: string;
  models: string;
  keys: string;
  priority: string;
  weight: string;
  maxConcurrent: string;
  rpm: string;
  timeoutS: string;
  tags: string[];
}

export const EMPTY_CHANNEL: ChannelForm = {
  name: "",
  provider: "openai",
  baseUrl: "",
  models: "",
  keys: "",
  priority: "0",
  weight: "1",
  maxConcurrent: "",
  rpm: "",
  timeoutS: "600",
  tags: [],
};

export function formOf(channel: Channel): ChannelForm {
  return {
    name: channel.name,
    provider: channel.provider,
    baseUrl: channel.base_url,
    models: writeModelLines(channel.models),
    keys: "",
    priority: String(channel.priority),
    weight: String(channel.weight),
    maxConcurrent: channel.max_concurrent === null ? "" : String(channel.max_concurrent),
    rpm: channel.rpm === null ? "" : String(channel.rpm),
    timeoutS: String(channel.timeout_s),
    tags: channel.tags,
  };
}

const lines = (text: string) =>
  text
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "");
const limit = (text: string) => (text.trim() === "" ? null : Number(text));

function shared(form: ChannelForm) {
  const read = readModelLines(form.models);
  return {
    name: form.name.trim(),
    base_url: form.baseUrl.trim(),
    models: read.ok ? read.models : {},
    priority: Number(form.priority),
    weight: Number(form.weight),
    max_concurrent: limit(form.maxConcurrent),
    rpm: limit(form.rpm),
    timeout_s: Number(form.timeoutS),
    tags: form.tags,
  };
}

export function toNewChannel(form: ChannelForm): NewChannel {
  return {
    ...shared(form),
    provider: form.provider,
    keys: lines(form.keys),
    defaults: {},
    forward_trace: true,
    status: "enabled",
  };
}

/** Only what differs is sent, because parts of some channels are managed elsewhere. An empty key field keeps the keys. */
export function toChange(form: ChannelForm, channel: Channel): ChannelChange {
  const before = shared(formOf(channel));
  const after = shared(form);
  const change = Object.fromEntries(
    Object.entries(after).filter(
      ([name, value]) => JSON.stringify(value) !== JSON.stringify(before[name as keyof typeof before]),
    ),
  ) as ChannelChange;
  const keys = lines(form.keys);
  return keys.length > 0 ? { ...change, keys } : change;
}
