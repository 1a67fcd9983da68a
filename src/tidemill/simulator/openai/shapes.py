"""The OpenAI wire shapes a provider answers with: completions, chunks, embeddings, models, errors.

Checked against the types of the openai Python package 3.x.
"""

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

_CHARS_PER_TOKEN = 4  # the rule of thumb for Latin text; a Chinese character counts as one token


class Reply(Struct, frozen=True):
    """One finished answer before it takes its wire shape."""

    text: str
    finish_reason: str
    tool_calls: list[dict[str, Any]] | None = None
    reasoning: str | None = None


def count_tokens(text: str) -> int:
    """Estimate tokens; never 0 for text that is not empty."""
    latin = len(text) if text.isascii() else sum(char < "\u2e80" for char in text)
    return len(text) - latin + -(-latin // _CHARS_PER_TOKEN)


def usage(prompt_tokens: int, completion_tokens: int) -> dict[str, Any]:
    """Return the usage block of a chat answer."""
    return {
        "prompt_tokens": prompt_tokens,
        "completion_tokens": completion_tokens,
        "total_tokens": prompt_tokens + completion_tokens,
        "prompt_tokens_details": {"cached_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0},
    }


def completion(answer_id: str, created: int, model: str, replies: list[Reply], used: Mapping[str, Any]) -> Any:
    """Return a plain chat completion."""
    return {
        "id": answer_id,
        "object": "chat.completion",
        "created": created,
        "model": model,
        "choices": [
            {
                "index": index,
                "message": {
                    "role": "assistant",
                    "content": None if reply.tool_calls else reply.text,
                    "refusal": None,
                    **({"tool_calls": reply.tool_calls} if reply.tool_calls else {}),
                },
                "logprobs": None,
                "finish_reason": reply.finish_reason,
            }
            for index, reply in enumerate(replies)
        ],
        "usage": used,
        "system_fingerprint": "fp_simulated",
    }


def chunk(answer_id: str, created: int, model: str, choices: list[dict[str, Any]]) -> dict[str, Any]:
    """Return one stream chunk around ``choices``."""
    return {
        "id": answer_id,
        "object": "chat.completion.chunk",
        "created": created,
        "model": model,
        "system_fingerprint": "fp_simulated",
        "choices": choices,
    }


def choice(index: int, delta: dict[str, Any], finish_reason: str | None = None) -> dict[str, Any]:
    """Return one choice of a stream chunk."""
    return {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish_reason}


def deltas(reply: Reply, pieces: list[str]) -> list[dict[str, Any]]:
    """Return the deltas of one answer in order, without the closing empty one."""
    first: dict[str, Any] = {"role": "assistant", "content": None if reply.tool_calls else "", "refusal": None}
    out = [first]
    for index, call in enumerate(reply.tool_calls or []):
        function = call["function"]
        opening = {"name": function["name"], "arguments": ""}
        out.append({"tool_calls": [{"index": index, "id": call["id"], "type": "function", "function": opening}]})
        out.append({"tool_calls": [{"index": index, "function": {"arguments": function["arguments"]}}]})
    if not reply.tool_calls:
        out.extend({"content": piece} for piece in pieces)
    return out


def error(message: str, kind: str, code: str | None = None, param: str | None = None) -> dict[str, Any]:
    """Return the error envelope."""
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


FAULT_ERRORS: Mapping[int, tuple[str, str, str | None]] = {
    400: ("The request was refused.", "invalid_request_error", None),
    401: ("Incorrect API key provided.", "invalid_request_error", "invalid_api_key"),
    404: ("The model does not exist.", "invalid_request_error", "model_not_found"),
    429: ("Rate limit reached. Try again later.", "requests", "rate_limit_exceeded"),
    500: ("The server had an error while processing the request.", "server_error", None),
    502: ("Bad gateway.", "server_error", None),
    503: ("The engine is overloaded. Try again later.", "server_error", None),
}
"""Message, type and code of an ordered HTTP fault."""
