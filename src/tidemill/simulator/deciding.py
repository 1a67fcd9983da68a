"""Decide what the simulated model says: a judgement, a row, a value for a schema, a tool call, or plain prose.

Nothing here knows a protocol. The same request and seed always get the same answer.
"""

import hashlib
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any, cast

import msgspec

from tidemill.simulator.ask import Ask, Finish, Reply, Turn
from tidemill.simulator.asked import Asked, read_asked
from tidemill.simulator.decoded import obj
from tidemill.simulator.instructions import exactly, obey
from tidemill.simulator.media import describe
from tidemill.simulator.rows import write_row
from tidemill.simulator.schema_values import SchemaRefused, value_for
from tidemill.simulator.tokens import count_tokens, first_tokens
from tidemill.simulator.tool_calls import tool_calls
from tidemill.simulator.voice import Voice

_GOOD = (8, 10)
_POOR = (2, 5)
_THINKING = {"zh": "先想清楚方向，再组织内容。", "en": "First settle the direction, then write it down."}
_PROSE = {"zh": "好的，下面是我的想法：", "en": "Sure, here are some thoughts: "}
_RESULT_CHARS = 2000
_LEAD = re.compile(
    r"\b(?:say|explain|tell me)\b[^.]*\b(?:first|before)\b|\bfirst (?:say|explain|tell)\b|先说", re.IGNORECASE
)


def decide(ask: Ask, *, seed: int, low_share: float = 0.0, faults: Collection[str] = (), index: int = 0) -> Reply:
    """Return the answer to one request; raises SchemaRefused when a schema of the request cannot be met.

    ``index`` is the number of the choice when several are asked for. ``faults`` may hold content faults.
    """
    asked = read_asked(ask)
    voice = Voice(asked.lang, f"{seed}:{ask.seed}:{index}:{_said(ask.turns)}")
    reasoning = _reasoning(asked) if ask.thinks else ""
    if ask.tools and not faults and (calls := tool_calls(ask, voice)):
        lead = f"I will call {', '.join(call.name for call in calls)}." if _LEAD.search(ask.prompt) else ""
        return Reply(lead, "tools", calls, reasoning)
    if faults:
        return _spoilt(_text(ask, asked, voice, seed=seed, low_share=low_share), asked, voice, faults, reasoning)
    return _bounded(_text(ask, asked, voice, seed=seed, low_share=low_share), reasoning, ask)


def spent_on(reply: Reply) -> tuple[int, int]:
    """Return the output tokens of a reply: text and calls, and reasoning."""
    said = count_tokens(reply.text) + sum(count_tokens(call.name + as_json(call.arguments)) for call in reply.calls)
    return said, count_tokens(reply.reasoning)


def as_json(value: Any) -> str:
    """Return ``value`` as compact JSON text."""
    return msgspec.json.encode(value).decode()


def _said(turns: Sequence[Turn]) -> str:
    if len(turns) == 1 and not turns[0].media:
        return turns[0].text
    parts = [turn.text for turn in turns]
    parts += [f"{call.name}{as_json(call.arguments)}" for turn in turns for call in turn.calls]
    parts += [describe(media) for turn in turns for media in turn.media]
    return "\x1e".join(parts)


