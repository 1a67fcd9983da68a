"""A report as a file: JSON for programs, CSV for spreadsheets, Markdown for people."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec

from tidemill.datagen.reports.contracts import Bin, GroupFigures, Reason, Report
from tidemill.kernel.csv_lines import csv_lines, safe_cell
from tidemill.kernel.lang import Lang

_BAR = 30
_FIGURES = (
    "rows",
    "accepted",
    "failed",
    "acceptance",
    "final_score",
    "model_score",
    "rule_score",
    "input_tokens",
    "output_tokens",
)
_GROUPS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("directions", ("direction",)),
    ("services", ("channel", "model")),
    ("attempts", ("attempts",)),
)
_WORDS: dict[str, tuple[str, str]] = {
    "title": ("任务报告", "Report of task"),
    "counts": ("数量", "Counts"),
    "cost": ("词元与费用", "Tokens and cost"),
    "final": ("综合得分分布", "Final scores"),
    "model": ("模型评分分布", "Model scores"),
    "rule": ("规则得分分布", "Rule scores"),
    "directions": ("各方向", "By direction"),
    "services": ("各模型服务", "By service"),
    "attempts": ("各尝试次数", "By attempts"),
    "throughput": ("产出速度", "Rows over time"),
    "reasons": ("最常见的未通过原因", "Commonest reasons for refusal"),
    "failures": ("未产出的原因", "Why items gave no row"),
    "samples": ("十条示例", "Ten rows"),
    "state": ("状态", "State"),
    "type": ("任务类型", "Type"),
    "started": ("开始", "Started"),
    "duration": ("用时（秒）", "Duration, s"),
    "none": ("（无）", "(none)"),
    "total": ("总数", "total"),
    "rows": ("数据行", "rows"),
    "accepted": ("已接受", "accepted"),
    "below_threshold": ("低于阈值", "below threshold"),
    "needs_review": ("待审核", "needs review"),
    "rejected": ("已拒绝", "rejected"),
    "failed": ("失败", "failed"),
    "retried": ("重试", "retried"),
    "confirmed": ("已确认", "confirmed"),
    "acceptance": ("接受率", "acceptance"),
    "duplicates": ("去重", "duplicates removed"),
    "input_tokens": ("输入词元", "input tokens"),
    "output_tokens": ("输出词元", "output tokens"),
    "per_accepted": ("每条已接受数据的词元", "tokens per accepted row"),
    "wasted_share": ("未产出已接受数据的词元占比", "share of tokens without an accepted row"),
    "cost_total": ("费用（积分）", "cost, credits"),
    "cost_each": ("每条已接受数据的费用", "cost per accepted row"),
    "final_score": ("综合得分", "final score"),
    "model_score": ("模型评分", "model score"),
    "rule_score": ("规则得分", "rule score"),
    "at": ("时间", "time"),
    "reason": ("原因", "reason"),
    "count": ("次数", "count"),
    "data": ("内容", "data"),
    "direction": ("方向", "direction"),
    "channel": ("渠道", "channel"),
    "name_model": ("模型", "model"),
    "name_attempts": ("尝试次数", "attempts"),
}
_COUNTS = (
    "total",
    "rows",
    "accepted",
    "below_threshold",
    "needs_review",
    "rejected",
    "failed",
    "retried",
    "confirmed",
    "acceptance",
)


def as_json(report: Report) -> bytes:
    """Return the report as indented JSON."""
    return msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n"


def as_csv(report: Report) -> bytes:
    """Return the report's figures as ``section,name,figure,value``, one figure a line."""
    lines = ([safe_cell(value) for value in line] for line in _figure_lines(report))
    return csv_lines([("section", "name", "figure", "value"), *lines])


