"""The OpenAI wire shapes of a chat answer: completions, chunks, deltas, usage.

Checked against the types of the openai Python package 3.54.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from tidemill.simulator.ask import Call, Finish, Reply
from tidemill.simulator.deciding import as_json
from tidemill.simulator.streams import pieces
from tidemill.simulator.tokens import count_tokens

FINISH: Mapping[Finish, str] = {
    "end": "stop",
    "stop": "stop",
    "length": "length",
    "tools": "tool_calls",
    "filtered": "content_filter",
}
CUSTOM_INPUT = "input"
"""The one argument of a custom tool, whose input is bare text."""


def usage(prompt: int, said: int, reasoning: int = 0, cached: int = 0) -> dict[str, Any]:
    """Return the usage block; completion tokens hold the reasoning, prompt tokens what was cached."""
    return {
        "prompt_tokens": prompt,
        "completion_tokens": said + reasoning,
        "total_tokens": prompt + said + reasoning,
        "prompt_tokens_details": {"cached_tokens": cached, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": reasoning,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def completion(head: Mapping[str, Any], choices: list[dict[str, Any]], used: Mapping[str, Any]) -> dict[str, Any]:
    """Return a plain chat completion; ``head`` is what chunks of a stream would repeat."""
    return {**head, "object": "chat.completion", "choices": choices, "usage": used}


def message(reply: Reply, *, reasoning_field: str, custom: frozenset[str], is_legacy: bool) -> dict[str, Any]:
    """Return the assistant's message of one choice."""
    said: dict[str, Any] = {
        "role": "assistant",
        "content": reply.text or None if reply.calls else reply.text,
        "refusal": None,
        "annotations": [],
    }
    if reply.reasoning and reasoning_field != "none":
        said[reasoning_field] = reply.reasoning
    if reply.calls and is_legacy:
        said["function_call"] = {"name": reply.calls[0].name, "arguments": as_json(reply.calls[0].arguments)}
    elif reply.calls:
        said["tool_calls"] = [_tool_call(call, custom) for call in reply.calls]
    return said


def call_id(call: Call) -> str:
    """Return OpenAI's kind of id."""
    return f"call_{call.key}"


def spoken_input(call: Call, custom: frozenset[str]) -> str:
    """Return what streams as the call's arguments: JSON, or the bare text of a custom tool."""
    return str(call.arguments.get(CUSTOM_INPUT, "")) if call.name in custom else as_json(call.arguments)


def _tool_call(call: Call, custom: frozenset[str]) -> dict[str, Any]:
    kind, part = ("custom", "input") if call.name in custom else ("function", "arguments")
    return {"id": call_id(call), "type": kind, kind: {"name": call.name, part: spoken_input(call, custom)}}


def choice(index: int, delta: dict[str, Any], finish_reason: str | None = None, logprobs: Any = None) -> dict[str, Any]:
    """Return one choice of a stream chunk."""
    return {"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": finish_reason}


def deltas(reply: Reply, *, reasoning_field: str, custom: frozenset[str], is_legacy: bool, form: str) -> list[Any]:
    """Return the deltas of one choice in order, without the closing empty one.

    ``form`` may name one of the odd forms in which some upstreams send tool calls.
    """
    out: list[dict[str, Any]] = [
        {"role": "assistant", "content": None if reply.calls and not reply.text else "", "refusal": None}
    ]
    if reply.reasoning and reasoning_field != "none":
        out += [{reasoning_field: piece} for piece in pieces(reply.reasoning)]
    out += [{"content": piece} for piece in pieces(reply.text)]
    if reply.calls and is_legacy:
        call = reply.calls[0]
        out.append({"function_call": {"name": call.name, "arguments": ""}})
        out += [{"function_call": {"arguments": piece}} for piece in pieces(as_json(call.arguments))]
        return out
    per_call = [_call_deltas(index, call, custom, form) for index, call in enumerate(reply.calls)]
    if form == "joined" and per_call:
        longest = max(len(events) for events in per_call)
        out += [{"tool_calls": [events[at] for events in per_call if at < len(events)]} for at in range(longest)]
        return out
    return out + [{"tool_calls": [event]} for events in per_call for event in events]


def _call_deltas(index: int, call: Call, custom: frozenset[str], form: str) -> list[dict[str, Any]]:
    kind, part = ("custom", "input") if call.name in custom else ("function", "arguments")
    spoken = spoken_input(call, custom)
    opening: dict[str, Any] = {"index": index, "id": call_id(call), "type": kind, kind: {"name": call.name, part: ""}}
    if form == "whole":
        opening[kind][part] = spoken
        return [opening]
    parts = pieces(spoken)
    if form == "cumulative":
        parts = ["".join(parts[: at + 1]) for at in range(len(parts))]
    events = [opening, *({"index": index, kind: {part: piece}} for piece in parts)]
    for event in events:
        if form == "no-index":
            del event["index"]
        elif form == "one-index":
            event["index"] = 0
        elif form == "no-id":
            event.pop("id", None)
    return events


def logprobs(text: str, top: int) -> dict[str, Any]:
    """Return log probabilities of a text's pieces, made up but falling in order."""
    return {"content": [token_logprob(piece, top) for piece in pieces(text)], "refusal": None}


def token_logprob(piece: str, top: int) -> dict[str, Any]:
    """Return the log probability of one piece and of ``top`` others beside it."""
    others = [piece, *(f"{piece[:-1]}{chr(97 + at)}" for at in range(top - 1))][:top]
    ranked = [{"token": t, "logprob": -0.125 * (at + 1), "bytes": list(t.encode())} for at, t in enumerate(others)]
    return {"token": piece, "logprob": -0.125, "bytes": list(piece.encode()), "top_logprobs": ranked}


def usage_so_far(prompt: int, events: Sequence[str]) -> dict[str, Any]:
    """Return the usage that an upstream repeats in every chunk: what has been said until now."""
    return usage(prompt, count_tokens("".join(events)))