def _spoilt(text: str, asked: Asked, voice: Voice, faults: Collection[str], reasoning: str) -> Reply:
    if "blocked" in faults:
        return Reply("", "filtered")
    if "blank" in faults:
        return Reply("", "end", (), reasoning)
    if "garbage" in faults:
        return Reply(_PROSE[asked.lang] + voice.passage(voice.topic(asked.direction)), "end", (), reasoning)
    if "length" in faults:
        return Reply(text[: len(text) // 2], "length", (), reasoning)
    return Reply(f"<think>{_THINKING[asked.lang]}</think>\n```json\n{text}\n```", "end", (), reasoning)


def _text(ask: Ask, asked: Asked, voice: Voice, *, seed: int, low_share: float) -> str:
    if names := _criteria(asked.schema) if asked.schema is not None else asked.criteria:
        return as_json(_judgement(asked, voice, names, poor=_share_of(f"{seed}:{asked.prompt}") < low_share))
    row = write_row(asked, voice)
    if row is not None and asked.schema is None:
        return as_json({key: value for key, value in row.items() if key != "messages"})
    if asked.schema is not None:
        fitting = _fitting(row, asked.schema) if row is not None else None
        return as_json(fitting or value_for(asked.schema, voice, voice.topic(asked.direction)))
    text = _spoken(ask, asked, voice)
    return as_json({"answer": text}) if ask.json_mode else text


def _spoken(ask: Ask, asked: Asked, voice: Voice) -> str:
    last = ask.turns[-1]
    if last.results:
        return exactly(asked.prompt) or _summary(last, zh=asked.lang == "zh")
    if (ordered := obey(ask)) is not None:
        return ordered
    seen = [describe(media) for turn in ask.turns if turn.role == "user" for media in turn.media]
    if seen:
        listed = "; ".join(seen)
        return f"我看到{listed}。{_echo(asked)}" if asked.lang == "zh" else f"I see {listed}. {_echo(asked)}"
    return voice.answer(voice.topic(""), _echo(asked))


def _summary(turn: Turn, *, zh: bool) -> str:
    failed, told = ("出错", "返回") if zh else ("failed with", "answered")
    parts = [
        f"{result.name} {failed if result.failed else told}: {' '.join(result.text.split())[:_RESULT_CHARS]}"
        for result in turn.results
    ]
    return "; ".join(parts)


def _fitting(row: Mapping[str, Any], schema: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the row's part that the schema names, None when the schema wants something the row lacks."""
    names = _properties(schema)
    required = schema.get("required", [])
    if not isinstance(required, list) or any(name not in row for name in cast("list[Any]", required)):
        return None
    return {key: value for key, value in row.items() if key in names}


def _criteria(schema: Mapping[str, Any]) -> list[str]:
    """Return the criterion names of a judging schema: an object ``criteria`` whose values are all integers."""
    parts = _properties(_properties(schema).get("criteria"))
    whole = [name for name, part in parts.items() if obj(part).get("type") == "integer"]
    return whole if len(whole) == len(parts) else []


def _properties(schema: object) -> Mapping[str, Any]:
    if schema is None:
        return {}
    parts = cast("Mapping[str, Any]", schema).get("properties", {}) if isinstance(schema, Mapping) else None
    if not isinstance(parts, Mapping):
        raise SchemaRefused("properties must be an object")
    return cast("Mapping[str, Any]", parts)


def _judgement(asked: Asked, voice: Voice, names: Sequence[str], *, poor: bool) -> dict[str, Any]:
    low, high = _POOR if poor else _GOOD
    answer: dict[str, Any] = {
        "criteria": {name: voice.dice.randint(low, high) for name in names},
        "issues": [voice.pick("issues")] if poor else [],
    }
    if "verdict" in _properties(asked.schema):
        answer["verdict"] = "reject" if poor else "accept"
    return answer


def _reasoning(asked: Asked) -> str:
    heard = " ".join(asked.prompt.split())[:60]
    if asked.lang == "zh":
        return f"用户说的是“{heard}”。{_THINKING['zh']}"
    return f'The user says "{heard}". {_THINKING["en"]}'


def _bounded(text: str, reasoning: str, ask: Ask) -> Reply:
    """End the text at a stop string or at the token limit, as a model would; reasoning is paid for first."""
    finish: Finish = "end"
    stop = ""
    if ask.stops:
        at, ended = min(((text.find(word), word) for word in ask.stops if word and word in text), default=(-1, ""))
        if at >= 0:
            text, finish, stop = text[:at], "stop", ended
    if ask.max_tokens is None:
        return Reply(text, finish, (), reasoning, stop)
    left = ask.max_tokens - count_tokens(reasoning)
    if left <= 0 and reasoning:
        return Reply("", "length", (), first_tokens(reasoning, ask.max_tokens))
    said = first_tokens(text, left)
    return Reply(said, "length", (), reasoning) if len(said) < len(text) else Reply(text, finish, (), reasoning, stop)


def _echo(asked: Asked) -> str:
    heard = " ".join(asked.prompt.split())[:60]
    if not heard:
        return ""
    return f"你说的是“{heard}”" if asked.lang == "zh" else f'You said "{heard}"'


def _share_of(text: str) -> float:
    """Map a text to 0..1, evenly and always alike."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=7).digest(), "big") / 2**56
