import { describe, expect, it } from "vitest";
import type { Channel } from "@/api/channels";
import { EMPTY_CHANNEL, formOf, toChange, toNewChannel } from "./channel-form";
import { readModelLines, writeModelLines } from "./model-lines";

const channel: Channel = {
  id: 3,
  name: "vllm-1",
  provider: "openai",
  base_url: "http://10.0.0.5:8000/v1",
  keys: [{ id: "k1", last4: "9f3c", status: "active" }],
  models: { chat: "qwen3-8b", embed: "embed" },
  priority: 0,
  weight: 2,
  max_concurrent: 64,
  rpm: null,
  timeout_s: 600,
  defaults: {},
  forward_trace: true,
  status: "enabled",
  status_reason: null,
  tags: [],
  config_id: null,
  read_only: false,
  limit: 64,
  in_flight: 0,
  breaker: "closed",
  requests: 0,
  errors: 0,
  last_error: null,
  p50_ms: null,
  p95_ms: null,
  created_at: null,
  updated_at: null,
};

describe("models as lines", () => {
  it("are read and written back", () => {
    const text = "chat = qwen3-8b\n\n embed ";
    const read = readModelLines(text);
    expect(read).toEqual({ ok: true, models: { chat: "qwen3-8b", embed: "embed" } });
    if (read.ok) expect(writeModelLines(read.models)).toBe("chat = qwen3-8b\nembed");
  });

  it("may hold an equals sign in the upstream's name", () => {
    expect(readModelLines("a = b=c")).toEqual({ ok: true, models: { a: "b=c" } });
  });

  it("name the line that is half", () => {
    expect(readModelLines("a\nb =")).toEqual({ ok: false, line: 2 });
    expect(readModelLines("= b")).toEqual({ ok: false, line: 1 });
  });
});

describe("the channel form", () => {
  it("sends only what differs", () => {
    const form = formOf(channel);
    expect(toChange(form, channel)).toEqual({});
    expect(toChange({ ...form, weight: "0", rpm: "60" }, channel)).toEqual({ weight: 0, rpm: 60 });
    expect(toChange({ ...form, maxConcurrent: "" }, channel)).toEqual({ max_concurrent: null });
  });

  it("keeps the keys when none are typed and replaces them when some are", () => {
    const form = formOf(channel);
    expect(toChange({ ...form, keys: "  \n" }, channel)).not.toHaveProperty("keys");
    expect(toChange({ ...form, keys: "sk-1\n\nsk-2 " }, channel)).toEqual({ keys: ["sk-1", "sk-2"] });
  });

  it("makes a whole channel of a new one", () => {
    const made = toNewChannel({ ...EMPTY_CHANNEL, name: " a ", baseUrl: "http://x/v1", models: "m" });
    expect(made).toMatchObject({
      name: "a",
      base_url: "http://x/v1",
      models: { m: "m" },
      keys: [],
      weight: 1,
      rpm: null,
    });
  });
});
