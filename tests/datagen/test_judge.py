import json
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.datagen.judge import final_score, judge_format, judge_messages, parse_judgement, whole
from tidemill.datagen.scores import half_up
from tidemill.datagen.task_types import TaskType, load_types
from tidemill.kernel.lang import Lang

TYPES = load_types()
QA = TYPES["qa_pairs"]
NAMES = [criterion.name for criterion in QA.rubric]

scores = st.floats(0, 10, allow_nan=False)


def _answer(marks: dict[str, Any], **more: Any) -> str:
    return json.dumps({"criteria": marks, "issues": [], **more})


@given(marks=st.lists(st.integers(0, 10), min_size=len(NAMES), max_size=len(NAMES)))
def test_the_total_is_ours_and_stays_within_bounds(marks: list[int]) -> None:
    judgement = parse_judgement(QA, _answer(dict(zip(NAMES, marks, strict=True)), total=99))
    assert judgement is not None
    exact = sum((Decimal(str(c.weight)) * mark for c, mark in zip(QA.rubric, marks, strict=True)), Decimal(0))
    assert judgement.model_score == float(exact.quantize(Decimal("0.01"), ROUND_HALF_UP))
    assert 0 <= judgement.model_score <= 10


@pytest.mark.parametrize("mark", [None, "8", True, -1, 11, [8]])
def test_a_score_is_never_made_up(mark: Any) -> None:
    marks: dict[str, Any] = dict.fromkeys(NAMES, 8)
    assert parse_judgement(QA, _answer({**marks, NAMES[0]: mark})) is None
    del marks[NAMES[0]]
    assert parse_judgement(QA, _answer(marks)) is None


@given(text=st.text(max_size=200))
def test_no_answer_makes_it_raise(text: str) -> None:
    assert parse_judgement(QA, text) is None or "criteria" in text


def test_fences_thoughts_and_odd_issues_do_no_harm() -> None:
    marks = dict.fromkeys(NAMES, 9)
    text = f"<think>hm</think>```json\n{_answer(marks, issues=['vague', 3, ' '])}\n```"
    judgement = parse_judgement(QA, text)
    assert judgement is not None
    assert judgement.issues == ["vague"]
    assert judgement.model_score == 9.0


@given(model=scores, rule=scores)
def test_the_final_score_lies_between_both_scores(model: float, rule: float) -> None:
    final = final_score(model, rule)
    assert min(model, rule) - 0.005 <= final <= max(model, rule) + 0.005
    assert final == round(final, 2)
    assert final_score(None, rule) == half_up(rule)


@pytest.mark.parametrize(
    ("model", "rule", "final"),
    [(8.0, 8.0, 8.0), (7.0, 9.5, 8.0), (9.05, 6.4, 7.99), (8.11, 7.86, 8.01), (10, 10, 10.0), (0, 0, 0.0)],
)
def test_final_scores_by_hand(model: float, rule: float, final: float) -> None:
    assert final_score(model, rule) == final


@pytest.mark.parametrize(("value", "rounded"), [(8.125, 8.13), (2.675, 2.68), (1.005, 1.01), (0.0, 0.0), (9.994, 9.99)])
def test_halves_go_up_at_two_decimals(value: float, rounded: float) -> None:
    assert half_up(value) == rounded


@pytest.mark.parametrize(("value", "rounded"), [(7.5, 8), (8.5, 9), (7.49, 7), (0.5, 1), (10.0, 10)])
def test_halves_go_up_at_whole_numbers(value: float, rounded: int) -> None:
    assert whole(value) == rounded


@pytest.mark.parametrize("t", TYPES.values(), ids=TYPES.keys())
@pytest.mark.parametrize("lang", ["zh", "en"])
def test_the_prompt_shows_rubric_row_and_direction(t: TaskType, lang: Lang) -> None:
    row = t.example[lang]["output"]
    system, user = (m["content"] for m in judge_messages(t, lang, t.example[lang]["input"], row, "年费"))
    for criterion in t.rubric:
        assert (criterion.zh if lang == "zh" else criterion.en) in system
    assert "年费" in user
    assert json.loads(user[user.rindex("\n") + 1 :]) == row
    schema = judge_format(t)["json_schema"]["schema"]
    good: dict[str, Any] = {"issues": [], "criteria": {c.name: 8 for c in t.rubric}}
    assert jsonschema_rs.is_valid(schema, good)
    assert not jsonschema_rs.is_valid(schema, {"issues": [], "criteria": {}})
