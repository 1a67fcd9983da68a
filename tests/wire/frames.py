"""Take streams apart again, as a client's SDK does."""

import json
from collections.abc import Sequence
from typing import Any

from tidemill.wire.sse import Splitter, data_of

Fields = dict[str, Any]


def payloads(stream: bytes) -> list[Any]:
    """Return the data of every event; ``[DONE]`` as that text. An event's name must be its type."""
    splitter = Splitter()
    found: list[Any] = []
    for event in splitter.feed(stream):
        data = data_of(event)
        if data is None:
            continue
        value: Any = "[DONE]" if data == b"[DONE]" else json.loads(data)
        if event.startswith(b"event: "):
            assert event.split(b"\n")[0].decode() == f"event: {value['type']}"
        found.append(value)
    assert splitter.rest() == b""
    return found


def chat_stream(chunks: Sequence[Any], *, done: bool = True) -> bytes:
    """Return OpenAI's bytes for chunks."""
    lines = [chunk if isinstance(chunk, str) else json.dumps(chunk) for chunk in chunks]
    return b"".join(b"data: %b\n\n" % line.encode() for line in [*lines, *(["[DONE]"] if done else [])])


def message_stream(events: Sequence[Fields]) -> bytes:
    """Return Anthropic's bytes for events."""
    return b"".join(b"event: %b\ndata: %b\n\n" % (e["type"].encode(), json.dumps(e).encode()) for e in events)


def delta(index: int = 0, finish: str | None = None, **fields: Any) -> Fields:
    """Return a chunk of OpenAI's with one choice."""
    choice = {"index": index, "delta": fields, "finish_reason": finish, "logprobs": None}
    return {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "up", "choices": [choice]}


def call(index: int | None, arguments: Any = None, name: str | None = None, call_id: str | None = None) -> Fields:
    """Return a chunk that tells of one call."""
    function = {key: value for key, value in (("name", name), ("arguments", arguments)) if value is not None}
    piece: Fields = {"function": function}
    if index is not None:
        piece["index"] = index
    if call_id is not None:
        piece |= {"id": call_id, "type": "function"}
    return delta(tool_calls=[piece])
