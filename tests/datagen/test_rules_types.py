from pathlib import Path
from typing import Any

import pytest

from tidemill.datagen.rules import LengthProfile, RuleVerdict, rule_score
from tidemill.datagen.task_types import load_types
from tidemill.kernel.lang import Lang

TYPES = load_types()


def _score(name: str, output: dict[str, Any], sample: dict[str, Any] | None = None, lang: Lang = "en") -> RuleVerdict:
    profile = LengthProfile()
    return rule_score(TYPES[name], lang, output, sample or {}, direction=None, lengths=profile, novelty=None)


def _turns(*roles: str) -> dict[str, Any]:
    return {
        "messages": [{"role": role, "content": f"Something number {n} is said here"} for n, role in enumerate(roles)]
    }


TOOL = {
    "name": "find",
    "description": "d",
    "parameters": '{"type":"object","properties":{"n":{"type":"integer"}},"required":["n"]}',
}
SCHEMA = "CREATE TABLE cards (id INTEGER, level TEXT, fee REAL)"

REFUSED: list[tuple[str, dict[str, Any], dict[str, Any], str]] = [
    ("entity_extraction", {"text": "Ann came", "entities": [{"type": "p", "value": "Bob"}]}, {}, "entity_spans"),
    (
        "entity_extraction",
        {"text": "Ann came", "entities": [{"type": "city", "value": "Ann", "start": 0, "end": 3}]},
        {"entities": [{"type": "person", "value": "x"}]},
        "entity_spans",
    ),
    ("text_classification", {"text": "slow", "label": "other"}, {"text": "t", "labels": ["a", "b"]}, "label_known"),
    (
        "intent_classification",
        {"utterance": "hi there", "intent": "x"},
        {"utterance": "a", "intent": "y"},
        "label_known",
    ),
    (
        "intent_classification",
        {"utterance": "to Leeds", "intent": "go", "slots": [{"name": "c", "value": "York"}]},
        {},
        "slots_quoted",
    ),
    ("qa_pairs", {"question": "Q?", "answer": "A", "evidence": "made up"}, {"passage": "real text"}, "evidence_quoted"),
    ("multi_turn_dialogue", _turns("user", "assistant"), {}, "dialogue_alternates"),
    ("multi_turn_dialogue", _turns("user", "user", "assistant", "assistant"), {}, "dialogue_alternates"),
    ("multi_turn_dialogue", _turns("user", "assistant", "user"), {}, "dialogue_alternates"),
    ("multi_turn_dialogue", _turns(*["user", "assistant"] * 11), {}, "dialogue_alternates"),
    (
        "sentiment",
        {"text": "bad", "polarity": "negative", "aspects": [{"aspect": "food", "polarity": "negative"}]},
        {},
        "aspects_quoted",
    ),
    ("summarization", {"document": "word " * 40, "summary": "word " * 39}, {}, "summary_faithful"),
    ("summarization", {"document": "word " * 40, "summary": "word 1234 word"}, {}, "summary_faithful"),
    ("translation", {"source": "English", "target": "still English"}, {}, "translation_languages"),
    ("translation", {"source": "It costs 1234 dollars", "target": "它很贵"}, {}, "translation_languages"),
    (
        "paraphrase",
        {"text": "the card is free", "positive": "The card is free.", "negative": "x"},
        {},
        "paraphrase_apart",
    ),
    ("paraphrase", {"text": "the card is free", "positive": "no idea", "negative": "x"}, {}, "paraphrase_apart"),
    ("preference_pairs", {"prompt": "p", "chosen": "Same one", "rejected": "same, ONE!"}, {}, "answers_differ"),
    (
        "instruction_following",
        {"instruction": "List", "output": "a\nb", "constraints": [{"kind": "lines", "value": "3"}]},
        {},
        "constraints_hold",
    ),
    (
        "instruction_following",
        {"instruction": "JSON", "output": "{", "constraints": [{"kind": "json", "value": ""}]},
        {},
        "constraints_hold",
    ),
    ("nl2sql", {"question": "q", "schema": "CREATE TABEL x", "sql": "SELECT 1"}, {}, "sql_runs"),
    ("nl2sql", {"question": "q", "schema": SCHEMA, "sql": "SELECT nothing FROM cards"}, {}, "sql_runs"),
    ("nl2sql", {"question": "q", "schema": SCHEMA, "sql": "DELETE FROM cards"}, {}, "sql_runs"),
    ("nl2sql", {"question": "q", "schema": SCHEMA, "sql": "SELECT 1; SELECT 2"}, {}, "sql_runs"),
    (
        "function_calling",
        {"query": "q", "tools": [TOOL], "calls": [{"name": "lose", "arguments": "{}"}]},
        {},
        "calls_valid",
    ),
    (
        "function_calling",
        {"query": "q", "tools": [TOOL], "calls": [{"name": "find", "arguments": '{"n":"x"}'}]},
        {},
        "calls_valid",
    ),
]


