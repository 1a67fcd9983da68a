"""The same meaning has one key, another meaning another."""

import json
from typing import Any, cast

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from tidemill.relay.caching.question import MAX_REQUEST_BYTES, canonical, question
from tidemill.relay.pipeline.ask import Ask, Caller
from tidemill.wire.canonical_parts import Dialect
from tidemill.wire.openai_chat import read_body

BODY: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "temperature": 0.5}
EXACT = 2**53

scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text('abc\x00"é', max_size=4), inner, max_size=4),
    max_leaves=12,
)
bodies = st.dictionaries(st.text("abcd", min_size=1, max_size=4), values, max_size=5)


def ask(body: dict[str, Any], **fields: Any) -> Ask:
    raw = json.dumps(body).encode()
    told: dict[str, Any] = {"kind": "chat", "model": "m", "caller": Caller(1), "request_id": "r", **fields}
    return Ask(body=read_body(raw), raw=raw, **told)


def rewritten(value: Any, draw: Any) -> Any:
    """Return the same JSON in other words: fields in another order, whole numbers as floats."""
    if isinstance(value, dict):
        fields = cast("dict[str, Any]", value)
        return {name: rewritten(fields[name], draw) for name in draw(st.permutations(list(fields)))}
    if isinstance(value, list):
        return [rewritten(item, draw) for item in cast("list[Any]", value)]
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < EXACT and draw(st.booleans()):
        return float(value)
    return value


@given(bodies, st.data())
def test_one_meaning_has_one_key(body: dict[str, Any], data: st.DataObject) -> None:
    other = rewritten(body, data.draw)
    spaced = json.dumps(other, indent=data.draw(st.sampled_from([None, 1, 4])), ensure_ascii=data.draw(st.booleans()))
    assert canonical(read_body(spaced.encode())) == canonical(read_body(json.dumps(body).encode()))


def meaning(value: Any) -> Any:
    """Return something that is equal for equal JSON values and for no others (1 is 1.0, and neither is true)."""
    if isinstance(value, dict):
        fields = cast("dict[str, Any]", value)
        return ("object", frozenset((name, meaning(inner)) for name, inner in fields.items()))
    if isinstance(value, list):
        return ("array", tuple(meaning(item) for item in cast("list[Any]", value)))
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return (type(value).__name__, value)
    return ("number", value)


@given(bodies, bodies)
def test_another_meaning_has_another_key(one: dict[str, Any], other: dict[str, Any]) -> None:
    keys = [canonical(read_body(json.dumps(body).encode())) for body in (one, other)]
    assert None not in keys
    if meaning(one) != meaning(other):
        assert keys[0] != keys[1]


@given(bodies, st.data())
def test_what_is_canonical_reads_as_the_same_meaning(body: dict[str, Any], data: st.DataObject) -> None:
    """The key of a changed body differs: reading the canonical form back loses nothing."""
    text = canonical(read_body(json.dumps(body).encode()))
    assert text is not None
    assert meaning(json.loads(text)) == meaning(body)
    changed = {**body, data.draw(st.text("abcd", min_size=1, max_size=4)): data.draw(values)}
    if meaning(changed) != meaning(body):
        assert canonical(read_body(json.dumps(changed).encode())) != text


@pytest.mark.parametrize(
    ("dialect", "field", "same"),
    [
        (Dialect.OPENAI_CHAT, {"user": "u"}, True),
        (Dialect.OPENAI_CHAT, {"metadata": {"a": "b"}}, True),
        (Dialect.OPENAI_CHAT, {"stream_options": {"include_obfuscation": False}}, True),
        (Dialect.OPENAI_CHAT, {"stream": False}, True),
        (Dialect.OPENAI_CHAT, {"seed": 1}, False),
        (Dialect.OPENAI_CHAT, {"tools": []}, False),
        (Dialect.OPENAI_CHAT, {"top_p": None}, False),
        (Dialect.OPENAI_RESPONSES, {"metadata": {"a": "b"}}, False),
        (Dialect.ANTHROPIC, {"metadata": {"user_id": "u"}}, True),
        (Dialect.ANTHROPIC, {"top_k": 3}, False),
        (Dialect.GEMINI, {"labels": {"a": "b"}}, True),
    ],
)
def test_only_what_means_nothing_is_left_out(dialect: Dialect, field: dict[str, Any], *, same: bool) -> None:
    plain, with_field = (question(ask(body, dialect=dialect), 1) for body in (BODY, {**BODY, **field}))
    assert plain is not None
    assert (plain == with_field) is same


@pytest.mark.parametrize(
    "other",
    [
        {"model": "n"},
        {"stream": True},
        {"keeps_usage": True},
        {"sse": False},
        {"dialect": Dialect.ANTHROPIC},
        {"endpoint": "/responses"},
        {"kind": "completion"},
        {"forwarded": [("openai-beta", "x")]},
    ],
)
def test_the_call_itself_is_part_of_the_question(other: dict[str, Any]) -> None:
    assert question(ask(BODY, **other), 1) != question(ask(BODY), 1)


def test_the_owner_is_part_of_the_question_but_not_the_trace() -> None:
    assert question(ask(BODY), 1) != question(ask(BODY), 2)
    assert question(ask(BODY, caller=Caller(2), forwarded=[("traceparent", "x")]), None) == question(ask(BODY), None)


@pytest.mark.parametrize(
    "given_",
    [
        {"content_type": "multipart/form-data; boundary=x"},
        {"channel_id": 3},
        {"raw": b" " * (MAX_REQUEST_BYTES + 1)},
        {"body": {"conversation": Raw(b'"c"')}},
        {"body": {"background": Raw(b"true")}},
        {"body": {"messages": Raw(b'"\\ud800"')}},
        {"body": {"messages": Raw(b"[1e999]")}},
        {"body": {"messages": Raw(b"[" * 100_000)}},
    ],
)
def test_what_cannot_be_kept_has_no_key(given_: dict[str, Any]) -> None:
    assert question(msgspec.structs.replace(ask(BODY), **given_), 1) is None
    assert question(msgspec.structs.replace(ask(BODY), body={"background": Raw(b" false ")}), 1) is not None
