"""Ask a model to score a row by the type's rubric, and read its answer.

The judge gives whole numbers from 0 to 10 per criterion; the total is ours, so a model cannot talk itself into one.
"""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, cast

import msgspec
from msgspec import Struct

from tidemill.datagen.parse import read_object
from tidemill.datagen.prompts import material
from tidemill.datagen.scores import final_score, half_up, whole
from tidemill.datagen.task_types import TaskType
from tidemill.kernel.lang import Lang

__all__ = ["Judgement", "final_score", "judge_format", "judge_messages", "parse_judgement", "whole"]

_PROMPTS = Path(__file__).parent / "types"
_HIGHEST = 10
_ISSUES_KEPT = 5
_ISSUE_CHARS = 300
_WORDS: Mapping[Lang, Mapping[str, str]] = {
    "zh": {"kind": "数据类型", "direction": "方向", "criteria": "评分项", "row": "待评数据", "colon": "："},
    "en": {
        "kind": "Kind of data",
        "direction": "Direction",
        "criteria": "Criteria",
        "row": "Row to score",
        "colon": ": ",
    },
}


class Judgement(Struct, frozen=True):
    """A judge's answer: ``model_score`` 0..10 with two decimals, whole marks per criterion, faults in words."""

    model_score: float
    criteria: dict[str, int]
    issues: list[str]


def judge_messages(
    t: TaskType, lang: Lang, sample: Mapping[str, Any], output: Mapping[str, Any], direction: str | None
) -> list[dict[str, Any]]:
    """Return the messages that ask for a score of ``output``."""
    words = _WORDS[lang]
    colon = words["colon"]
    names = ", ".join(criterion.name for criterion in t.rubric)
    listed = [f"- {c.name}{colon}{c.zh if lang == 'zh' else c.en}" for c in t.rubric]
    system = "\n".join(
        [
            f"task: judge\nlanguage: {lang}\ncriteria: {names}\n",
            _template(lang),
            "",
            f"{words['kind']}{colon}{t.title[lang]}{colon}{t.description[lang]}",
            f"{words['criteria']}{colon.rstrip()}",
            *listed,
        ]
    )
    row = msgspec.json.format(msgspec.json.encode(output), indent=0).decode()
    asked = [f"{words['direction']}{colon}{' '.join(direction.split())}"] if direction else []
    lines = [*asked, "<material>", material(t, sample) or "-", "</material>", f"{words['row']}{colon.rstrip()}", row]
    return [{"role": "system", "content": system}, {"role": "user", "content": "\n".join(lines)}]


def judge_format(t: TaskType) -> dict[str, Any]:
    """Return the form of the judge's answer (OpenAI ``response_format``)."""
    mark = {"type": "integer", "minimum": 0, "maximum": _HIGHEST}
    names = [criterion.name for criterion in t.rubric]
    schema = {
        "type": "object",
        "properties": {
            "issues": {"type": "array", "items": {"type": "string", "maxLength": 120}, "maxItems": 3},
            "criteria": {
                "type": "object",
                "properties": dict.fromkeys(names, mark),
                "required": names,
                "additionalProperties": False,
            },
        },
        "required": ["issues", "criteria"],
        "additionalProperties": False,
    }
    return {"type": "json_schema", "json_schema": {"name": "judgement", "strict": True, "schema": schema}}


def parse_judgement(t: TaskType, text: str) -> Judgement | None:
    """Read a judge's answer; None when a criterion is missing or no mark from 0 to 10 (a score is never made up)."""
    answer, _ = read_object(text)
    if answer is None or not isinstance(answer.get("criteria"), Mapping):
        return None
    given = cast("Mapping[str, Any]", answer["criteria"])
    marks: dict[str, int] = {}
    for criterion in t.rubric:
        mark = given.get(criterion.name)
        if isinstance(mark, bool) or not isinstance(mark, int | float) or not 0 <= mark <= _HIGHEST:
            return None
        marks[criterion.name] = whole(float(mark))
    issues = answer.get("issues")
    texts = [item for item in cast("list[Any]", issues) if isinstance(item, str)] if isinstance(issues, list) else []
    total = sum(criterion.weight * marks[criterion.name] for criterion in t.rubric)
    kept = [text.strip()[:_ISSUE_CHARS] for text in texts if text.strip()][:_ISSUES_KEPT]
    return Judgement(half_up(min(float(_HIGHEST), max(0.0, round(total, 6)))), marks, kept)


@cache
def _template(lang: Lang) -> str:
    return (_PROMPTS / f"judge.{lang}.md").read_text(encoding="utf-8").strip()
