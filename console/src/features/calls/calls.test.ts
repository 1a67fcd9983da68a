import { describe, expect, it } from "vitest";
import { callsFile } from "@/api/calls";
import { filterOf, isNarrowed, parseCallsUrl } from "./filters";

const NOW = Date.parse("2026-01-02T03:04:05Z");

describe("the filters of the log of calls", () => {
  it("come from the address and leave it when they mean nothing", () => {
    const url = parseCallsUrl({
      status: "failed",
      span: "day",
      channel: "-7",
      way: "plain",
      cached: "true",
      slow: "x",
    });
    expect(filterOf(url, NOW)).toMatchObject({
      status: "failed",
      from: "2026-01-01T03:04:00.000Z",
      channel_id: -7,
      stream: false,
      cached: true,
      min_latency_ms: undefined,
    });
    expect(isNarrowed(url)).toBe(true);
  });

  it("know when nothing is narrowed", () => {
    expect(isNarrowed(parseCallsUrl({ cursor: "abc", call: "x", status: "nonsense" }))).toBe(false);
  });

  it("ask for the same file that is shown", () => {
    const address = callsFile(filterOf(parseCallsUrl({ q: "a b", way: "streamed" }), NOW));
    expect(address).toBe("/api/v1/calls/export?excel=true&stream=true&q=a+b");
  });
});
