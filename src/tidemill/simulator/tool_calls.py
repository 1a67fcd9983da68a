"""Decide which tools the simulated model calls, and with what.

A demand is always met. Left to the model, a tool is called when the last user turn names it or a telling word of its
name, or asks for tools in general; after a tool has answered the model speaks. Names, numbers and quoted words of the
prompt become arguments; the rest is made up to fit the schema.
"""

import re
from collections.abc import Container, Iterable, Mapping, Sequence
from typing import Any, cast

from tidemill.simulator.ask import Ask, Call, Tool
from tidemill.simulator.schema_values import value_for
from tidemill.simulator.voice import Voice

_MOST_CALLS = 16
_GENERIC = frozenset(
    {"tool", "tools", "function", "call", "make", "data", "info", "with", "from", "user", "value", "name"}
)
_ANY_TOOL = re.compile(r"\b(?:call|use|invoke|run)\b[^.\n]{0,30}\b(?:tools?|functions?)\b|调用", re.IGNORECASE)
_ALL_TOOLS = re.compile(r"\b(?:both|each|every|all)\b|parallel|并行|同时", re.IGNORECASE)
_NO_TOOL = re.compile(r"\b(?:do not|don't|without|never)\s+(?:call|use|using|calling|invoke)\b|不要调用", re.IGNORECASE)
_TWICE = re.compile(r"\b(?:(twice)|(\d{1,2}) times)\b", re.IGNORECASE)
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|[\u3400-\u9fff]+")
_QUOTED = re.compile(r"[\"“「']([^\"”」'\n]{1,80})[\"”」']")
_PROPER = re.compile(r"(?<![.!?:]\s)(?<!^)\b([A-Z][\w-]+(?:\s[A-Z][\w-]+)*)")
_JOINT = re.compile(r"\s*(?:,|and|, and|or|&|vs\.?)\s+(?:(?:in|for|at|to)\s+)?", re.IGNORECASE)
_NUMBER = re.compile(r"-?\d{1,12}(?:\.\d{1,6})?")
_TELLING_CHARS = 4


def tool_calls(ask: Ask, voice: Voice) -> tuple[Call, ...]:
    """Return the calls of this turn, none when the model speaks instead; raises SchemaRefused."""
    tools = [tool for tool in ask.tools if ask.only is None or tool.name in ask.only]
    if not tools or ask.choice == "none":
        return ()
    prompt = ask.prompt
    wanted = _mentioned(tools, prompt)
    if ask.choice == "required":
        wanted = wanted or tools[:1]
    elif ask.turns[-1].role == "tool" or _NO_TOOL.search(prompt):
        return ()
    if not wanted:
        return ()
    values = list(dict.fromkeys(_QUOTED.findall(prompt))) or _names(prompt, {tool.name for tool in tools})
    shares = _shared(wanted, values, prompt)[: _MOST_CALLS if ask.parallel else 1]
    return tuple(_call(tool, said, prompt, voice) for tool, said in shares)


def _names(prompt: str, tools: Container[str]) -> list[str]:
    """Return the proper names of the first list in the prompt ("Paris, Rome and Oslo"), a lone one too."""
    found: list[str] = []
    end = 0
    for match in _PROPER.finditer(prompt):
        if match[1] in tools:
            continue
        if found and not _JOINT.fullmatch(prompt[end : match.start()]):
            break
        found.append(match[1])
        end = match.end()
    return list(dict.fromkeys(found))


def _mentioned(tools: Sequence[Tool], prompt: str) -> list[Tool]:
    lower = prompt.lower()
    named = [tool for tool in tools if tool.name and tool.name.lower() in lower]
    if named:
        return named
    telling = [tool for tool in tools if any(word in lower for word in _telling(tool.name))]
    if telling:
        return telling
    if _ANY_TOOL.search(prompt):
        return list(tools) if _ALL_TOOLS.search(prompt) else list(tools[:1])
    return []


def _telling(name: str) -> Iterable[str]:
    words = (word.lower() for word in _WORD.findall(name))
    return [word for word in words if (len(word) >= _TELLING_CHARS or word > "\u3400") and word not in _GENERIC]


def _shared(wanted: Sequence[Tool], values: Sequence[str], prompt: str) -> list[tuple[Tool, str | None]]:
    """Spread the prompt's names over the tools: one tool takes them all, several take one each."""
    if len(wanted) > 1:
        return [(tool, values[at % len(values)] if values else None) for at, tool in enumerate(wanted)]
    tool = wanted[0]
    if _plain_text(tool.schema) and values:
        return [(tool, value) for value in values]
    match = _TWICE.search(prompt)
    return [(tool, None)] * (1 if match is None else 2 if match[1] else int(match[2]))


def _call(tool: Tool, said: str | None, prompt: str, voice: Voice) -> Call:
    made = value_for(tool.schema or {"type": "object"}, voice, voice.topic(""))
    arguments = cast("dict[str, Any]", made) if isinstance(made, dict) else {}
    numbers = _NUMBER.findall(prompt)
    for name, part in _properties(tool.schema).items():
        if name not in arguments:
            continue
        kind, bounded = (
            part.get("type"),
            any(key in part for key in ("minimum", "maximum", "multipleOf", "enum", "const")),
        )
        if choice := _choice(part, prompt):
            arguments[name] = choice
        elif kind in {"integer", "number"} and numbers and not bounded:
            number = numbers.pop(0)
            arguments[name] = int(float(number)) if kind == "integer" else float(number)
    first = _plain_text(tool.schema)
    if said is not None and first in arguments:
        arguments[first] = said
    return Call(tool.name, arguments, f"{voice.dice.getrandbits(96):024x}")


def _choice(part: Mapping[str, Any], prompt: str) -> str | None:
    allowed = part.get("enum")
    words = cast("list[Any]", allowed) if isinstance(allowed, list) else []
    return next((word for word in words if isinstance(word, str) and word and word.lower() in prompt.lower()), None)


def _plain_text(schema: Mapping[str, Any]) -> str:
    """Return the first property that takes any text, empty when there is none."""
    closed = {"enum", "const", "format", "pattern", "minLength", "maxLength"}
    parts = _properties(schema).items()
    return next((name for name, part in parts if part.get("type") == "string" and not closed & set(part)), "")


def _properties(schema: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    parts = schema.get("properties")
    if not isinstance(parts, Mapping):
        return {}
    named = cast("Mapping[str, Any]", parts)
    return {name: cast("Mapping[str, Any]", part) for name, part in named.items() if isinstance(part, Mapping)}
