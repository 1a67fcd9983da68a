"""How many tokens a request or an answer may hold, for when nobody says it: counted by the bytes of its text."""

from collections.abc import Iterable

from msgspec import UNSET

from tidemill.wire.canonical import Answer, Request, Tool
from tidemill.wire.canonical_events import ArgumentsDelta, Event, ReasoningDelta, TextDelta, ToolOpened
from tidemill.wire.canonical_parts import File, Part, Plain, Reasoning, Refusal, Text, ToolCall, ToolResult
from tidemill.wire.canonical_usage import Usage
from tidemill.wire.tokens import estimate_messages, estimate_text


def prompt_tokens(request: Request) -> int:
    """Estimate the tokens of a request: instructions, talk and tools; pictures and sound count nothing."""
    size = sum(_size(part.text) for part in request.system)
    size += sum(_part_size(part) for turn in request.turns for part in turn.parts)
    size += sum(_tool_size(tool) for tool in request.tools if isinstance(tool, Tool))
    return estimate_messages(len(request.turns) + bool(request.system), size)


def event_bytes(event: Event) -> int:
    """Return how much generated text an event holds, in UTF-8 bytes; names and arguments of calls count."""
    if isinstance(event, TextDelta | ReasoningDelta | ArgumentsDelta):
        return _size(event.text)
    return _size(event.name) if isinstance(event, ToolOpened) else 0


def usage_of(prompt: int, generated_bytes: int) -> Usage:
    """Return an estimated usage, for a stream that ends without one."""
    return Usage(fresh=prompt, text_out=estimate_text(generated_bytes))


def answer_bytes(answer: Answer) -> int:
    """Return how much generated text an answer holds, in UTF-8 bytes."""
    return sum(_part_size(part) for choice in answer.choices for part in choice.parts)


def _part_size(part: Part) -> int:
    match part:
        case Text(text) | Reasoning(text) | Refusal(text) | File(source=Plain(text)):
            return _size(text)
        case ToolCall():
            return _size(part.name) + _size(part.arguments)
        case ToolResult():
            return _sum(part.parts)
        case _:
            return 0


def _sum(parts: Iterable[Part]) -> int:
    return sum(_part_size(part) for part in parts)


def _tool_size(tool: Tool) -> int:
    schema = 0 if tool.schema is UNSET else len(memoryview(tool.schema))
    return _size(tool.name) + _size(tool.description or "") + schema


def _size(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode())
