import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { type LineState, parseProgress, watchTask } from "./progress";

class FakeSource {
  static readonly CLOSED = 2;
  static made: FakeSource[] = [];
  onopen: (() => void) | null = null;
  onmessage: ((message: { data: string; lastEventId: string }) => void) | null = null;
  onerror: (() => void) | null = null;
  readyState = 0;
  closed = false;
  constructor(readonly url: string) {
    FakeSource.made.push(this);
  }
  close() {
    this.closed = true;
  }
}

describe("watching a task", () => {
  beforeEach(() => {
    vi.useFakeTimers();
    FakeSource.made = [];
    vi.stubGlobal("EventSource", FakeSource);
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it("hands on numbered events and closes after complete", () => {
    const heard: unknown[] = [];
    const states: LineState[] = [];
    watchTask(
      "task_1",
      (event) => heard.push([event.type, event.seq]),
      (state) => states.push(state),
    );
    const [source] = FakeSource.made;
    expect(source?.url).toBe("/api/progress/task_1");
    source?.onopen?.();
    source?.onmessage?.({ data: '{"type":"row","id":3}', lastEventId: "7" });
    source?.onmessage?.({ data: '{"type":"news"}', lastEventId: "8" });
    source?.onmessage?.({ data: "not json", lastEventId: "9" });
    source?.onmessage?.({ data: '{"type":"complete","status":"finished"}', lastEventId: "10" });
    expect(heard).toEqual([
      ["row", 7],
      ["complete", 10],
    ]);
    expect(states).toEqual(["connecting", "live", "ended"]);
    expect(source?.closed).toBe(true);
  });

  it("opens a new line, later and later, when the server refused the old one", () => {
    watchTask(
      "t",
      () => undefined,
      () => undefined,
    );
    const refuse = () => {
      const source = FakeSource.made.at(-1);
      if (!source) throw new Error("no line");
      source.readyState = FakeSource.CLOSED;
      source.onerror?.();
    };
    refuse();
    vi.advanceTimersByTime(999);
    expect(FakeSource.made).toHaveLength(1);
    vi.advanceTimersByTime(1);
    expect(FakeSource.made).toHaveLength(2);
    refuse();
    vi.advanceTimersByTime(1_999);
    expect(FakeSource.made).toHaveLength(2);
    vi.advanceTimersByTime(1);
    expect(FakeSource.made).toHaveLength(3);
  });

  it("leaves a dropped line to the browser, which resends Last-Event-ID", () => {
    const states: LineState[] = [];
    watchTask(
      "t",
      () => undefined,
      (state) => states.push(state),
    );
    FakeSource.made[0]?.onerror?.();
    vi.advanceTimersByTime(60_000);
    expect(FakeSource.made).toHaveLength(1);
    expect(states).toEqual(["connecting", "lost"]);
  });

  it("stops for good when the page is left", () => {
    const stop = watchTask(
      "t",
      () => undefined,
      () => undefined,
    );
    const source = FakeSource.made[0];
    if (source) source.readyState = FakeSource.CLOSED;
    source?.onerror?.();
    stop();
    vi.advanceTimersByTime(60_000);
    expect(FakeSource.made).toHaveLength(1);
  });
});

it("reads the cost as a number", () => {
  expect(parseProgress('{"type":"progress","cost":"1.25"}')).toEqual({ type: "progress", cost: 1.25 });
});
