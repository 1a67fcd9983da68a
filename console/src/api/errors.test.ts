import { describe, expect, it } from "vitest";
import { errorFromAnswer, retryAfterSeconds } from "./errors";

const refused = (status: number, headers: Record<string, string> = {}) => new Response(null, { status, headers });

describe("errors of both surfaces become one", () => {
  it("reads an envelope with its fields", () => {
    const error = errorFromAnswer(refused(400, { "x-request-id": "r-1" }), {
      code: 400,
      message: "The request is wrong.",
      detail: "min_score",
      errors: [{ field: "min_score", message: "must lie between 0 and 10" }],
    });
    expect(error.message).toBe("The request is wrong.");
    expect(error.code).toBe("400");
    expect(error.fields).toEqual([{ field: "min_score", message: "must lie between 0 and 10" }]);
    expect(error.requestId).toBe("r-1");
  });

  it("keeps a business code apart from the status", () => {
    expect(errorFromAnswer(refused(404), { code: 2001, message: "No such task.", detail: "" }).code).toBe("2001");
  });

  it("reads a problem document", () => {
    const error = errorFromAnswer(refused(429, { "retry-after": "7" }), {
      type: "https://example/problems/too-many",
      title: "Too many requests",
      status: 429,
      detail: "Slow down.",
    });
    expect(error.message).toBe("Slow down.");
    expect(error.detail).toBe("Too many requests");
    expect(error.code).toBe("https://example/problems/too-many");
    expect(error.retryAfterS).toBe(7);
  });

  it("says at least the status when the body says nothing", () => {
    expect(errorFromAnswer(refused(502), "<html>").message).toBe("HTTP 502");
  });
});

describe("Retry-After", () => {
  it("may be seconds or a date", () => {
    const now = Date.parse("2026-11-22T00:00:00Z");
    expect(retryAfterSeconds("12")).toBe(12);
    expect(retryAfterSeconds("Sun, 22 Nov 2026 00:00:30 GMT", now)).toBe(30);
    expect(retryAfterSeconds("Sun, 22 Nov 2026 00:00:00 GMT", now + 9_000)).toBe(0);
    expect(retryAfterSeconds("soon")).toBeNull();
    expect(retryAfterSeconds(null)).toBeNull();
  });
});
