/**
 * Live events for pages: `useLive(["tasks"], hear)`.
 *
 * One line a tab, opened with the first listener and closed a moment after the last; its state is for the frame to
 * show and for queries to poll less while it is up.
 */
import { useEffect, useRef, useSyncExternalStore } from "react";
import { announceSignedOut } from "@/api/client";
import { type LiveEvent, type LiveLine, type LiveState, type LiveTopic, openLiveLine } from "@/api/live";

export type { LiveEvent, LiveState, LiveTopic } from "@/api/live";

type Hear = (event: LiveEvent) => void;

/** A page that follows another one listens again within this time: the line stays. */
const LINGER_MS = 5_000;

class LiveCentre {
  private readonly listeners = new Map<Hear, readonly LiveTopic[]>();
  private readonly watchers = new Set<() => void>();
  private line: LiveLine | null = null;
  private linger: ReturnType<typeof setTimeout> | undefined;
  state: LiveState = "off";

  listen(topics: readonly LiveTopic[], hear: Hear): () => void {
    this.listeners.set(hear, topics);
    clearTimeout(this.linger);
    this.line ??= this.open();
    this.follow();
    return () => {
      this.listeners.delete(hear);
      clearTimeout(this.linger);
      this.linger = setTimeout(() => this.follow(), LINGER_MS);
    };
  }

  watch = (changed: () => void): (() => void) => {
    this.watchers.add(changed);
    return () => this.watchers.delete(changed);
  };

  wake = (): void => this.line?.wake();

  private open(): LiveLine {
    window.addEventListener("online", this.wake);
    document.addEventListener("visibilitychange", () => {
      if (document.visibilityState === "visible") this.wake();
    });
    return openLiveLine({
      event: (event) => {
        for (const [hear, topics] of this.listeners)
          if (event.topic === "" || topics.includes(event.topic)) hear(event);
      },
      state: (state) => {
        if (state === this.state) return;
        this.state = state;
        for (const changed of this.watchers) changed();
      },
      signedOut: announceSignedOut,
    });
  }

  private follow(): void {
    this.line?.listen(new Set([...this.listeners.values()].flat()));
  }
}

const centre = new LiveCentre();

/** Open the line again at once, after signing in. */
export const wakeLive = (): void => centre.wake();

export function useLiveState(): LiveState {
  return useSyncExternalStore(centre.watch, () => centre.state);
}

/**
 * Hear the events of these topics while the component is shown; returns the line's state.
 *
 * `hear` also gets `reset` (events were lost: read again). Patch or invalidate queries in it.
 */
export function useLive(topics: readonly LiveTopic[], hear: Hear): LiveState {
  const latest = useRef(hear);
  latest.current = hear;
  const names = topics.join();
  useEffect(() => {
    return centre.listen(names.split(",") as LiveTopic[], (event) => latest.current(event));
  }, [names]);
  return useLiveState();
}
