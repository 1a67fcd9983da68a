import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { backOffMs, type LiveEvent, type LiveState, type LiveTopic, openLiveLine } from "./live";

class FakeSocket {
  static made: FakeSocket[] = [];
  onmessage: ((message: { data: unknown }) => void) | null = null;
  onclose: ((closed: { code: number }) => void) | null = null;
  readonly said: { type: string; data?: Record<string, unknown> }[] = [];
  closed = false;
  constructor(
    readonly url: string,
    readonly protocols: string[],
  ) {
    FakeSocket.made.push(this);
  }
  send(text: string) {
    this.said.push(JSON.parse(text));
  }
  close() {
    this.closed = true;
  }
  hear(frame: unknown) {
    this.onmessage?.({ data: JSON.stringify(frame) });
  }
  ready(after = "1000") {
    this.hear({ v: 1, type: "ready", seq: 1, data: { after } });
  }
  event(event: Partial<LiveEvent>) {
    this.hear({ v: 1, type: "event", seq: 2, data: { type: "task.progress", topic: "tasks", data: {}, ...event } });
  }
  fail(code = 1006) {
    this.onclose?.({ code });
  }
}

class FakeStream {
  static made: FakeStream[] = [];
  onmessage: ((message: { data: string; lastEventId: string }) => void) | null = null;
  onerror: (() => void) | null = null;
  closed = false;
  constructor(readonly url: string) {
    FakeStream.made.push(this);
  }
  close() {
    this.closed = true;
  }
}

const TASKS: ReadonlySet<LiveTopic> = new Set(["tasks"]);

function line() {
  const heard: LiveEvent[] = [];
  const states: LiveState[] = [];
  const signedOut = vi.fn();
  const opened = openLiveLine({
    event: (event) => heard.push(event),
    state: (state) => states.push(state),
    signedOut,
  });
  return { ...opened, heard, states, signedOut };
}

function last<T>(made: T[]): T {
  const found = made.at(-1);
  if (!found) throw new Error("nothing was opened");
  return found;
}

