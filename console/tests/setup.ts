/** Every test starts from a clean page with no network. */
import { cleanup } from "@testing-library/react";
import { afterEach, beforeEach, vi } from "vitest";

beforeEach(() => {
  localStorage.clear();
  vi.stubGlobal("fetch", (input: unknown) => {
    const url = input instanceof Request ? input.url : String(input);
    throw new Error(`unexpected request to ${url}`);
  });
});

afterEach(() => {
  cleanup();
  document.body.replaceChildren();
});
