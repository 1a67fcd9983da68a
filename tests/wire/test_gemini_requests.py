"""What is particular to Gemini's requests: calls without ids, schemas, lists for streams, small exchanges."""

import json
from typing import Any

import msgspec
import pytest
from google.genai import types as google
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET

from tests.wire import canon
from tests.wire.sdks import unhurried
from tidemill.wire.canonical_fault import WireError
from tidemill.wire.canonical_parts import Remote, ToolCall, ToolResult
from tidemill.wire.codec import Target
from tidemill.wire.gemini import counts, models
from tidemill.wire.gemini.codec import Gemini
from tidemill.wire.gemini.json_array import ArraySplitter
from tidemill.wire.gemini.schema_in import read_schema
from tidemill.wire.gemini.schema_out import own_schema

CODEC = Gemini()
TARGET = Target(model="up")


def asked(*contents: Any, **fields: Any) -> bytes:
    return json.dumps({"contents": list(contents), **fields}).encode()


def calls(*names: str) -> dict[str, Any]:
    return {"role": "model", "parts": [{"functionCall": {"name": name}} for name in names]}


def results(*said: tuple[str, str]) -> dict[str, Any]:
    parts = [{"functionResponse": {"name": name, "response": {"output": text}}} for name, text in said]
    return {"role": "user", "parts": parts}


USER = {"role": "user", "parts": [{"text": "x"}]}


def test_a_result_without_an_id_is_of_the_first_open_call_of_its_name() -> None:
    body = asked(
        USER, calls("a", "b", "a"), results(("a", "1"), ("a", "3"), ("b", "2")), calls("a"), results(("a", "4"))
    )
    request = CODEC.decode_request(body, model="m")
    made = [part for turn in request.turns for part in turn.parts if isinstance(part, ToolCall)]
    told = [part for turn in request.turns for part in turn.parts if isinstance(part, ToolResult)]
    assert len({call.id for call in made}) == 4
    by_id = {part.call_id: part.parts for part in told}
    said = ["".join(inner.text for inner in by_id[call.id] if isinstance(inner, canon.Text)) for call in made]
    assert said == ["1", "2", "3", "4"]
    assert request == CODEC.decode_request(body, model="m")  # the same ids again, for the sake of prompt caches


def test_results_are_written_in_the_order_of_the_calls_and_name_them() -> None:
    written = json.loads(
        CODEC.encode_request(
            CODEC.decode_request(asked(USER, calls("a", "b"), results(("b", "2"), ("a", "1")))), TARGET
        ).body
    )
    assert [part["functionResponse"]["name"] for part in written["contents"][2]["parts"]] == ["a", "b"]


def test_a_result_of_no_call_is_refused_where_its_function_is_unknown() -> None:
    request = canon.Request(
        model="m", dialect=canon.Dialect.OPENAI_CHAT, turns=(canon.Turn("user", (ToolResult("c9"),)),)
    )
    with pytest.raises(WireError, match="c9"):
        CODEC.encode_request(request, TARGET)


@pytest.mark.parametrize(
    ("response", "text", "is_error"),
    [
        ({"output": "x"}, "x", UNSET),
        ({"error": "x"}, "x", True),
        ({"result": "x"}, '{"result": "x"}', UNSET),
        ({"output": {"a": 1}}, '{"output": {"a": 1}}', UNSET),
        ({"output": "x", "b": 1}, '{"output": "x", "b": 1}', UNSET),
    ],
)
def test_results_survive(response: Any, text: str, is_error: Any) -> None:
    part = {"functionResponse": {"id": "c", "name": "f", "response": response}}
    body = asked(USER, {"role": "model", "parts": [{"functionCall": {"id": "c", "name": "f"}}]}, {"parts": [part]})
    request = CODEC.decode_request(body)
    result = request.turns[-1].parts[0]
    assert isinstance(result, ToolResult)
    assert result.parts == (canon.Text(text),)
    assert result.is_error is is_error
    written = json.loads(CODEC.encode_request(request, TARGET).body)
    expected = response if response != {"output": {"a": 1}} else {"output": text}
    assert written["contents"][-1]["parts"][0]["functionResponse"]["response"] == expected


