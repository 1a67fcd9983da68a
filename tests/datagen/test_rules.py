from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.datagen.novelty import Novelty
from tidemill.datagen.rules import LengthProfile, RuleVerdict, detect_language, length_profile, rule_score
from tidemill.datagen.task_types import TaskType, load_types
from tidemill.kernel.lang import Lang

TYPES = load_types()
QA = TYPES["qa_pairs"]
FRESH = Novelty(exact_duplicate=False, max_jaccard=0.2)


def _score(
    t: TaskType,
    output: dict[str, Any],
    sample: dict[str, Any] | None = None,
    *,
    lang: Lang = "zh",
    direction: str | None = None,
    lengths: LengthProfile | None = None,
    novelty: Novelty | None = FRESH,
) -> RuleVerdict:
    return rule_score(
        t, lang, output, sample or {}, direction=direction, lengths=lengths or LengthProfile(), novelty=novelty
    )


GOOD = {
    "question": "白金卡的年费第二年还能免吗？",
    "answer": "可以，当年刷满十八笔，系统会在账单日自动退回。",
    "evidence": "",
}

_rows = st.fixed_dictionaries(
    {"question": st.text(max_size=60), "answer": st.text(max_size=120), "evidence": st.text(max_size=30)}
)
_novelties = st.none() | st.builds(
    Novelty, exact_duplicate=st.booleans(), max_jaccard=st.floats(0, 1), measured=st.booleans()
)


@given(
    output=_rows,
    sample=st.dictionaries(st.sampled_from(["passage", "question", "x"]), st.text(max_size=60), max_size=3),
    lang=st.sampled_from(["zh", "en"]),
    direction=st.none() | st.text(max_size=12),
    spans=st.tuples(st.floats(0, 500), st.floats(0, 500)),
    novelty=_novelties,
)
def test_scores_stay_within_bounds_and_a_failed_gate_makes_zero(
    output: dict[str, Any],
    sample: dict[str, Any],
    lang: Lang,
    direction: str | None,
    spans: tuple[float, float],
    novelty: Novelty | None,
) -> None:
    lengths = LengthProfile(lengths={"question": (min(spans), max(spans))}, rows=9)
    verdict = _score(QA, output, sample, lang=lang, direction=direction, lengths=lengths, novelty=novelty)
    assert 0.0 <= verdict.score <= 10.0
    assert verdict.score == round(verdict.score, 2)
    assert all(0.0 <= value <= 1.0 for value in verdict.checks.values())
    if verdict.failed_gates:
        assert verdict.score == 0.0
        assert verdict.reasons
    again = _score(QA, output, sample, lang=lang, direction=direction, lengths=lengths, novelty=novelty)
    assert again == verdict


def test_a_good_row_scores_high() -> None:
    verdict = _score(QA, GOOD, {"passage": "招商银行公告"}, direction="白金卡年费")
    assert verdict.failed_gates == []
    assert verdict.score >= 9


@pytest.mark.parametrize(
    ("changes", "gate"),
    [
        ({"answer": "  "}, "required"),
        ({"answer": "作为一个AI语言模型，我不能回答。"}, "meta_text"),
        ({"question": "好的，以下是一个问题：年费多少？"}, "meta_text"),
        ({"answer": "Sure! Here is the answer."}, "meta_text"),
        ({"answer": "请填写 {{name}} 后提交"}, "residue"),
        ({"answer": "[INST] 回答 [/INST]"}, "residue"),
        ({"answer": "想一想</think>可以"}, "residue"),
    ],
)
def test_gates_close_on_what_no_row_may_hold(changes: dict[str, str], gate: str) -> None:
    verdict = _score(QA, {**GOOD, **changes})
    assert gate in verdict.failed_gates
    assert verdict.score == 0.0


def test_a_copy_of_the_sample_is_refused_however_it_is_dressed() -> None:
    sample = {"question": GOOD["question"], "answer": GOOD["answer"].replace("，", "")}
    assert _score(QA, GOOD, sample).failed_gates == ["copy_of_sample"]
    close = _score(QA, GOOD, {**sample, "answer": GOOD["answer"].replace("十八", "十七")})
    assert close.failed_gates == []
    assert close.checks["novelty_to_sample"] < 0.5


