import { beforeAll, describe, expect, it } from "vitest";
import { isFlatTable, isTurnList, spanParts, spansOf } from "./content/content-shape";
import { toCsv } from "./csv";
import { formatBytes, formatDuration, formatMs, formatNumber, formatRelative, formatScore } from "./format";
import { isTyping, keyName } from "./hotkeys";
import { startI18n } from "./i18n";
import { navFor } from "./nav";
import { oneLine, pretty } from "./row-text";
import { MAX_SCROLL_PX, rowWindow } from "./row-window";
import { safeNext } from "./safe-next";
import { numberOf, oneOf, pageOf, textOf } from "./url-state";

describe("row window", () => {
  const of = (total: number, scrollTop: number) =>
    rowWindow({ total, rowPx: 32, viewportPx: 640, scrollTop, overscan: 2 });

  it("draws what is on screen and a little more", () => {
    const window = of(1000, 3200);
    expect([window.first, window.end]).toEqual([98, 122]);
    expect(window.topOf(100)).toBe(3200);
    expect(window.heightPx).toBe(32_000);
  });

  it("reaches the last row of a list that is taller than a browser can scroll", () => {
    const total = 10_000_000;
    const end = of(total, MAX_SCROLL_PX);
    expect(end.heightPx).toBe(MAX_SCROLL_PX);
    expect(end.end).toBe(total);
    expect(end.topOf(total - 1) + 32).toBeCloseTo(MAX_SCROLL_PX, 3);
    expect(of(total, 0).first).toBe(0);
  });

  it("finds its way to any row and back", () => {
    for (const total of [1, 21, 5_000, 3_000_000])
      for (const share of [0, 0.25, 0.5, 0.99]) {
        const row = Math.floor((total - 1) * share);
        const window = of(total, of(total, 0).scrollTo(row));
        expect([row, window.first <= row && row < window.end]).toEqual([row, true]);
      }
  });
});

describe("formats", () => {
  beforeAll(() => startI18n("en"));

  it("shows figures as people read them", () => {
    expect(formatNumber(1234567)).toBe("1,234,567");
    expect(formatNumber(null)).toBe("–");
    expect(formatBytes(1536)).toBe("1.5 KB");
    expect(formatBytes(98_362_432)).toBe("94 MB");
    expect(formatMs(480.4)).toBe("480 ms");
    expect(formatMs(1900)).toBe("1.9 s");
    expect(formatDuration(3905)).toBe("1 h 05 m");
    expect(formatDuration(59.6)).toBe("1 m 00 s");
    expect(formatScore(9)).toBe("9");
    expect(formatScore(9.5)).toBe("9.5");
    expect(formatScore(9.456)).toBe("9.46");
  });

  it("tells how long ago in whole units", () => {
    const now = Date.parse("2026-11-22T12:00:00Z");
    expect(formatRelative("2026-11-22T11:59:58Z", now)).toBe("now");
    expect(formatRelative("2026-11-22T11:57:00Z", now)).toBe("3 minutes ago");
    expect(formatRelative("2026-11-20T12:00:00Z", now)).toBe("2 days ago");
    expect(formatRelative("nonsense", now)).toBe("–");
  });
});

describe("the way back after signing in", () => {
  it("stays on this console", () => {
    expect(safeNext("/review?task_id=t")).toBe("/review?task_id=t");
    for (const bad of [
      "https://evil",
      "//evil",
      "/\\evil",
      "/\n/evil",
      "javascript:alert(1)",
      "",
      undefined,
      3,
      "/sign-in?next=/x",
    ])
      expect(safeNext(bad)).toBe("/");
  });
});

describe("keys", () => {
  it("are named by letter and shift", () => {
    expect(keyName({ key: "j", shiftKey: false })).toBe("j");
    expect(keyName({ key: "J", shiftKey: true })).toBe("Shift+j");
    expect(keyName({ key: "J", shiftKey: false })).toBe("j"); // Caps Lock
    expect(keyName({ key: "?", shiftKey: true })).toBe("?");
    expect(keyName({ key: "ArrowDown", shiftKey: true })).toBe("Shift+ArrowDown");
  });

  it("are left alone while someone types", () => {
    expect(isTyping(document.createElement("textarea"))).toBe(true);
    expect(isTyping(document.createElement("button"))).toBe(false);
  });
});

describe("CSV for the clipboard", () => {
  it("quotes what needs it and disarms formulas", () => {
    expect(
      toCsv([
        ["a", 1],
        ['say "hi", all', -2],
        ["=1+1", "two\nlines"],
      ]),
    ).toBe('a,1\r\n"say ""hi"", all",-2\r\n\'=1+1,"two\nlines"');
  });
});

describe("rows as text", () => {
  it("skims the words", () => {
    expect(oneLine('{"text":"第一行\\n第二行","entities":[{"type":"人名","start":0}]}')).toBe(
      "第一行 第二行 · 人名 · 0",
    );
    expect(oneLine("plain words")).toBe("plain words");
    expect(
      oneLine(
        '{"messages": [{"role": "user", "content": "说说\\"年费\\""}, {"role": "assistant", "content": "好的，年',
      ),
    ).toBe('user · 说说"年费" · assistant · 好的，年');
    expect(pretty('{"a":1}')).toBe('{\n  "a": 1\n}');
  });
});

describe("content", () => {
  it("marks entities by characters, also beyond the basic plane", () => {
    const content = {
      text: "😀王小明在北京",
      entities: [
        { type: "地点", value: "北京", start: 5, end: 7 },
        { type: "人名", value: "王小明", start: 1, end: 4 },
        { type: "错位", value: "上海", start: 5, end: 7 },
      ],
    };
    const parts = spanParts(content.text, spansOf(content));
    expect(parts.map((part) => [part.text, part.label])).toEqual([
      ["😀", null],
      ["王小明", "人名"],
      ["在", null],
      ["北京", "地点"],
    ]);
    expect(parts.map((part) => part.text).join("")).toBe(content.text);
  });

  it("keeps the text whole when spans overlap or overrun", () => {
    const text = "abcdef";
    const spans = [
      { start: 0, end: 3, label: "x" },
      { start: 2, end: 4, label: "y" },
      { start: 4, end: 99, label: "z" },
    ];
    expect(
      spanParts(text, spans)
        .map((part) => part.text)
        .join(""),
    ).toBe(text);
  });

  it("knows dialogues and tables when it sees them", () => {
    expect(isTurnList([{ role: "user", content: "hi" }])).toBe(true);
    expect(isTurnList([])).toBe(false);
    expect(isFlatTable([{ a: 1 }, { b: "x" }])).toBe(true);
    expect(isFlatTable([{ a: { deep: 1 } }])).toBe(false);
  });
});

describe("the address", () => {
  it("is read with care", () => {
    expect(pageOf("3")).toBe(3);
    expect(pageOf(-2)).toBe(1);
    expect(pageOf("x")).toBe(1);
    expect(numberOf("7.5")).toBe(7.5);
    expect(numberOf("")).toBeUndefined();
    expect(textOf(12)).toBe("12");
    expect(textOf({})).toBeUndefined();
    expect(oneOf("b", ["a", "b"])).toBe("b");
    expect(oneOf("c", ["a", "b"])).toBeUndefined();
  });
});

it("shows administrators' pages to administrators only", () => {
  expect(navFor(false).map((item) => item.key)).not.toContain("channels");
  expect(navFor(true).map((item) => item.key)).toContain("channels");
});
