/** Every test starts from a clean page with no network. */
import { cleanup, configure } from "@testing-library/react";
import { afterEach, beforeEach, vi } from "vitest";

// Waiting is for a condition; this is only how long a busy machine may take to reach it.
configure({ asyncUtilTimeout: 10_000 });

beforeEach(() => {
  localStorage.clear();
  vi.stubGlobal("fetch", (input: unknown) => {
    const url = input instanceof Request ? input.url : String(input);
    throw new Error(`unexpected request to ${url}`);
  });
  vi.stubGlobal("WebSocket", undefined);
  vi.stubGlobal("EventSource", undefined);
});

afterEach(() => {
  cleanup();
  document.body.replaceChildren();
});
