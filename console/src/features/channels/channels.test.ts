import { describe, expect, it } from "vitest";
import type { Channel } from "@/api/channels";
import { breakerOf, channelTone } from "@/shared/channel-state";
import { errorShare, latencyTrend } from "./channel-figures";
import { EMPTY_CHANNEL, formOf, toChange, toNewChannel, unreadable } from "./channel-form";
import { readModelLines, writeModelLines } from "./model-lines";
import { readHeaders, readObject, readPrices, writeHeaders, writePrices } from "./text-lines";

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

describe("prices, headers and parameters as text", () => {
  it("are read and written back", () => {
    const prices = readPrices("gpt-4o = 2.5 / 10\n* = 1\n");
    expect(prices).toEqual({ ok: true, value: { "gpt-4o": { input: 2.5, output: 10 }, "*": { input: 1, output: 0 } } });
    if (prices.ok) expect(writePrices(prices.value)).toBe("gpt-4o = 2.5 / 10\n* = 1 / 0");
    const headers = readHeaders("x-team: a: b");
    expect(headers).toEqual({ ok: true, value: { "x-team": "a: b" } });
    if (headers.ok) expect(writeHeaders(headers.value)).toBe("x-team: a: b");
    expect(readObject(" ")).toEqual({});
  });

  it("name the line that cannot be read", () => {
    expect(readPrices("a = 1 / 2\n\nb")).toEqual({ ok: false, line: 3 });
    expect(readPrices("a = -1")).toEqual({ ok: false, line: 1 });
    expect(readHeaders(": x")).toEqual({ ok: false, line: 1 });
    expect([readObject("[1]"), readObject("{"), readObject("null")]).toEqual([null, null, null]);
  });

  it("stop the form where one of them is wrong", () => {
    expect(unreadable(EMPTY_CHANNEL)).toBeNull();
    expect(unreadable({ ...EMPTY_CHANNEL, models: "a =" })).toEqual({ field: "models", line: 1 });
    expect(unreadable({ ...EMPTY_CHANNEL, params: "{" })).toEqual({ field: "params" });
    expect(unreadable({ ...EMPTY_CHANNEL, deniedUsers: ["7", "bob"] })).toEqual({ field: "deniedUsers" });
  });
});

describe("figures of a channel", () => {
  it("prefer the share of late over that since the start", () => {
    expect(errorShare({ requests: 10, errors: 5, error_rate: 0 })).toBe(0);
    expect(errorShare({ requests: 10, errors: 5, error_rate: null })).toBe(0.5);
    expect(errorShare({ requests: 0, errors: 0, error_rate: null })).toBeNull();
  });

  it("put each hour into its place of the last day", () => {
    const hour = (at: string, latency: number) => ({ hour: at, requests: 1, errors: 0, latency_ms_avg: latency });
    const stats = {
      channel_id: 3,
      requests: 2,
      errors: 0,
      error_rate: 0,
      request_tokens: 0,
      response_tokens: 0,
      total_tokens: 0,
      cost_nano: 0,
      cost_today_nano: 0,
      latency_ms_avg: 1,
      latency_ms_max: 1,
      hours: [hour("2026-11-21T05:00:00Z", 10), hour("2026-11-22T03:00:00Z", 20)],
    };
    const trend = latencyTrend(stats, "2026-11-22T04:00:00Z");
    expect(trend).toHaveLength(24);
    expect([trend[1], trend[23], trend[0]]).toEqual([10, 20, 0]);
    expect(latencyTrend(undefined, undefined)).toEqual([]);
  });
});

describe("the breakers of a channel", () => {
  const lane = (model: string | null, breaker: Channel["breaker"] = "open") => ({
    key_last4: "9f3c",
    model,
    breaker,
    retry_in_s: 1,
    reason: null,
  });
  const of = (...lanes: ReturnType<typeof lane>[]) => breakerOf({ ...channel, lanes });

  it("are the channel's when they keep every model of every key away", () => {
    expect(of()).toBe("closed");
    expect(of(lane("chat"))).toBe("partly");
    expect(of(lane("chat"), lane("embed"))).toBe("open");
    expect(of(lane("chat"), lane("embed", "half_open"))).toBe("half_open");
    expect(of(lane(null))).toBe("open");
    expect(of(lane("chat", "closed"))).toBe("closed"); // a pause, no breaker
    expect(channelTone({ ...channel, lanes: [lane("chat")] })).toBe("warn");
  });
});