describe("the live line", () => {
  beforeEach(() => {
    vi.useFakeTimers();
    FakeSocket.made = [];
    FakeStream.made = [];
    vi.stubGlobal("WebSocket", FakeSocket);
    vi.stubGlobal("EventSource", FakeStream);
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it("opens with the first topic, subscribes when it is ready and hands on what is asked for", () => {
    const { listen, heard, states } = line();
    expect(FakeSocket.made).toHaveLength(0);
    listen(TASKS);
    const socket = last(FakeSocket.made);
    expect(socket.url).toMatch(/^ws.*\/api\/v1\/ws$/);
    expect(socket.protocols).toEqual(["tidemill.v1"]);
    socket.ready();
    expect(socket.said).toEqual([{ v: 1, type: "subscribe", data: { topics: ["tasks"] } }]);
    socket.event({ id: "1001.tasks.a.1" });
    socket.event({ id: "1002.jobs.b.1", topic: "jobs" });
    socket.hear("not a frame");
    socket.hear({ v: 1, type: "of a newer server", data: {} });
    socket.onmessage?.({ data: "{" });
    expect(heard.map((event) => event.id)).toEqual(["1001.tasks.a.1"]);
    expect(states).toEqual(["connecting", "live"]);
  });

  it("changes topics on the open line and closes with the last", () => {
    const { listen, states } = line();
    listen(TASKS);
    const socket = last(FakeSocket.made);
    socket.ready();
    listen(new Set(["jobs"]));
    expect(socket.said.slice(1).map(({ type, data }) => [type, data?.topics])).toEqual([
      ["unsubscribe", ["tasks"]],
      ["subscribe", ["jobs"]],
    ]);
    listen(new Set(["jobs"]));
    expect(socket.said).toHaveLength(3);
    listen(new Set());
    expect(socket.closed).toBe(true);
    expect(states.at(-1)).toBe("off");
  });

  it("comes back after a pause, goes on where it stood and drops repeats", () => {
    const { listen, heard, states } = line();
    listen(TASKS);
    last(FakeSocket.made).ready();
    last(FakeSocket.made).event({ id: "1001.tasks.a.1", type: "task.ended" });
    last(FakeSocket.made).fail(1001);
    expect(states.at(-1)).toBe("lost");
    vi.advanceTimersByTime(1_000);
    const again = last(FakeSocket.made);
    expect(FakeSocket.made).toHaveLength(2);
    again.ready("5000");
    expect(again.said[0]?.data).toEqual({ topics: ["tasks"], after: "1001.tasks.a.1" });
    again.event({ id: "1001.tasks.a.1", type: "task.ended" });
    again.event({ id: "1002.tasks.b.1", type: "task.ended" });
    expect(heard.map((event) => event.type)).toEqual(["task.ended", "reset", "task.ended"]);
  });

  it("tries again later and later, but not all tabs at once", () => {
    expect([0, 1, 2, 9].map((failures) => backOffMs(failures, () => 1))).toEqual([1_000, 2_000, 4_000, 30_000]);
    expect(backOffMs(2, () => 0)).toBe(2_000);
  });

  it("takes the event stream where no WebSocket gets through, and tries the WebSocket again after it", () => {
    const { listen, heard, states } = line();
    listen(TASKS);
    for (let failure = 0; failure < 2; failure += 1) {
      last(FakeSocket.made).fail();
      vi.advanceTimersByTime(30_000);
    }
    expect(FakeSocket.made).toHaveLength(2);
    const stream = last(FakeStream.made);
    expect(stream.url).toBe("/api/v1/events?topics=tasks");
    const event = { type: "task.ended", topic: "tasks", id: "1003.tasks.a.2", data: {} };
    stream.onmessage?.({
      data: JSON.stringify({ ...event, type: "ready", topic: "", id: "1000" }),
      lastEventId: "1000",
    });
    stream.onmessage?.({ data: JSON.stringify(event), lastEventId: event.id });
    expect(states.at(-1)).toBe("live");
    expect(heard).toEqual([event]);
    stream.onerror?.();
    expect(stream.closed).toBe(true);
    vi.advanceTimersByTime(30_000);
    expect(FakeSocket.made).toHaveLength(3);
    last(FakeSocket.made).ready();
    expect(last(FakeSocket.made).said[0]?.data).toEqual({ topics: ["tasks"], after: event.id });
  });

  it("notices a line that has gone silent", () => {
    const { listen, states } = line();
    listen(TASKS);
    const socket = last(FakeSocket.made);
    socket.ready();
    vi.advanceTimersByTime(25_000);
    expect(socket.said.at(-1)?.type).toBe("ping");
    socket.hear({ v: 1, type: "pong", seq: 3, data: { after: "26000" } });
    vi.advanceTimersByTime(50_000);
    expect(states.at(-1)).toBe("live");
    vi.advanceTimersByTime(25_000);
    expect(socket.closed).toBe(true);
    expect(states.at(-1)).toBe("lost");
    vi.advanceTimersByTime(1_000);
    last(FakeSocket.made).ready("99000");
    expect(last(FakeSocket.made).said[0]?.data?.after).toBe("26000");
  });

  it("stays closed for somebody who is signed out, until they are back", () => {
    const { listen, wake, signedOut, states } = line();
    listen(TASKS);
    last(FakeSocket.made).fail(4401);
    expect(signedOut).toHaveBeenCalledOnce();
    expect(states.at(-1)).toBe("off");
    vi.advanceTimersByTime(120_000);
    expect(FakeSocket.made).toHaveLength(1);
    wake();
    expect(FakeSocket.made).toHaveLength(2);
  });

  it("does without where the browser has neither", () => {
    vi.stubGlobal("WebSocket", undefined);
    vi.stubGlobal("EventSource", undefined);
    const { listen, states } = line();
    listen(TASKS);
    expect(states).toEqual(["connecting", "off"]);
  });
});