def test_an_address_that_nobody_fetched_is_refused_but_for_googles_own() -> None:
    request = canon.Request(
        model="m",
        dialect=canon.Dialect.OPENAI_CHAT,
        turns=(canon.Turn("user", (canon.File(Remote("https://youtu.be/abc", "video/mp4")),)),),
    )
    assert b"youtu.be" in CODEC.encode_request(request, TARGET).body
    other = msgspec.structs.replace(
        request, turns=(canon.Turn("user", (canon.Image(Remote("https://x.test/a.png")),)),)
    )
    with pytest.raises(WireError, match="bytes"):
        CODEC.encode_request(other, TARGET)


def test_a_cached_prompt_is_of_this_provider_alone() -> None:
    request = CODEC.decode_request(asked(USER, cachedContent="cachedContents/1"))
    assert request.leans_on == ("cachedContent",)
    assert b"cachedContents/1" in CODEC.encode_request(request, TARGET).body
    for codec in canon.CODECS:
        with pytest.raises(WireError, match="cachedContent"):
            codec.encode_request(request, TARGET)


# ---- schemas ---------------------------------------------------------------------------------------------------------


def own(schema: Any) -> Any:
    return own_schema(canon.raw(schema))


@pytest.mark.parametrize(
    ("schema", "written"),
    [
        ({"const": "a"}, {"type": "STRING", "enum": ["a"]}),
        ({"enum": ["a", None]}, {"type": "STRING", "enum": ["a"], "nullable": True}),
        ({"type": ["integer", "null"]}, {"type": "INTEGER", "nullable": True}),
        ({"type": ["integer", "string"]}, {"anyOf": [{"type": "INTEGER"}, {"type": "STRING"}]}),
        ({"oneOf": [{"type": "string"}, {"type": "null"}]}, {"type": "STRING", "nullable": True}),
        ({"type": "integer", "const": 3}, {"type": "INTEGER", "minimum": 3, "maximum": 3}),
        ({"type": "string", "format": "uuid"}, {"type": "STRING"}),
        ({"type": "string", "format": "date-time"}, {"type": "STRING", "format": "date-time"}),
        ({"type": "array", "items": {"type": "string"}}, {"type": "ARRAY", "items": {"type": "STRING"}}),
        ({"type": "array", "prefixItems": [{"type": "string"}]}, {"type": "ARRAY", "items": {"type": "STRING"}}),
        (
            {"allOf": [{"type": "object", "properties": {"a": {"type": "string"}}}, {"required": ["a"]}]},
            {"type": "OBJECT", "properties": {"a": {"type": "STRING"}}, "required": ["a"]},
        ),
        (
            {
                "$defs": {"n": {"type": "integer"}},
                "type": "object",
                "properties": {"a": {"$ref": "#/$defs/n", "description": "d"}},
            },
            {"type": "OBJECT", "properties": {"a": {"type": "INTEGER", "description": "d"}}},
        ),
        ({"type": "object", "additionalProperties": False, "$schema": "x"}, {"type": "OBJECT"}),
        ({}, None),
        ({"type": "array"}, None),
        ({"type": "object", "properties": {"a": True}}, None),
        ({"type": "object", "properties": {"kids": {"$ref": "#"}}}, None),
        ({"$ref": "https://x.test/schema"}, None),
        ({"type": "odd"}, None),
    ],
)
def test_schemas_are_written_in_geminis_words_or_left_as_they_are(schema: Any, written: Any) -> None:
    assert own(schema) == written


def test_references_that_multiply_without_end_are_left_as_they_are() -> None:
    defs: dict[str, Any] = {"d0": {"type": "string"}}
    for level in range(1, 40):
        pair = {side: {"$ref": f"#/$defs/d{level - 1}"} for side in ("a", "b")}
        defs[f"d{level}"] = {"type": "object", "properties": pair}
    assert own({"$defs": defs, "$ref": "#/$defs/d39"}) is None


