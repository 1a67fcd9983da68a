"""Score a row by rule, 0 to 10: gates that must hold, then a weighted mean of checks. Pure and deterministic.

A failed gate makes the score 0 and saves the call to the judge. Weights count only where a check applies.
"""

import re
from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from tidemill.datagen.fields import leaves, texts_at
from tidemill.datagen.novelty import Novelty, jaccard, normalized
from tidemill.datagen.rules_checks import HARD, SOFT
from tidemill.datagen.rules_context import RowContext
from tidemill.datagen.rules_profile import LengthProfile, detect_language, han_share, length_profile
from tidemill.datagen.scores import half_up
from tidemill.datagen.task_types import TaskType
from tidemill.kernel.lang import Lang

__all__ = ["WEIGHTS", "LengthProfile", "RuleVerdict", "detect_language", "length_profile", "rule_score"]

WEIGHTS: Mapping[str, float] = {
    "completeness": 0.20,
    "length": 0.15,
    "language": 0.10,
    "direction": 0.10,
    "novelty": 0.20,
    "novelty_to_sample": 0.10,
    "repetition": 0.05,
    "task": 0.20,
}
NEAR_DUPLICATE = 0.85
_ALIKE_IN_PART = 0.60
_WEAK = 0.5  # a check below this is named among the reasons

_META = re.compile(
    r"^\s*(?:作为(?:一个|一名)?\s*(?:AI|人工智能|大?语言模型)|(?:好的|当然)[，,]?\s*(?:以下|下面)是"
    r"|as an ai\b|(?:sure|certainly|of course)[,!]? here(?:'s| is| are)\b|here is the (?:json|row|output)\b)",
    re.IGNORECASE,
)
_RESIDUE = re.compile(
    r"\{\{|</?think>|\[/?INST\]|<\|[a-z_]+\|>|</?material>|<<SYS>>|\[(?:your name|您的姓名)\]", re.IGNORECASE
)

_SAID: Mapping[str, tuple[str, str]] = {
    "required": ("必填内容为空", "a required text is empty"),
    "meta_text": ("出现了模型自述或开场白", "the row holds a model's own preamble"),
    "residue": ("出现了模板残留标记", "the row holds left-over template marks"),
    "copy_of_sample": ("与样本内容相同，请重新创作", "the row repeats the sample; write a new one"),
    "duplicate": ("与已接受的数据重复", "the row repeats one that was accepted before"),
    "near_duplicate": ("与已接受的数据过于相似", "the row is too close to one accepted before"),
    "completeness": ("可选字段未填写", "optional fields are left empty"),
    "length": ("篇幅与样本差距过大", "the length is far from that of the samples"),
    "language": ("语言不符合要求", "the language is not the one asked for"),
    "direction": ("没有围绕指定方向“{direction}”", "the row does not keep to the direction '{direction}'"),
    "novelty": ("与已接受的数据相近，请换一种内容", "much like rows accepted before; write about something else"),
    "novelty_to_sample": ("与样本过于相近", "too close to the sample"),
    "repetition": ("内容重复啰嗦", "the text repeats itself"),
    "task": ("任务特有要求完成得不好", "the demands of this kind of row are poorly met"),
}


class RuleVerdict(Struct, frozen=True):
    """``score`` 0..10 with two decimals; ``checks`` 0..1 by name; ``reasons`` say what to mend."""

    score: float
    failed_gates: list[str]
    checks: dict[str, float]
    reasons: list[str]


def rule_score(
    t: TaskType,
    lang: Lang,
    output: Mapping[str, Any],
    sample: Mapping[str, Any],
    *,
    direction: str | None,
    lengths: LengthProfile,
    novelty: Novelty | None,
) -> RuleVerdict:
    """Score one parsed row. ``novelty`` None leaves out the comparison with accepted rows."""
    row = RowContext(t, lang, output, sample, lengths, direction)
    said = _sample_prose(row)
    gates, reasons = _gates(row, said, novelty)
    checks = _checks(row, said, novelty)
    if gates:
        return RuleVerdict(0.0, gates, checks, reasons)
    total = sum(WEIGHTS[name] for name in checks)
    score = 10 * sum(WEIGHTS[name] * value for name, value in checks.items()) / total if total else 0.0
    weak = [_say(name, row) for name, value in sorted(checks.items(), key=lambda pair: pair[1]) if value < _WEAK]
    return RuleVerdict(min(10.0, max(0.0, half_up(score))), [], checks, weak)


def _gates(row: RowContext, said: str, novelty: Novelty | None) -> tuple[list[str], list[str]]:
    rules = row.t.rules
    prose = [texts_at(row.output, path) for path in rules.prose]
    plain = normalized(row.prose())
    failed = [
        name
        for name, broken in {
            "required": any(not texts or any(not text.strip() for text in texts) for texts in prose),
            "meta_text": any(_META.search(text) for texts in prose for text in texts),
            "residue": any(_RESIDUE.search(text) for texts in prose for text in texts),
            "copy_of_sample": bool(plain) and plain == normalized(said),
            "duplicate": novelty is not None and novelty.exact_duplicate,
            "near_duplicate": novelty is not None and novelty.measured and novelty.max_jaccard >= NEAR_DUPLICATE,
        }.items()
        if broken
    ]
    reasons = [_say(name, row) for name in failed]
    for name in rules.hard:
        if problems := HARD[name](row):
            failed.append(name)
            reasons.extend(problem.message for problem in problems)
    return failed, list(dict.fromkeys(reasons))