def as_markdown(report: Report, lang: Lang) -> bytes:
    """Return the report as a Markdown document in ``lang``."""
    place = 0 if lang == "zh" else 1

    def word(name: str) -> str:
        return _WORDS[name][place]

    parts = [
        f"# {word('title')} {report.task_id}",
        "\n".join(
            f"- {label}: {value}"
            for label, value in (
                (word("type"), report.task_type),
                (word("state"), report.status),
                (word("name_model"), ", ".join(report.models) or "–"),
                (word("started"), _moment(report.started_at)),
                (word("duration"), f"{report.seconds:g}"),
            )
        ),
    ]
    counts = [[word(name), _shown(getattr(report.counts, name))] for name in _COUNTS]
    counts.append([word("duplicates"), str(report.duplicates)])
    parts += [f"## {word('counts')}", _table(["", ""], counts)]
    money = [
        [word("input_tokens"), str(report.tokens.input)],
        [word("output_tokens"), str(report.tokens.output)],
        [word("per_accepted"), _shown(report.tokens.per_accepted)],
        [word("wasted_share"), _shown(report.tokens.wasted_share)],
        [word("cost_total"), report.cost],
        [word("cost_each"), _shown(report.cost_per_accepted)],
    ]
    parts += [f"## {word('cost')}", _table(["", ""], money)]
    for name in ("final", "model", "rule"):
        bins: list[Bin] = getattr(report.histograms, name)
        if any(step.count for step in bins):
            parts += [f"## {word(name)}", _bars(bins)]
    for name, keys in _GROUPS:
        groups: list[GroupFigures] = getattr(report, name)
        if groups:
            heads = [word(f"name_{key}" if f"name_{key}" in _WORDS else key) for key in keys]
            rows = [[_shown(getattr(group, key)) for key in (*keys, *_FIGURES)] for group in groups]
            parts += [f"## {word(name)}", _table([*heads, *map(word, _FIGURES)], rows)]
    if report.throughput:
        slots = [
            [slot.at.isoformat(timespec="seconds"), str(slot.rows), str(slot.accepted)] for slot in report.throughput
        ]
        parts += [f"## {word('throughput')}", _table([word("at"), word("rows"), word("accepted")], slots)]
    for name in ("reasons", "failures"):
        reasons: list[Reason] = getattr(report, name)
        lines = [[reason.code, reason.reason, str(reason.count)] for reason in reasons]
        shown = _table(["", word("reason"), word("count")], lines) if lines else word("none")
        parts += [f"## {word(name)}", shown]
    texts = [[str(row.id), _shown(row.final_score), row.status, _json_text(row.data)] for row in report.samples]
    samples = _table(["id", word("final_score"), word("state"), word("data")], texts) if texts else word("none")
    parts += [f"## {word('samples')}", samples]
    return ("\n\n".join(parts) + "\n").encode("utf-8", "replace")


def _figure_lines(report: Report) -> list[tuple[str, str, str, Any]]:
    lines: list[tuple[str, str, str, Any]] = [
        ("task", report.task_id, "type", report.task_type),
        ("task", report.task_id, "status", report.status),
        ("task", report.task_id, "seconds", report.seconds),
        ("task", report.task_id, "rows_per_s", report.rows_per_s),
        *(("counts", "", name, getattr(report.counts, name)) for name in _COUNTS),
        ("counts", "", "duplicates", report.duplicates),
        ("tokens", "", "input", report.tokens.input),
        ("tokens", "", "output", report.tokens.output),
        ("tokens", "", "per_accepted", report.tokens.per_accepted),
        ("tokens", "", "wasted_share", report.tokens.wasted_share),
        ("cost", "", "total", report.cost),
        ("cost", "", "per_accepted", report.cost_per_accepted),
    ]
    for name in ("final", "model", "rule"):
        bins: list[Bin] = getattr(report.histograms, name)
        lines += [(f"histogram_{name}", f"{step.low}-{step.high}", "count", step.count) for step in bins]
    for section, keys in (
        ("directions", ("direction",)),
        ("services", ("channel", "model")),
        ("attempts", ("attempts",)),
    ):
        groups: list[GroupFigures] = getattr(report, section)
        for group in groups:
            name = " / ".join(_shown(getattr(group, key)) for key in keys)
            lines += [(section, name, figure, getattr(group, figure)) for figure in _FIGURES]
    for slot in report.throughput:
        at = slot.at.isoformat()
        lines += [("throughput", at, "rows", slot.rows), ("throughput", at, "accepted", slot.accepted)]
    lines += [("reasons", reason.code, reason.reason, reason.count) for reason in report.reasons]
    lines += [("failures", reason.code, reason.reason, reason.count) for reason in report.failures]
    return lines


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(_cell(text) for text in line) + " |" for line in lines)


def _cell(text: str) -> str:
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("\r", " ").replace("\n", " ")


def _bars(bins: Sequence[Bin]) -> str:
    most = max(step.count for step in bins)
    lines = [f"{step.low:>2}–{step.high:<2} {_bar(step.count / most):<{_BAR}} {step.count}" for step in bins]
    return "```text\n" + "\n".join(lines) + "\n```"


def _bar(share: float) -> str:
    return "█" * round(_BAR * share)


def _moment(at: datetime) -> str:
    return at.isoformat(timespec="seconds")


def _shown(value: Any) -> str:
    if value is None:
        return "–"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _json_text(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