@pytest.mark.parametrize(("name", "output", "sample", "gate"), REFUSED)
def test_a_type_refuses_what_its_rows_may_not_be(
    name: str, output: dict[str, Any], sample: dict[str, Any], gate: str
) -> None:
    verdict = _score(name, output, sample)
    assert verdict.failed_gates == [gate]
    assert verdict.score == 0.0
    assert verdict.reasons


@pytest.mark.parametrize("name", sorted(TYPES))
@pytest.mark.parametrize("lang", ["zh", "en"])
def test_the_example_row_passes_and_scores_high(name: str, lang: Lang) -> None:
    example = TYPES[name].example[lang]
    verdict = _score(name, example["output"], example["input"], lang)
    assert verdict.failed_gates in ([], ["label_known"]), verdict.reasons  # examples may bring a label of their own
    if not verdict.failed_gates:
        assert verdict.score >= 8


def test_reasons_are_in_the_language_of_the_task() -> None:
    row = {"text": "Ann came", "entities": [{"type": "p", "value": "Bob"}]}
    assert "不在文本" in _score("entity_extraction", row, lang="zh").reasons[0]
    assert "not in the text" in _score("entity_extraction", row, lang="en").reasons[0]


def test_a_known_label_passes_and_one_among_the_samples_too() -> None:
    row = {"text": "The queue never moved at all", "label": "complaint"}
    t = TYPES["text_classification"]
    profile = LengthProfile(labels={"label": ("praise", "complaint")}, rows=9)
    sample = {"text": "x", "label": "praise"}
    verdict = rule_score(t, "en", row, sample, direction=None, lengths=profile, novelty=None)
    assert verdict.failed_gates == []
    alone = rule_score(t, "en", row, sample, direction=None, lengths=LengthProfile(), novelty=None)
    assert alone.failed_gates == ["label_known"]


def test_checked_sql_reaches_nothing_outside_memory(tmp_path: Path) -> None:
    target = tmp_path / "leak.db"
    for schema in (f"ATTACH DATABASE '{target}' AS x; CREATE TABLE x.t (a)", f"VACUUM INTO '{target}'"):
        verdict = _score("nl2sql", {"question": "q", "schema": schema, "sql": "SELECT 1"})
        assert verdict.failed_gates == ["sql_runs"]
    assert not target.exists()
    endless = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT max(x) FROM n"
    assert _score("nl2sql", {"question": "q", "schema": SCHEMA, "sql": endless}).failed_gates == []
    filling = f"CREATE TABLE t (a); INSERT INTO t {endless.replace('max(x)', 'x')}"
    assert _score("nl2sql", {"question": "q", "schema": filling, "sql": "SELECT a FROM t"}).failed_gates == ["sql_runs"]


def test_soft_checks_move_the_types_own_part() -> None:
    told = _score("text_classification", {"text": "This is a complaint about queues", "label": "complaint"})
    open_ = _score("text_classification", {"text": "The queue never moved at all", "label": "complaint"})
    assert told.checks["task"] == 0.0
    assert open_.checks["task"] == 1.0
    repeated = {"messages": [{"role": role, "content": "the very same words"} for role in ["user", "assistant"] * 2]}
    assert _score("multi_turn_dialogue", repeated).checks["task"] < 0.7
