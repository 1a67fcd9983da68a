import { describe, expect, it } from "vitest";
import type { GeneratedRow } from "@/api/review";
import { countAgreement, undoVerdict, withStates } from "./decisions";
import { changedContent, draftOf, WHOLE } from "./draft";
import { isNarrowed, parseReviewUrl, toRowFilter } from "./filters";
import { readLineage } from "./lineage";

const row = (id: number, status: GeneratedRow["status"]) => ({ id, status, is_confirmed: false }) as GeneratedRow;

describe("decisions", () => {
  it("change the rows they concern and leave the others as they are", () => {
    const rows = [row(1, "needs_review"), row(2, "accepted")];
    const after = withStates(rows, new Map([[1, { status: "rejected", is_confirmed: false }]]));
    expect(after[0]?.status).toBe("rejected");
    expect(after[1]).toBe(rows[1]);
  });

  it("are taken back to the former verdict, or to the other word where there was none", () => {
    expect(undoVerdict({ status: "accepted", is_confirmed: true }, "rejected")).toEqual({
      verdict: "accepted",
      exact: true,
    });
    expect(undoVerdict({ status: "needs_review", is_confirmed: false }, "accepted")).toEqual({
      verdict: "rejected",
      exact: false,
    });
    expect(undoVerdict({ status: "below_threshold", is_confirmed: false }, "rejected")).toEqual({
      verdict: "accepted",
      exact: false,
    });
  });

  it("are compared with the automatic ones", () => {
    const decisions = new Map([
      [1, { judge: "accepted", human: "accepted" }],
      [2, { judge: "accepted", human: "rejected" }],
    ] as const);
    expect(countAgreement(decisions)).toEqual({ decided: 2, same: 1 });
  });
});

describe("a draft", () => {
  it("keeps texts as texts and everything else as JSON", () => {
    const draft = draftOf({ text: '说 "你好"', tags: ["a"], score: 3 });
    expect(draft.map((field) => field.json)).toEqual([false, true, true]);
    expect(changedContent(draft)).toEqual({ ok: true, content: { text: '说 "你好"', tags: ["a"], score: 3 } });
  });

  it("names the field that is no JSON", () => {
    const draft = draftOf({ text: "x", tags: ["a"] }).map((field) =>
      field.name === "tags" ? { ...field, text: "[" } : field,
    );
    expect(changedContent(draft)).toEqual({ ok: false, field: "tags" });
  });

  it("takes content that is no object as one value", () => {
    const draft = draftOf(["a"]);
    expect(draft[0]?.name).toBe(WHOLE);
    expect(changedContent(draft)).toEqual({ ok: true, content: '["a"]' });
  });
});

describe("filters in the address", () => {
  it("come back as they were set", () => {
    const url = parseReviewUrl({
      task_id: "task_1",
      status: "below_threshold",
      confirmed: "no",
      min: "6.5",
      row: 12,
      sort: "best",
    });
    expect(toRowFilter(url)).toEqual({
      task_id: "task_1",
      status: "below_threshold",
      is_confirmed: false,
      min_score: 6.5,
    });
    expect(url.row).toBe(12);
    expect(isNarrowed(url)).toBe(true);
  });

  it("ignore what is not theirs", () => {
    const url = parseReviewUrl({ status: "lost", min: "high", sort: "sideways", row: 3 });
    expect(toRowFilter(url)).toEqual({});
    expect(isNarrowed(url)).toBe(false);
  });
});

describe("lineage", () => {
  it("is read from JSON text", () => {
    const lineage = readLineage(
      JSON.stringify({
        sample: { index: 4, data: { text: "x" } },
        round: 0,
        tokens: { input: 10, output: 2 },
        attempts: [
          { attempt: 1, final_score: 6.5, criteria: { correctness: 7 }, reasons: ["short"], failed_gates: [] },
        ],
      }),
    );
    expect(lineage.sample).toEqual({ index: 4, data: { text: "x" } });
    expect(lineage.round).toBe(0);
    expect(lineage.attempts[0]).toMatchObject({
      final: 6.5,
      criteria: [["correctness", 7]],
      reasons: ["short"],
      problem: null,
    });
  });

  it("copes with rows that have none", () => {
    for (const nothing of [null, undefined, "", "not json", [], 3])
      expect(readLineage(nothing)).toMatchObject({ sample: null, attempts: [] });
  });
});
