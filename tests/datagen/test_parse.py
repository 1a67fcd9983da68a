import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.datagen.completion import completed
from tidemill.datagen.parse import check_output, parse_output
from tidemill.datagen.task_types import TaskType, load_types

TYPES = load_types()
QA = TYPES["qa_pairs"]
NER = TYPES["entity_extraction"]
ROW = {"question": "年费怎么免？", "answer": "刷满六笔即可。", "evidence": ""}
PLAIN = json.dumps(ROW, ensure_ascii=False)

every_type = pytest.mark.parametrize("t", TYPES.values(), ids=TYPES.keys())


@every_type
@given(text=st.text(max_size=400), finish=st.sampled_from([None, "stop", "length", "tool_calls"]))
def test_no_text_makes_it_raise(t: TaskType, text: str, finish: str | None) -> None:
    parsed = parse_output(t, text, finish)
    assert (parsed.output is None) == bool(parsed.problems)


_JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(
            st.sampled_from(["text", "entities", "value", "start", "end", "turns", "user", "messages", "role", "x"]),
            inner,
            max_size=4,
        ),
    ),
    max_leaves=12,
)


@every_type
@given(value=_JSON)
def test_no_json_makes_it_raise(t: TaskType, value: Any) -> None:
    text = json.dumps(value)
    for answer in (text, text[: len(text) // 2], f"<think>hm</think>{text}", f"```json\n{text}\n```"):
        parsed = parse_output(t, answer, "stop")
        assert (parsed.output is None) == bool(parsed.problems)


@pytest.mark.parametrize(
    "text",
    [
        PLAIN,
        f"<think>先想一想 {{not json}}</think>\n{PLAIN}",
        f"thoughts without a beginning</think>{PLAIN}",
        f"```json\n{PLAIN}\n```",
        f"好的，结果如下：\n```\n{PLAIN}\n```\n希望有帮助！",
        f"Here you are: {PLAIN} Anything else?",
        f'{{"draft": 1}} and then {PLAIN}',
    ],
)
def test_what_surrounds_the_object_is_stripped_without_repair(text: str) -> None:
    parsed = parse_output(QA, text, "stop")
    assert parsed.output == ROW
    assert not parsed.repaired


@pytest.mark.parametrize(
    "text",
    [
        PLAIN[:-1],
        PLAIN.replace('", "', '" "'),
        "{question: '年费怎么免？', answer: '刷满六笔即可。', evidence: ''}",
    ],
)
def test_broken_json_is_repaired_last_and_flagged(text: str) -> None:
    parsed = parse_output(QA, text, "stop")
    assert parsed.output == ROW
    assert parsed.repaired


def test_an_answer_cut_at_the_limit_is_no_row() -> None:
    parsed = parse_output(QA, PLAIN, "length")
    assert parsed.output is None
    assert "cut off" in parsed.problems[0]


def test_schema_problems_name_the_field() -> None:
    parsed = parse_output(QA, json.dumps({"question": 1, "answer": "x", "evidence": ""}), "stop")
    assert parsed.output is None
    assert parsed.problems[0].startswith("question: ")


def test_deep_and_huge_answers_are_refused() -> None:
    assert parse_output(QA, '{"question":' * 5000, "stop").output is None
    assert parse_output(QA, "[" * 100_000, "stop").output is None
    assert parse_output(QA, "{" + "a" * 300_000, "stop").output is None


def test_null_characters_and_half_characters_never_reach_the_database() -> None:
    nul = parse_output(QA, '{"question":"a\\u0000b","answer":"c\\\\u0000","evidence":""}', "stop")
    assert nul.output == {"question": "ab", "answer": "c\\u0000", "evidence": ""}
    assert parse_output(QA, '{"question":"\\ud800","answer":"x","evidence":""}', "stop").output is None


def _entities(text: str, *entities: dict[str, Any]) -> dict[str, Any] | None:
    return parse_output(NER, json.dumps({"text": text, "entities": list(entities)}), "stop").output


@given(
    before=st.text("甲乙丙丁xyz ，。", max_size=20),
    after=st.text("甲乙丙丁xyz ，。", max_size=20),
    offsets=st.none() | st.tuples(st.integers(0, 50), st.integers(0, 50)),
)
def test_offsets_of_a_unique_entity_are_always_right(before: str, after: str, offsets: tuple[int, int] | None) -> None:
    entity: dict[str, Any] = {"type": "人名", "value": "张伟"}
    if offsets is not None:
        entity |= {"start": offsets[0], "end": offsets[1]}
    row = _entities(f"{before}张伟{after}", entity)
    assert row is not None
    found = row["entities"][0]
    assert row["text"][found["start"] : found["end"]] == "张伟"
    assert check_output(NER, row) == []


def test_a_repeated_value_without_offsets_takes_one_place_after_the_other() -> None:
    zhang = {"type": "人名", "value": "张伟"}
    row = _entities("张伟和张伟", zhang, zhang)
    assert row is not None
    assert [(e["start"], e["end"]) for e in row["entities"]] == [(0, 2), (3, 5)]


def test_wrong_offsets_of_a_repeated_value_are_not_guessed() -> None:
    row = _entities("张伟和张伟", {"type": "人名", "value": "张伟", "start": 1, "end": 3})
    assert row is not None
    assert row["entities"][0]["start"] == 1
    assert [problem.field for problem in check_output(NER, row)] == ["entities.0"]


def test_offsets_follow_a_text_that_was_edited() -> None:
    edited = {"text": "昨天张伟来过", "entities": [{"type": "人名", "value": "张伟", "start": 0, "end": 2}]}
    assert [problem.field for problem in check_output(NER, edited)] == ["entities.0"]
    mended = completed(NER, edited)
    assert mended["entities"] == [{"type": "人名", "value": "张伟", "start": 2, "end": 4}]
    assert check_output(NER, mended) == []


def test_turns_become_messages_and_messages_pass_as_they_are() -> None:
    dialogue = TYPES["multi_turn_dialogue"]
    turns = {"turns": [{"user": "a", "assistant": "b"}, {"user": "c", "assistant": "d"}]}
    messages = [
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": "b"},
        {"role": "user", "content": "c"},
        {"role": "assistant", "content": "d"},
    ]
    assert parse_output(dialogue, json.dumps(turns), "stop").output == {"messages": messages}
    assert parse_output(dialogue, json.dumps({"messages": messages}), "stop").output == {"messages": messages}


@every_type
@pytest.mark.parametrize("lang", ["zh", "en"])
def test_the_example_row_is_valid(t: TaskType, lang: str) -> None:
    assert check_output(t, t.example[lang]["output"]) == []


def test_an_edit_is_checked_by_schema_then_by_the_types_own_rules() -> None:
    assert [p.field for p in check_output(NER, {"text": "", "entities": []})] == ["text"]
    missing = check_output(
        NER, {"text": "李雷来了", "entities": [{"type": "人名", "value": "韩梅", "start": 0, "end": 2}]}
    )
    assert [p.field for p in missing] == ["entities.0"]
    assert "韩梅" in missing[0].message
    assert (
        "not in the text"
        in check_output(
            NER, {"text": "He came", "entities": [{"type": "person", "value": "She", "start": 0, "end": 3}]}
        )[0].message
    )
    one_turn = {"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello"}]}
    assert [p.field for p in check_output(TYPES["multi_turn_dialogue"], one_turn)] == ["messages"]
