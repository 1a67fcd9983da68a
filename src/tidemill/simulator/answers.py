"""Decide what the simulated model says: a judgement, a row, a value for a schema, a tool call, or plain prose."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, cast

import msgspec

from tidemill.simulator.asked import Asked, content_text, read_asked
from tidemill.simulator.openai_shapes import Reply
from tidemill.simulator.rows import write_row
from tidemill.simulator.schema_values import value_for
from tidemill.simulator.voice import Voice

_GOOD = (8, 10)
_POOR = (2, 5)
_THINKING = {"zh": "先想清楚方向，再组织内容。", "en": "First settle the direction, then write it down."}
_PROSE = {"zh": "好的，下面是我的想法：", "en": "Sure, here are some thoughts: "}


def reply_to(body: Mapping[str, Any], *, seed: int, low_share: float, fault: str | None, index: int = 0) -> Reply:
    """Return the answer to one chat request, the same for the same request and seed.

    ``index`` is the number of the choice when several are asked for. ``fault`` may be one of the content faults.
    """
    messages = cast("list[Mapping[str, Any]]", body["messages"])
    asked = read_asked(messages, cast("Mapping[str, Any] | None", body.get("response_format")))
    said = "\x1e".join(content_text(message) for message in messages)
    voice = Voice(asked.lang, f"{seed}:{body.get('seed')}:{index}:{said}")
    if call := _tool_call(body, voice):
        return Reply("", "tool_calls", tool_calls=[call])
    if fault == "garbage":
        return Reply(_PROSE[asked.lang] + voice.passage(voice.topic(asked.direction)), "stop")
    text = _text(asked, voice, seed=seed, low_share=low_share)
    if fault == "length":
        return Reply(text[: len(text) // 2], "length")
    if fault == "think":
        text = f"<think>{_THINKING[asked.lang]}</think>\n```json\n{text}\n```"
    return _bounded(text, body.get("max_completion_tokens") or body.get("max_tokens"))


def _text(asked: Asked, voice: Voice, *, seed: int, low_share: float) -> str:
    if names := _criteria(asked.schema) if asked.schema is not None else asked.criteria:
        return _json(_judgement(asked, voice, names, poor=_share_of(f"{seed}:{asked.prompt}") < low_share))
    row = write_row(asked, voice)
    if row is not None and asked.schema is None:
        return _json({key: value for key, value in row.items() if key != "messages"})
    if asked.schema is not None:
        fitting = _fitting(row, asked.schema) if row is not None else None
        return _json(fitting or value_for(asked.schema, voice, voice.topic(asked.direction)))
    return voice.answer(voice.topic(""), _echo(asked))


def _fitting(row: Mapping[str, Any], schema: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the row's part that the schema names, None when the schema wants something the row lacks."""
    names = cast("Mapping[str, Any]", schema.get("properties", {}))
    if set(cast("list[str]", schema.get("required", []))) - set(row):
        return None
    return {key: value for key, value in row.items() if key in names}


def _criteria(schema: Mapping[str, Any]) -> list[str]:
    """Return the criterion names of a judging schema: an object ``criteria`` whose values are all integers."""
    properties = cast("Mapping[str, Mapping[str, Any]]", schema.get("properties", {}))
    parts = cast("Mapping[str, Mapping[str, Any]]", properties.get("criteria", {}).get("properties", {}))
    return list(parts) if parts and all(part.get("type") == "integer" for part in parts.values()) else []


def _judgement(asked: Asked, voice: Voice, names: Sequence[str], *, poor: bool) -> dict[str, Any]:
    low, high = _POOR if poor else _GOOD
    answer: dict[str, Any] = {
        "criteria": {name: voice.dice.randint(low, high) for name in names},
        "issues": [voice.pick("issues")] if poor else [],
    }
    known = cast("Mapping[str, Any]", asked.schema or {}).get("properties", {})
    if "verdict" in known:
        answer["verdict"] = "reject" if poor else "accept"
    return answer


def _tool_call(body: Mapping[str, Any], voice: Voice) -> dict[str, Any] | None:
    """Return a call when the request demands one; a choice left to the model is answered with text."""
    tools = cast("list[Mapping[str, Any]]", body.get("tools") or [])
    choice = body.get("tool_choice")
    functions = [cast("Mapping[str, Any]", tool.get("function", {})) for tool in tools]
    if isinstance(choice, Mapping):
        wanted = cast("Mapping[str, Mapping[str, Any]]", choice).get("function", {}).get("name")
        functions = [function for function in functions if function.get("name") == wanted]
    elif choice != "required":
        return None
    if not functions:
        return None
    function = functions[0]
    arguments = value_for(function.get("parameters", {"type": "object"}), voice, voice.topic(""))
    call_id = f"call_{voice.dice.getrandbits(96):024x}"
    return {
        "id": call_id,
        "type": "function",
        "function": {"name": function.get("name", ""), "arguments": _json(arguments)},
    }


def _bounded(text: str, max_tokens: Any) -> Reply:
    """Cut ``text`` at the token limit as a model would, and say so."""
    if not isinstance(max_tokens, int) or isinstance(max_tokens, bool):
        return Reply(text, "stop")
    spent = 0.0
    for at, char in enumerate(text):
        spent += 0.25 if char < "\u2e80" else 1.0  # four Latin characters or one Chinese to a token
        if spent > max_tokens:
            return Reply(text[:at], "length")
    return Reply(text, "stop")


def _echo(asked: Asked) -> str:
    heard = " ".join(asked.prompt.split())[:60]
    if not heard:
        return ""
    return f"你说的是“{heard}”" if asked.lang == "zh" else f'You said "{heard}"'


def _share_of(text: str) -> float:
    """Map a text to 0..1, evenly and always alike."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=7).digest(), "big") / 2**56


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()
