"""Requests, answers and streams in the canonical form, drawn at random, and what of them must survive a dialect."""

import base64
import json
from typing import Any

import msgspec
import pytest
from hypothesis import strategies as st
from msgspec import UNSET, Raw

from tidemill.wire.anthropic.codec import AnthropicMessages
from tidemill.wire.canonical import (
    Answer,
    Choice,
    OutputFormat,
    Request,
    Sampling,
    Stop,
    Tool,
    ToolChoice,
)
from tidemill.wire.canonical_collect import events_of
from tidemill.wire.canonical_events import ArgumentsDelta, Closed, Event, ReasoningDelta, TextDelta, ToolOpened
from tidemill.wire.canonical_parts import (
    ANTHROPIC,
    CacheMark,
    Dialect,
    File,
    Image,
    Inline,
    Part,
    Reasoning,
    Redacted,
    Remote,
    Text,
    ToolCall,
    ToolResult,
    Turn,
)
from tidemill.wire.canonical_usage import Usage
from tidemill.wire.codec import Codec, Reply, Target
from tidemill.wire.openai.codec import OpenAIChat

Fields = dict[str, Any]

CODECS: list[Codec] = [OpenAIChat(), AnthropicMessages()]
TARGET = Target(model="up", history="reasoning_details", cache_marks="cache_control")
REPLY = Reply(id="1", model="m", created=7, keeps_usage=True)

each_codec = pytest.mark.parametrize("codec", CODECS, ids=lambda codec: str(codec.dialect))

WORDS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
INNER = WORDS.map(lambda text: f"a{text}z")  # no blanks at its ends
IDS = st.text("abcdefXYZ0123456789_-", min_size=4, max_size=12)
NAMES = st.sampled_from(["look_up", "add", "now", "search_web"])
# A piece of arguments that repeats all before it is read as such, so keys and values here do not nest themselves.
SCALARS = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | WORDS
ARGUMENTS = st.dictionaries(
    st.text("abcxyz", min_size=1, max_size=5), SCALARS | st.lists(SCALARS, max_size=3), max_size=3
)
SCHEMA_LIST: list[Fields] = [
    {"type": "object", "properties": {"q": {"type": "string"}}, "required": ["q"]},
    {"type": "object", "properties": {}},
    {"$defs": {"a": {"type": "integer"}}, "type": "object", "properties": {"n": {"$ref": "#/$defs/a"}}},
]
SCHEMAS = st.sampled_from(SCHEMA_LIST)
OUTPUTS = st.sampled_from([OutputFormat("schema", Raw(msgspec.json.encode(schema))) for schema in SCHEMA_LIST])
MARKS = st.just(UNSET) | st.sampled_from([CacheMark(), CacheMark("5m"), CacheMark("1h")])
BASE64 = st.binary(min_size=1, max_size=12).map(lambda data: base64.b64encode(data).decode())
IMAGES = st.builds(
    Image,
    st.builds(Inline, st.sampled_from(["image/png", "image/jpeg"]), BASE64) | st.just(Remote("https://x.test/a.png")),
)
FILES = st.builds(File, st.builds(Inline, st.just("application/pdf"), BASE64), st.just("a.pdf"))


def raw(value: object) -> Raw:
    return Raw(msgspec.json.encode(value))


@st.composite
def talks(draw: st.DrawFn, *, cache: bool = False) -> tuple[Turn, ...]:
    """Draw a talk that any provider takes: a user begins and ends, every call has its result."""
    marks = MARKS if cache else st.just(UNSET)
    heard = st.lists(st.builds(Text, INNER, marks) | IMAGES | FILES, min_size=1, max_size=3)
    turns: list[Turn] = []
    calls: list[str] = []
    for _ in range(draw(st.integers(0, 3))):
        results: list[Part] = [
            ToolResult(call, tuple(draw(st.lists(st.builds(Text, INNER), max_size=2)))) for call in calls
        ]
        turns.append(Turn("user", (*results, *draw(heard))))
        said: list[Part] = [Text(draw(INNER))] if draw(st.booleans()) else []
        calls = draw(st.lists(IDS, max_size=3, unique=True))
        calls = [f"{call}_{len(turns)}" for call in calls]
        said += [ToolCall(call, draw(NAMES), json.dumps(draw(ARGUMENTS), ensure_ascii=False)) for call in calls]
        turns.append(Turn("assistant", tuple(said or [Text(draw(INNER))])))
    results = [ToolResult(call, (Text(draw(INNER)),)) for call in calls]
    turns.append(Turn("user", (*results, *draw(heard))))
    return tuple(turns)


