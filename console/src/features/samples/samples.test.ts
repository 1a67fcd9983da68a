import { describe, expect, it } from "vitest";
import { parseObject, parseRows } from "./parse-rows";

describe("rows typed by hand", () => {
  it("are one object a line, empty lines apart", () => {
    expect(parseRows('{"a":1}\n\n{"a":2}\r\n')).toEqual({ ok: true, rows: [{ a: 1 }, { a: 2 }] });
  });

  it("may be one array, also over several lines", () => {
    expect(parseRows('[\n {"a":1},\n {"a":2}\n]')).toEqual({ ok: true, rows: [{ a: 1 }, { a: 2 }] });
  });

  it("name the first line that is wrong", () => {
    expect(parseRows('{"a":1}\n\n{bad')).toMatchObject({ ok: false, line: 3, reason: "syntax" });
    expect(parseRows('{"a":1}\n3')).toMatchObject({ ok: false, line: 2, reason: "object" });
    expect(parseRows('[{"a":1}, 2]')).toMatchObject({ ok: false, line: 2, reason: "object" });
    expect(parseRows("  \n ")).toMatchObject({ ok: false, reason: "empty" });
    expect(parseRows("[]")).toMatchObject({ ok: false, reason: "empty" });
  });

  it("are objects, not lists or words", () => {
    expect(parseObject("[1]")).toMatchObject({ ok: false, reason: "object" });
    expect(parseObject("null")).toMatchObject({ ok: false, reason: "object" });
    expect(parseObject('{"文本":"好"}')).toEqual({ ok: true, row: { 文本: "好" } });
  });
});
