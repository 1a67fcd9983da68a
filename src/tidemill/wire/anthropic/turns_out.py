"""Write the talk in the order Anthropic demands.

Instructions stand apart, speakers alternate, a user begins, and all results of one turn's tools come first in one
user's message.
"""

from collections.abc import Iterable
from typing import Any

from msgspec import UNSET, Raw

from tidemill.wire.anthropic.blocks_out import BlockWriter, mark_fields
from tidemill.wire.canonical import Request
from tidemill.wire.canonical_parts import Part, Text, ToolCall, ToolResult, Turn

Fields = dict[str, Any]
Message = dict[str, Any]

# Said in place of a user who has said nothing: an empty text is refused.
_SILENCE = {"type": "text", "text": "."}


def write_system(request: Request) -> str | list[Fields] | None:
    """Return the instructions, those amid the talk after those before it; None when there are none."""
    texts = [part for part in request.system if part.text]
    for turn in request.turns:
        if turn.role == "system":
            texts += [part for part in turn.parts if isinstance(part, Text) and part.text]
    if not texts:
        return None
    if len(texts) == 1 and texts[0].cache is UNSET:
        return texts[0].text
    return [{"type": "text", "text": part.text, **mark_fields(part.cache)} for part in texts]


def write_turns(turns: Iterable[Turn], writer: BlockWriter) -> list[Message]:
    """Return the messages; raises WireError for content this dialect has no form for."""
    messages: list[Message] = []
    for role, parts in _speeches(turns):
        blocks = _blocks(role, parts, writer)
        if blocks:
            messages.append({"role": role, "content": blocks})
    if not messages or messages[0]["role"] != "user":
        messages.insert(0, {"role": "user", "content": [_SILENCE]})
    _trim_end(messages[-1])
    for message in messages:
        message["content"] = _shortest(message["content"])
    return messages


def _speeches(turns: Iterable[Turn]) -> list[tuple[str, list[Part]]]:
    """Join what one speaker says in a row."""
    speeches: list[tuple[str, list[Part]]] = []
    for turn in turns:
        if turn.role == "system":
            continue
        if speeches and speeches[-1][0] == turn.role:
            speeches[-1][1].extend(turn.parts)
        else:
            speeches.append((turn.role, list(turn.parts)))
    return speeches


def _blocks(role: str, parts: list[Part], writer: BlockWriter) -> list[Fields | Raw]:
    if role == "user":
        results = [part for part in parts if isinstance(part, ToolResult)]
        parts = [*results, *(part for part in parts if not isinstance(part, ToolResult))]
    return [block for part in parts if (block := writer.block(part)) is not None]


def _trim_end(message: Message) -> None:
    """Cut blanks at the end of a begun answer: Anthropic refuses them."""
    last = message["content"][-1]
    if message["role"] == "assistant" and isinstance(last, dict) and "text" in last:
        last["text"] = str(last["text"]).rstrip() or "."  # pyright: ignore[reportUnknownArgumentType]


def _shortest(blocks: list[Fields | Raw]) -> str | list[Fields | Raw]:
    only = blocks[0]
    if len(blocks) == 1 and isinstance(only, dict) and only.keys() == {"type", "text"}:
        return str(only["text"])
    return blocks


def used_tools(turns: Iterable[Turn]) -> list[str]:
    """Return the names of the tools that were called, each once."""
    return list(dict.fromkeys(part.name for turn in turns for part in turn.parts if isinstance(part, ToolCall)))


def ends_in_results(turns: Iterable[Turn]) -> list[Part] | None:
    """Return the parts of the last answer when results of its calls are what follows it; None otherwise."""
    speeches = _speeches(turns)
    if len(speeches) < 2 or not any(isinstance(part, ToolResult) for part in speeches[-1][1]):  # noqa: PLR2004 - a pair
        return None
    return speeches[-2][1]