@st.composite
def requests(draw: st.DrawFn) -> Request:
    """Draw a request of what both dialects have words for."""
    tools = tuple(
        Tool(name, draw(st.just(UNSET) | INNER), raw(draw(SCHEMAS)), draw(st.sampled_from([UNSET, True])))
        for name in ("look_up", "add", "now", "search_web")
    )
    has_tools = draw(st.booleans())
    choices = st.sampled_from([UNSET, ToolChoice("auto"), ToolChoice("none"), ToolChoice("required")])
    return Request(
        model="m",
        dialect=Dialect.OPENAI_CHAT,
        system=tuple(Text(text) for text in draw(st.lists(INNER, max_size=2))),
        turns=draw(talks()),
        stream=draw(st.booleans()),
        max_tokens=draw(st.integers(1, 9999)),
        stop=tuple(draw(st.lists(INNER, max_size=3))),
        sampling=Sampling(temperature=draw(st.just(UNSET) | st.floats(0, 1))),
        tools=tools if has_tools else (),
        tool_choice=draw(choices | st.just(ToolChoice("required", ("add",)))) if has_tools else UNSET,
        parallel_tools=False if has_tools and draw(st.booleans()) else UNSET,
        output=draw(st.just(UNSET) | OUTPUTS),
        user=draw(st.just(UNSET) | IDS),
    )


def meaning(request: Request) -> Fields:
    """Return what a request says, however a dialect cuts it into messages."""
    choice = request.tool_choice or None
    if choice is not None and choice.mode == "auto" and request.parallel_tools is UNSET:
        choice = None  # what holds when nobody says anything
    # A dialect that keeps the two in one field says "auto" when it says "one at a time".
    mode = None if choice is None or choice.mode == "auto" else (choice.mode, choice.names)
    # Tools that may not be called only explain earlier calls, so they need not be the same.
    tools = [] if mode == ("none", ()) else [tool for tool in request.tools if isinstance(tool, Tool)]
    serial = request.parallel_tools is False and bool(tools)
    return {
        "system": "\n\n".join(part.text for part in request.system),
        "talk": _talk(request.turns),
        "stream": request.stream,
        "max_tokens": request.max_tokens,
        "stop": request.stop,
        "temperature": request.sampling.temperature,
        "tools": [_tool(tool) for tool in tools],
        "choice": mode if tools else None,
        "serial": serial,
        "output": json.loads(bytes(memoryview(request.output.schema or Raw(b"null")))) if request.output else None,
        "user": request.user,
    }


def _tool(tool: Tool) -> Fields:
    schema = json.loads(bytes(memoryview(tool.schema or Raw(b"{}"))))
    return {"name": tool.name, "description": tool.description, "schema": schema, "strict": tool.strict is True}


def _talk(turns: tuple[Turn, ...]) -> list[Any]:
    speeches: list[tuple[str, list[Part]]] = []
    for turn in turns:
        if speeches and speeches[-1][0] == turn.role:
            speeches[-1][1].extend(turn.parts)
        else:
            speeches.append((turn.role, list(turn.parts)))
    return [(role, said(parts) if role == "assistant" else _heard(parts)) for role, parts in speeches]


def _heard(parts: list[Part]) -> list[Any]:
    results = [
        (part.call_id, "\n".join(inner.text for inner in part.parts if isinstance(inner, Text)))
        for part in parts
        if isinstance(part, ToolResult)
    ]
    rest = [part for part in parts if not isinstance(part, ToolResult)]
    return [*sorted(results), *(_medium(part) for part in rest)]


def _medium(part: Part) -> Any:
    return part.text if isinstance(part, Text) else part