def test_duplicates_and_near_duplicates_are_refused() -> None:
    assert _score(QA, GOOD, novelty=Novelty(exact_duplicate=True, max_jaccard=1.0)).failed_gates[0] == "duplicate"
    assert _score(QA, GOOD, novelty=Novelty(exact_duplicate=False, max_jaccard=0.85)).failed_gates == ["near_duplicate"]
    nearly = _score(QA, GOOD, novelty=Novelty(exact_duplicate=False, max_jaccard=0.675))
    assert nearly.checks["novelty"] == 0.5
    unmeasured = _score(QA, GOOD, novelty=Novelty(exact_duplicate=False, max_jaccard=0.0, measured=False))
    assert "novelty" not in unmeasured.checks


@pytest.mark.parametrize(
    ("lang", "text", "value"),
    [
        ("zh", "全是中文的一句话", 1.0),
        ("zh", "only English here", 0.0),
        ("en", "only English here", 1.0),
        ("en", "全是中文", 0.0),
    ],
)
def test_the_language_is_told_by_script(lang: Lang, text: str, value: float) -> None:
    row = {"question": text, "answer": text, "evidence": ""}
    assert _score(QA, row, lang=lang).checks["language"] == value


@pytest.mark.parametrize(
    ("lang", "direction", "answer", "low", "high"),
    [
        ("zh", "信用卡年费", "信用卡年费可以减免", 1.0, 1.0),
        ("zh", "信用卡年费", "信用卡的年费可以减免", 1.0, 1.0),
        ("zh", "信用卡年费", "今天天气很好", 0.0, 0.0),
        ("en", "annual card fees", "The fee of a card is charged annually", 1.0, 1.0),
        ("en", "annual card fees", "The weather is fine", 0.0, 0.0),
    ],
)
def test_the_direction_must_be_taken_up(lang: Lang, direction: str, answer: str, low: float, high: float) -> None:
    row = {"question": "?" if lang == "en" else "？", "answer": answer, "evidence": ""}
    verdict = _score(QA, row, lang=lang, direction=direction)
    assert low <= verdict.checks["direction"] <= high
    if high < 0.5:
        assert any(direction in reason for reason in verdict.reasons)


@pytest.mark.parametrize(("size", "value"), [(10, 1.0), (5, 1.0), (40, 1.0), (60, 0.5), (80, 0.0), (4, 0.6), (2, 0.0)])
def test_lengths_follow_the_samples(size: int, value: float) -> None:
    profile = LengthProfile(lengths={"text": (10, 20)}, rows=9)
    row = {"text": "长" * size, "label": "甲"}
    found = _score(TYPES["text_classification"], row, lengths=profile).checks["length"]
    assert found == pytest.approx(value, abs=0.01)


def test_repetition_costs() -> None:
    once = _score(QA, GOOD).checks["repetition"]
    many = _score(QA, {**GOOD, "answer": "可以减免年费。" * 20}).checks["repetition"]
    assert once == 1.0
    assert many == 0.0


def test_a_profile_knows_lengths_labels_and_entity_types() -> None:
    samples: list[dict[str, Any]] = [
        {"text": "字" * size, "label": label, "entities": [{"type": kind, "value": "x"}]}
        for size, label, kind in [
            (10, "甲", "人名"),
            (20, "乙", "地名"),
            (30, "甲", "人名"),
            (40, "丙", "机构"),
            (50, "甲", "人名"),
        ]
    ]
    profile = length_profile(samples)
    assert profile.rows == 5
    assert profile.lengths["text"] == (12.0, 48.0)
    assert profile.labels["label"] == ("甲", "乙", "丙")
    assert profile.labels["entities"] == ("人名", "地名", "机构")
    assert "text" not in length_profile([{"text": "字" * 81}]).labels
    assert length_profile([]).rows == 0


@pytest.mark.parametrize(
    ("samples", "lang"),
    [
        ([{"text": "信用卡年费怎么减免", "id": 1}], "zh"),
        ([{"text": "How can the annual fee be waived?"}], "en"),
        ([{"q": "用 Python 写一个快速排序"}], "zh"),
        ([], "en"),
        ([{"n": 3}], "en"),
    ],
)
def test_the_language_of_samples_is_told_by_script(samples: list[dict[str, Any]], lang: Lang) -> None:
    assert detect_language(samples) == lang
