/**
 * Live events: one WebSocket a tab, an event stream where a WebSocket cannot get through.
 *
 * The line opens itself again, later and later, and asks for what was missed meanwhile by the last position it knows.
 * An event `reset` says that more was missed than can be told: whoever hears it reads its lists again.
 */

export const LIVE_TOPICS = ["jobs", "tasks", "usage", "notices"] as const;
export type LiveTopic = (typeof LIVE_TOPICS)[number];

export interface LiveEvent {
  /** `task.progress`, `job.ended`, `usage`, `notice`, `reset`, … */
  type: string;
  /** Empty for what concerns every topic: `reset`. */
  topic: LiveTopic | "";
  id: string;
  data: Record<string, unknown>;
}

/** `off`: nobody listens, or nobody is signed in. `lost`: waiting to try again. */
export type LiveState = "off" | "connecting" | "live" | "lost";

export interface LiveLine {
  /** Hear these topics from now on; none closes the line. */
  listen(topics: ReadonlySet<LiveTopic>): void;
  /** Try again at once: the network is back, or somebody has signed in again. */
  wake(): void;
}

interface Hearing {
  event: (event: LiveEvent) => void;
  state: (state: LiveState) => void;
  /** The server no longer knows the session; the line stays closed until `wake`. */
  signedOut: () => void;
}

const PATH = "/api/v1/ws";
const STREAM = "/api/v1/events";
const RETRY_FIRST_MS = 1_000;
const RETRY_CAP_MS = 30_000;
/** A browser does not show the protocol's pings, so the line asks by itself. */
const PING_MS = 25_000;
const SILENCE_MS = 60_000;
/** Failures to open a WebSocket before the event stream is tried. */
const PATIENCE = 2;
const NOT_SIGNED_IN = new Set([4401, 4403, 4408]);
/** Repeats after a resume carry the id that the event had: as many ids are remembered. */
const REMEMBERED = 512;

/** One server frame or stream event, or null for what this console cannot read. */
export function parseFrame(text: unknown): Record<string, unknown> | null {
  if (typeof text !== "string") return null;
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : null;
  } catch {
    return null;
  }
}

function asEvent(value: unknown): LiveEvent | null {
  if (typeof value !== "object" || value === null) return null;
  const { type, topic, id, data } = value as Partial<LiveEvent>;
  if (typeof type !== "string" || typeof topic !== "string" || typeof id !== "string") return null;
  return { type, topic, id, data: typeof data === "object" && data !== null ? data : {} };
}

/** How long to wait before the next try: doubling, and spread so that a thousand tabs do not come back at once. */
export function backOffMs(failures: number, random: () => number = Math.random): number {
  const ceiling = Math.min(RETRY_FIRST_MS * 2 ** failures, RETRY_CAP_MS);
  return ceiling / 2 + (ceiling / 2) * random();
}

export function openLiveLine(hearing: Hearing): LiveLine {
  let topics: ReadonlySet<LiveTopic> = new Set();
  let socket: WebSocket | null = null;
  let stream: EventSource | null = null;
  let retry: ReturnType<typeof setTimeout> | undefined;
  let beat: ReturnType<typeof setInterval> | undefined;
  let after: string | null = null;
  let failures = 0;
  let unopened = 0;
  let heardMs = 0;
  let ready = false;
  let locked = false;
  const seen = new Set<string>();

  const tell = (value: unknown) => {
    const event = asEvent(value);
    if (!event) return;
    if (event.id && event.type !== "reset") {
      if (seen.has(event.id)) return;
      seen.add(event.id);
      if (seen.size > REMEMBERED) for (const oldest of [...seen].slice(0, REMEMBERED / 2)) seen.delete(oldest);
    }
    if (event.id) after = event.id;
    if (event.type === "ready") return;
    if (event.topic === "" || topics.has(event.topic)) hearing.event(event);
  };

  const hangUp = () => {
    clearTimeout(retry);
    clearInterval(beat);
    const [oldSocket, oldStream] = [socket, stream];
    socket = null;
    stream = null;
    ready = false;
    oldSocket?.close();
    oldStream?.close();
  };

  const tryLater = () => {
    hangUp();
    hearing.state("lost");
    retry = setTimeout(open, backOffMs(failures));
    failures += 1;
  };

  const say = (type: string, data?: unknown) => socket?.send(JSON.stringify({ v: 1, type, data }));

  const subscribe = () => say("subscribe", { topics: [...topics], ...(after === null ? {} : { after }) });

  const hearFrame = (text: unknown) => {
    heardMs = Date.now();
    const frame = parseFrame(text);
    if (!frame) return;
    const data = (frame.data ?? {}) as Record<string, unknown>;
    if (frame.type === "ready") {
      ready = true;
      unopened = 0;
      failures = 0;
      subscribe();
      hearing.state("live");
      // What was deleted while the line was down is not told again.
      if (after !== null) hearing.event({ type: "reset", topic: "", id: "", data: {} });
      else if (typeof data.after === "string") after = data.after;
    } else if (frame.type === "event") tell(data);
    else if (frame.type === "pong" && typeof data.after === "string") after = data.after;
  };

  const openSocket = () => {
    const opened = new WebSocket(`${location.origin.replace(/^http/, "ws")}${PATH}`, ["tidemill.v1"]);
    socket = opened;
    heardMs = Date.now();
    opened.onmessage = (message: MessageEvent<unknown>) => {
      if (socket === opened) hearFrame(message.data);
    };
    opened.onclose = (closed: CloseEvent) => {
      if (socket !== opened) return;
      if (NOT_SIGNED_IN.has(closed.code)) {
        hangUp();
        locked = true;
        hearing.state("off");
        hearing.signedOut();
        return;
      }
      if (!ready) unopened += 1;
      tryLater();
    };
    beat = setInterval(() => {
      // A lost network says nothing: the browser would wait for minutes.
      if (Date.now() - heardMs > SILENCE_MS) tryLater();
      else if (ready) say("ping");
    }, PING_MS);
  };

  const openStream = () => {
    const query = new URLSearchParams({ topics: [...topics].join(",") });
    if (after !== null) query.set("after", after);
    const opened = new EventSource(`${STREAM}?${query}`, { withCredentials: true });
    stream = opened;
    opened.onmessage = (message: MessageEvent<string>) => {
      if (stream !== opened) return;
      failures = 0;
      hearing.state("live");
      tell(parseFrame(message.data));
      if (message.lastEventId) after = message.lastEventId;
    };
    opened.onerror = () => {
      if (stream !== opened) return;
      unopened = 0; // the next try is a WebSocket again
      tryLater();
    };
  };

  const open = () => {
    hangUp();
    if (topics.size === 0 || locked) return;
    hearing.state("connecting");
    if (typeof WebSocket === "function" && unopened < PATIENCE) openSocket();
    else if (typeof EventSource === "function") openStream();
    else hearing.state("off");
  };

  return {
    listen(wanted) {
      const same = wanted.size === topics.size && [...wanted].every((topic) => topics.has(topic));
      if (same) return;
      const gone = [...topics].filter((topic) => !wanted.has(topic));
      topics = new Set(wanted);
      if (wanted.size === 0) {
        hangUp();
        hearing.state("off");
      } else if (socket && ready) {
        if (gone.length > 0) say("unsubscribe", { topics: gone });
        say("subscribe", { topics: [...topics] });
      } else if (!socket) open();
    },
    wake() {
      locked = false;
      failures = 0;
      if (topics.size > 0 && !ready && !stream) open();
    },
  };
}
