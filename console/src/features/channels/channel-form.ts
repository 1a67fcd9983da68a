/** What the channel form holds and what is sent. Pure. */
import type { Channel, ChannelChange, NewChannel } from "@/api/channels";
import { readModelLines, writeModelLines } from "./model-lines";
import { readHeaders, readObject, readPrices, writeHeaders, writeObject, writePrices } from "./text-lines";

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
  tpm: string;
  timeoutS: string;
  tags: string[];
  groups: string[];
  region: string;
  deniedUsers: string[];
  deniedGroups: string[];
  deniedModels: string[];
  prices: string;
  headers: string;
  params: string;
  defaults: string;
  probeModel: string;
  balanceFloor: string;
  forwardTrace: boolean;
}

/** Parts of the form that are text with a shape of its own. */
export type ShapedField = "models" | "prices" | "headers" | "params" | "defaults" | "deniedUsers";

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
  tpm: "",
  timeoutS: "600",
  tags: [],
  groups: [],
  region: "",
  deniedUsers: [],
  deniedGroups: [],
  deniedModels: [],
  prices: "",
  headers: "",
  params: "",
  defaults: "",
  probeModel: "",
  balanceFloor: "",
  forwardTrace: true,
};

const text = (number: number | null | undefined) => (number === null || number === undefined ? "" : String(number));

export function formOf(channel: Channel): ChannelForm {
  return {
    name: channel.name,
    provider: channel.provider,
    baseUrl: channel.base_url,
    models: writeModelLines(channel.models),
    keys: "",
    priority: String(channel.priority),
    weight: String(channel.weight),
    maxConcurrent: text(channel.max_concurrent),
    rpm: text(channel.rpm),
    tpm: text(channel.tpm),
    timeoutS: String(channel.timeout_s),
    tags: channel.tags,
    groups: channel.groups ?? [],
    region: channel.region ?? "",
    deniedUsers: (channel.denied?.users ?? []).map(String),
    deniedGroups: channel.denied?.groups ?? [],
    deniedModels: channel.denied?.models ?? [],
    prices: writePrices(channel.prices ?? {}),
    headers: writeHeaders(channel.header_overrides ?? {}),
    params: writeObject(channel.param_overrides ?? {}),
    defaults: writeObject(channel.defaults),
    probeModel: channel.probe_model ?? "",
    balanceFloor: channel.balance_floor ?? "",
    forwardTrace: channel.forward_trace,
  };
}

const lines = (content: string) =>
  content
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "");
const limit = (content: string) => (content.trim() === "" ? null : Number(content));
const orNull = (content: string) => (content.trim() === "" ? null : content.trim());

/** The field that cannot be read as it stands, with the line where that is known. */
export function unreadable(form: ChannelForm): { field: ShapedField; line?: number } | null {
  const models = readModelLines(form.models);
  if (!models.ok) return { field: "models", line: models.line };
  const prices = readPrices(form.prices);
  if (!prices.ok) return { field: "prices", line: prices.line };
  const headers = readHeaders(form.headers);
  if (!headers.ok) return { field: "headers", line: headers.line };
  if (readObject(form.params) === null) return { field: "params" };
  if (readObject(form.defaults) === null) return { field: "defaults" };
  if (form.deniedUsers.some((id) => !/^[1-9]\d*$/.test(id))) return { field: "deniedUsers" };
  return null;
}

function shared(form: ChannelForm) {
  const models = readModelLines(form.models);
  const prices = readPrices(form.prices);
  const headers = readHeaders(form.headers);
  return {
    name: form.name.trim(),
    provider: form.provider.trim(),
    base_url: form.baseUrl.trim(),
    models: models.ok ? models.models : {},
    priority: Number(form.priority),
    weight: Number(form.weight),
    max_concurrent: limit(form.maxConcurrent),
    rpm: limit(form.rpm),
    tpm: limit(form.tpm),
    timeout_s: Number(form.timeoutS),
    tags: form.tags,
    groups: form.groups,
    region: orNull(form.region),
    denied: { users: form.deniedUsers.map(Number), groups: form.deniedGroups, models: form.deniedModels },
    prices: prices.ok ? prices.value : {},
    header_overrides: headers.ok ? headers.value : {},
    param_overrides: readObject(form.params) ?? {},
    defaults: readObject(form.defaults) ?? {},
    probe_model: orNull(form.probeModel),
    balance_floor: orNull(form.balanceFloor),
    forward_trace: form.forwardTrace,
  };
}

export function toNewChannel(form: ChannelForm): NewChannel {
  return { ...shared(form), keys: lines(form.keys), status: "enabled" };
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
