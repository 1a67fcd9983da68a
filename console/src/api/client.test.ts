import { expect, it, vi } from "vitest";
import { fakeServer, Refusal } from "../../tests/fake-server";
import { onSignedOut } from "./client";
import { ApiError } from "./errors";
import { createKey, keysQuery } from "./keys";
import { lifeOf, pastHalfLife, signIn } from "./session";

const run = (query: { queryFn?: unknown }) => (query.queryFn as () => Promise<unknown>)();

it("marks writes with the header that a foreign page cannot send, and reads without it", async () => {
  const server = fakeServer({
    "GET /api/v1/keys": { items: [], total: 0, next: null },
    "POST /api/v1/keys": { id: "k" },
  });
  await run(keysQuery);
  await createKey({ name: "k", type: "inference" });
  expect(server.asked.map((one) => one.headers.get("x-tidemill"))).toEqual([null, "1"]);
});

it("asks in the language of the page", async () => {
  document.documentElement.lang = "en";
  const server = fakeServer({ "GET /api/v1/keys": { items: [], total: 0, next: null } });
  await run(keysQuery);
  expect(server.asked[0]?.headers.get("accept-language")).toBe("en");
});

it("announces a session that has ended, but not a wrong password", async () => {
  const heard = vi.fn();
  const stop = onSignedOut(heard);
  fakeServer({
    "POST /api/v1/auth/login": new Refusal(401, { type: "x", title: "t", detail: "Wrong.", status: 401 }),
    "GET /api/v1/keys": new Refusal(401, { type: "x", title: "t", detail: "Sign in.", status: 401 }),
  });
  await expect(signIn({ username: "a", password: "b" })).rejects.toThrow("Wrong.");
  expect(heard).not.toHaveBeenCalled();
  await expect(run(keysQuery)).rejects.toThrow("Sign in.");
  expect(heard).toHaveBeenCalledOnce();
  stop();
});

it("tells a lost connection from a refusal", async () => {
  vi.stubGlobal("fetch", () => Promise.reject(new TypeError("Failed to fetch")));
  const error = await run(keysQuery).catch((caught: unknown) => caught);
  expect(error).toBeInstanceOf(ApiError);
  expect((error as ApiError).kind).toBe("offline");
});

it("reads a session's times from its token and renews past half of them", () => {
  const token = `h.${btoa(JSON.stringify({ iat: 1000, exp: 2000 }))}.s`;
  const life = lifeOf(token);
  expect(life).toEqual({ issuedS: 1000, expiresS: 2000 });
  expect(lifeOf("opaque")).toBeNull();
  if (!life) return;
  expect(pastHalfLife(life, 1400)).toBe(false);
  expect(pastHalfLife(life, 1600)).toBe(true);
  expect(pastHalfLife(life, 2100)).toBe(false);
});
