import json
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.simulator.answers import reply_to

TASKS = ["entity_extraction", "qa_pairs", "text_classification", "multi_turn_dialogue"]
DIRECTIONS = {"zh": "方向：信用卡年费", "en": "Direction: annual card fee"}


def _body(task: str, lang: str, **more: Any) -> dict[str, Any]:
    material = {
        "zh": "首年免年费。刷卡满六次免次年年费。",
        "en": "The first year is free. Six purchases waive the next.",
    }
    user = f"{DIRECTIONS[lang]}\n<material>\n- text: {material[lang]}\n</material>"
    system = f"task: {task}\nlanguage: {lang}"
    messages = [{"role": "system", "content": system}, {"role": "user", "content": user}]
    return {"model": "m", "messages": messages, **more}


def _row(body: dict[str, Any]) -> dict[str, Any]:
    reply = reply_to(body, seed=0, low_share=0, fault=None)
    assert reply.finish == "end"
    return json.loads(reply.text)


@pytest.mark.parametrize("lang", ["zh", "en"])
@pytest.mark.parametrize("task", TASKS)
def test_rows_follow_the_direction_and_differ_by_seed(task: str, lang: str) -> None:
    rows = [_row(_body(task, lang, seed=seed)) for seed in range(200)]
    topic = DIRECTIONS[lang].split("：")[-1].split(": ")[-1]
    texts = [json.dumps(row, ensure_ascii=False) for row in rows]
    assert all(topic in text for text in texts)
    assert len(set(texts)) == 200
    assert _row(_body(task, lang, seed=3)) == rows[3]


def test_entities_stand_in_their_text_and_use_the_asked_types() -> None:
    for seed in range(50):
        body = _body("entity_extraction", "zh", seed=seed)
        body["messages"][1]["content"] += "\n实体类型：产品、金额、人名"
        row = _row(body)
        assert {entity["type"] for entity in row["entities"]} <= {"产品", "金额", "人名"}
        assert all(entity["value"] in row["text"] for entity in row["entities"])


def test_evidence_is_quoted_from_the_material() -> None:
    row = _row(_body("qa_pairs", "zh", seed=1))
    assert row["evidence"] in {"首年免年费。", "刷卡满六次免次年年费。"}
    assert row["evidence"].rstrip("。") in row["answer"]


def test_a_label_that_was_drawn_is_kept() -> None:
    body = _body("text_classification", "en")
    body["messages"][1]["content"] += "\nLabels: complaint, praise\nLabel of this row: praise"
    assert _row(body)["label"] == "praise"


JUDGE = {
    "type": "object",
    "properties": {
        "criteria": {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}}},
        "issues": {"type": "array", "items": {"type": "string"}},
    },
    "required": ["criteria", "issues"],
}


def _judged(prompt: str, low_share: float) -> dict[str, Any]:
    form = {"type": "json_schema", "json_schema": {"name": "judgement", "schema": JUDGE}}
    body = {"model": "m", "messages": [{"role": "user", "content": prompt}], "response_format": form}
    return json.loads(reply_to(body, seed=0, low_share=low_share, fault=None).text)


def test_the_judge_is_kind_unless_told_otherwise_and_repeats_itself() -> None:
    kind = [_judged(f"row {n}", 0.0) for n in range(50)]
    assert all(8 <= score <= 10 for verdict in kind for score in verdict["criteria"].values())
    strict = [_judged(f"row {n}", 0.2) for n in range(500)]
    low = [verdict for verdict in strict if verdict["criteria"]["a"] <= 5]
    assert 60 < len(low) < 140
    assert all(verdict["issues"] for verdict in low)
    assert strict[7] == _judged("row 7", 0.2)


def test_content_faults_spoil_the_text_in_their_own_way() -> None:
    body = _body("qa_pairs", "en")
    with pytest.raises(json.JSONDecodeError):
        json.loads(reply_to(body, seed=0, low_share=0, fault="garbage").text)
    assert reply_to(body, seed=0, low_share=0, fault="length").finish == "length"
    assert reply_to(body, seed=0, low_share=0, fault="think").text.startswith("<think>")


Schema = dict[str, Any]


def _whole(low: int, span: int) -> Schema:
    return {"type": "integer", "minimum": low, "maximum": low + span}


def _list(items: Schema, least: int, span: int) -> Schema:
    return {"type": "array", "items": items, "minItems": least, "maxItems": least + span}


def _object(parts: dict[str, Schema]) -> Schema:
    return {"type": "object", "properties": parts, "required": list(parts), "additionalProperties": False}


def _either(parts: list[Schema]) -> Schema:
    return {"anyOf": parts}


def _one_of(values: list[str]) -> Schema:
    return {"enum": values}


_FIXED: list[Schema] = [
    {"type": "boolean"},
    {"type": "null"},
    {"const": 3},
    {"type": ["string", "null"]},
    {"type": "string", "maxLength": 9},
    {"type": "string", "minLength": 300},
    {"type": "number", "minimum": 2, "maximum": 9},
    {"type": "string", "format": "date"},
    {"type": "string", "format": "email"},
    {"$ref": "#/$defs/word"},
    {"allOf": [{"type": "object", "properties": {"a": {"type": "integer"}}}, {"required": ["a"]}]},
]
_LEAF: st.SearchStrategy[Schema] = st.one_of(
    st.builds(_whole, st.integers(-1000, 1000), st.integers(0, 9)),
    st.builds(_one_of, st.lists(st.text(max_size=4), min_size=1, max_size=3)),
    st.sampled_from(_FIXED),
)


def _deeper(inner: st.SearchStrategy[Schema]) -> st.SearchStrategy[Schema]:
    return st.one_of(
        st.builds(_list, inner, st.integers(0, 3), st.integers(0, 3)),
        st.builds(_object, st.dictionaries(st.text("abc", min_size=1, max_size=3), inner, max_size=3)),
        st.builds(_either, st.lists(inner, min_size=1, max_size=2)),
    )


_SCHEMA: st.SearchStrategy[Schema] = st.recursive(_LEAF, _deeper, max_leaves=8)


@given(schema=_SCHEMA, seed=st.integers(0, 5), lang=st.sampled_from(["写一点内容", "write something"]))
def test_any_schema_is_answered_with_a_value_that_fits(schema: dict[str, Any], seed: int, lang: str) -> None:
    whole = {
        "type": "object",
        "properties": {"value": schema},
        "required": ["value"],
        "$defs": {"word": {"type": "string", "minLength": 3}},
    }
    form = {"type": "json_schema", "json_schema": {"name": "thing", "schema": whole}}
    body = {"model": "m", "seed": seed, "messages": [{"role": "user", "content": lang}], "response_format": form}
    value = json.loads(reply_to(body, seed=0, low_share=0, fault=None).text)
    jsonschema_rs.validate(whole, value)