LEAF = st.sampled_from([{"type": "string"}, {"type": "integer"}, {"type": ["string", "null"]}, {"enum": ["a", "b"]}])
NAMES = st.text("abc", min_size=1, max_size=3)


def an_object(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": sorted(properties), "additionalProperties": False}


def a_list(items: Any) -> dict[str, Any]:
    return {"type": "array", "items": items, "maxItems": 3}


SCHEMAS = st.recursive(
    LEAF,
    lambda inner: st.dictionaries(NAMES, inner, min_size=1, max_size=3).map(an_object) | inner.map(a_list),
    max_leaves=8,
)


@unhurried
@given(schema=SCHEMAS)
def test_googles_types_read_every_schema_and_it_means_the_same(schema: Any) -> None:
    written = own(schema)
    assert written is not None
    google.Schema.model_validate(written)
    back = json.loads(bytes(memoryview(read_schema(canon.raw(written)))))
    assert own(back) == written


# ---- lists for streams -----------------------------------------------------------------------------------------------


@given(
    objects=st.lists(st.dictionaries(st.text(max_size=5), st.text('{}[]"\\a', max_size=6), max_size=3)), data=st.data()
)
def test_a_list_cut_anywhere_gives_its_objects(objects: list[Any], data: st.DataObject) -> None:
    splitter = ArraySplitter()
    whole = json.dumps(objects, indent=data.draw(st.sampled_from([None, 2]))).encode()
    found = [json.loads(one) for piece in canon.cut(data, whole) for one in splitter.feed(piece)]
    assert found == objects
    assert splitter.rest() == b""


# ---- small exchanges -------------------------------------------------------------------------------------------------


def test_paths_and_keys() -> None:
    assert CODEC.path("gemini-x", stream=False) == "/models/gemini-x:generateContent"
    assert CODEC.path("tunedModels/a b", stream=True) == "/tunedModels/a%20b:streamGenerateContent?alt=sse"
    assert counts.count_path("models/x") == "/models/x:countTokens"
    assert CODEC.headers("k") == [("x-goog-api-key", "k")]


def test_counts() -> None:
    body = json.dumps(
        {"generateContentRequest": {"model": "models/x", "contents": [USER], "generationConfig": {"topP": 1}}}
    )
    request = counts.decode_count_request(body.encode(), model="public")
    assert (request.model, request.sampling.top_p) == ("public", 1.0)
    assert counts.decode_count_request(asked(USER), model="public").turns == request.turns
    written = json.loads(counts.encode_count_request(request, TARGET))
    assert written["generateContentRequest"]["model"] == "models/up"
    shown = json.loads(counts.encode_count(7, cached=3))
    assert google.CountTokensResponse.model_validate(shown).total_tokens == 7
    assert counts.decode_count(b'{"totalTokens":7}') == 7
    for wrong in (b'{"error":{"code":404,"message":"no"}}', b"{}"):
        with pytest.raises(WireError):
            counts.decode_count(wrong)


def test_models() -> None:
    listed = json.loads(models.encode_list([models.card("a/b"), models.card("e", models.EMBEDDING_METHODS)], "next"))
    assert [model["name"] for model in listed["models"]] == ["models/a/b", "models/e"]
    assert listed["nextPageToken"] == "next"
    assert models.decode_list(json.dumps(listed).encode()) == ["a/b", "e"]
    assert json.loads(models.encode_card(models.card("x")))["supportedGenerationMethods"][0] == "generateContent"
    with pytest.raises(WireError):
        models.decode_list(b"{}")


def test_arguments_stay_as_they_came() -> None:
    arguments = b'{"big_number": 12345678901234567890123, "f": 1.10}'
    part = b'{"function_call":{"name":"f","args":%b}}' % arguments
    body = b'{"contents":[{"role":"model","parts":[%b]}]}' % part
    call = CODEC.decode_request(body).turns[0].parts[0]
    assert isinstance(call, ToolCall)
    assert call.arguments == arguments.decode()