def _checks(row: RowContext, said: str, novelty: Novelty | None) -> dict[str, float]:
    rules = row.t.rules
    prose = row.prose()
    found: dict[str, float | None] = {
        "completeness": _completeness(row),
        "length": _length(row),
        "language": _language("\n".join(row.text(path) for path in rules.language), row.lang),
        "direction": _direction(row.direction, "\n".join(leaves(row.output)), row.lang) if row.direction else None,
        "novelty": _falling(novelty.max_jaccard, 0.50, 0.85) if novelty and novelty.measured else None,
        "novelty_to_sample": _newness(prose, said) if said else None,
        "repetition": _repetition(prose, row.lang),
        "task": sum(SOFT[name](row) for name in rules.soft) / len(rules.soft) if rules.soft else None,
    }
    return {name: round(min(1.0, max(0.0, value)), 4) for name, value in found.items() if value is not None}


def _sample_prose(row: RowContext) -> str:
    """Return the sample's text that a row could be a copy of: the columns like the row's own fields, else all of it."""
    columns = [row.t.column(name, row.sample) for name in row.t.rules.lengths.values()]
    alike = ["\n".join(leaves(row.sample[column])) for column in columns if column is not None]
    return "\n".join(alike or leaves(row.sample))


def _completeness(row: RowContext) -> float | None:
    optional = row.t.rules.optional
    if not optional:
        return None
    return sum(bool(row.output.get(name)) for name in optional) / len(optional)


def _length(row: RowContext) -> float | None:
    """1 within half the samples' 5th percentile and twice their 95th, falling to 0 at half and double of that."""
    marks: list[float] = []
    for path, name in row.t.rules.lengths.items():
        column = row.t.column(name, row.profile.lengths)
        if column is None:
            continue
        short, long = row.profile.lengths[column]
        low, high, size = 0.5 * short, max(1.0, 2.0 * long), len(row.text(path).strip())
        if size < low:
            marks.append(max(0.0, (size - 0.5 * low) / (0.5 * low)))
        else:
            marks.append(1.0 if size <= high else max(0.0, 1.0 - (size - high) / high))
    return sum(marks) / len(marks) if marks else None


def _language(text: str, lang: Lang) -> float:
    share = han_share(text)
    if share is None:
        return 0.0
    return min(1.0, share / 0.30) if lang == "zh" else _falling(share, 0.05, 0.50)


def _direction(direction: str, text: str, lang: Lang) -> float:
    """Return how much of the direction's wording the row takes up: character pairs in zh, words in en."""
    wanted, said = normalized(direction), normalized(text)
    if not wanted or wanted in said:
        return 1.0
    if lang == "zh":
        pieces = {wanted[at : at + 2] for at in range(max(1, len(wanted) - 1))}
    else:
        words = {re.sub(r"(?:ing|ed|es|s)$", "", word) for word in re.findall(r"[a-z0-9]+", direction.casefold())}
        pieces = {word for word in words if len(word) > 2} or {wanted}  # noqa: PLR2004 - "a", "of" say nothing
    return min(1.0, sum(piece in said for piece in pieces) / len(pieces) / 0.6)


def _newness(text: str, said: str) -> float:
    """Return 1 while at most six tenths are shared with the sample, 0 from 95 in a hundred on."""
    sizes = len(normalized(text)), len(normalized(said))
    if min(sizes) < _ALIKE_IN_PART * max(sizes):
        return 1.0  # texts of such different length cannot share more; hashing them would be in vain
    return _falling(jaccard(text, said), _ALIKE_IN_PART, 0.95)


def _repetition(text: str, lang: Lang) -> float:
    """Return 1 while at most a tenth of the four-grams repeat, 0 from a half on."""
    grams: set[str] | set[tuple[str, ...]]
    if lang == "zh":
        plain = normalized(text)
        count = len(plain) - 3
        grams = {plain[at : at + 4] for at in range(count)}
    else:
        words = text.casefold().split()
        count = len(words) - 3
        grams = set(zip(words, words[1:], words[2:], words[3:], strict=False))
    return _falling(1 - len(grams) / count, 0.10, 0.50) if count > 0 else 1.0


def _falling(value: float, full: float, none: float) -> float:
    """Return 1 up to ``full``, 0 from ``none``, a straight line between."""
    return min(1.0, max(0.0, (none - value) / (none - full)))


def _say(name: str, row: RowContext) -> str:
    zh, en = _SAID[name]
    return (zh if row.lang == "zh" else en).replace("{direction}", row.direction or "")