def said(parts: list[Part] | tuple[Part, ...]) -> Fields:
    """Return what a model said."""
    return {
        "text": "".join(part.text for part in parts if isinstance(part, Text)),
        "thought": "".join(part.text for part in parts if isinstance(part, Reasoning)),
        "signed": [
            (part.signature, part.issuer)
            for part in parts
            if isinstance(part, Reasoning) and part.signature is not UNSET
        ],
        "sealed": [(part.data, part.issuer) for part in parts if isinstance(part, Redacted)],
        "calls": [
            (part.id, part.name, json.loads(part.arguments or "{}")) for part in parts if isinstance(part, ToolCall)
        ],
    }


# ---- answers and streams ---------------------------------------------------------------------------------------------

COUNTS = st.integers(0, 10_000)


@st.composite
def answers(draw: st.DrawFn) -> Answer:
    """Draw an answer: thinking, words, calls; stopped for a reason that fits."""
    parts: list[Part] = []
    if draw(st.booleans()):
        signature, issuer = draw(st.sampled_from([(UNSET, UNSET), ("c2ln", ANTHROPIC), ("Z29v", "google")]))
        parts.append(Reasoning(draw(WORDS), signature, issuer))
    if draw(st.booleans()):
        parts.append(Redacted(draw(IDS), draw(st.sampled_from([ANTHROPIC, "openai"]))))
    if draw(st.booleans()):
        parts.append(Text(draw(WORDS)))
    calls = draw(st.lists(IDS, max_size=3, unique=True))
    parts += [ToolCall(call, draw(NAMES), json.dumps(draw(ARGUMENTS), ensure_ascii=False)) for call in calls]
    usage = Usage(
        fresh=draw(COUNTS),
        cache_read=draw(COUNTS),
        cache_write_5m=draw(COUNTS),
        text_out=draw(COUNTS),
        reasoning_out=draw(COUNTS),
    )
    stop = Stop.TOOLS if calls else draw(st.sampled_from([Stop.END, Stop.LENGTH, Stop.FILTERED]))
    return Answer(id="x", model="m", choices=(Choice(parts=tuple(parts), stop=stop),), usage=usage)


@st.composite
def streams(draw: st.DrawFn) -> tuple[Answer, list[Event]]:
    """Draw an answer and a stream that tells it: in pieces, calls of tools mixed up with one another."""
    answer = draw(answers())
    plain = [piece for event in events_of(answer) for piece in _pieces(draw, event)]
    return answer, _mixed(draw, plain)


def _pieces(draw: st.DrawFn, event: Event) -> list[Event]:
    if not isinstance(event, TextDelta | ReasoningDelta | ArgumentsDelta):
        return [event]
    cuts = sorted(draw(st.lists(st.integers(0, len(event.text)), max_size=3)))
    texts = [event.text[start:end] for start, end in zip([0, *cuts], [*cuts, len(event.text)], strict=True)]
    return [msgspec.structs.replace(event, text=text) for text in texts]


def _mixed(draw: st.DrawFn, events: list[Event]) -> list[Event]:
    """Let calls grow side by side, as parallel calls may; each one's own order stays, and so does that of beginning."""
    first = next((place for place, event in enumerate(events) if isinstance(event, ToolOpened)), None)
    if first is None:
        return events
    last = max(place for place, event in enumerate(events) if isinstance(event, Closed))
    threads: dict[int, list[Event]] = {}
    for event in events[first : last + 1]:
        threads.setdefault(getattr(event, "part"), []).append(event)  # noqa: B009 - each of these has one
    mixed: list[Event] = []
    opened = 0
    while any(threads.values()):
        ready = [number for place, number in enumerate(threads) if threads[number] and place <= opened]
        number = draw(st.sampled_from(ready))
        event = threads[number].pop(0)
        opened += isinstance(event, ToolOpened)
        mixed.append(event)
    return [*events[:first], *mixed, *events[last + 1 :]]


def cut(drawn: st.DataObject, data: bytes) -> list[bytes]:
    """Cut bytes anywhere."""
    cuts = sorted(drawn.draw(st.lists(st.integers(0, len(data)), max_size=12)))
    return [data[start:end] for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]
