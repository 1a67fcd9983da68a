"""How likely each token was: two lists side by side in Gemini, one list in OpenAI's shape."""

from typing import Any

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from tidemill.wire.canonical_json import MALFORMED, raw_of

Fields = dict[str, Any]


class _TokenIn(Struct, frozen=True, rename="camel"):
    token: str = ""
    log_probability: float = 0.0


class _TopIn(Struct, frozen=True, rename="camel"):
    candidates: list[_TokenIn] | None = None


class _ResultIn(Struct, frozen=True, rename="camel"):
    chosen_candidates: list[_TokenIn] | None = None
    top_candidates: list[_TopIn] | None = None


class _AlternativeIn(Struct, frozen=True):
    token: str = ""
    logprob: float = 0.0


class _ChatTokenIn(Struct, frozen=True):
    token: str = ""
    logprob: float = 0.0
    top_logprobs: list[_AlternativeIn] | None = None


class _ChatIn(Struct, frozen=True):
    content: list[_ChatTokenIn] | None = None


_chats = msgspec.json.Decoder(_ChatIn)


def read_logprobs(value: Any) -> Raw | UnsetType:
    """Return a decoded ``logprobsResult`` in OpenAI's shape; UNSET when there is none that can be read."""
    if not isinstance(value, dict):
        return UNSET
    try:
        came = msgspec.convert(value, _ResultIn, strict=False)
    except msgspec.ValidationError:
        return UNSET
    tops = came.top_candidates or []
    content: list[Fields] = []
    for place, chosen in enumerate(came.chosen_candidates or ()):
        others = (tops[place].candidates or []) if place < len(tops) else []
        content.append({**_chat(chosen), "top_logprobs": [_chat(other) for other in others]})
    return raw_of({"content": content, "refusal": None}) if content else UNSET


def _chat(token: _TokenIn) -> Fields:
    return {"token": token.token, "logprob": token.log_probability, "bytes": list(token.token.encode())}


def write_logprobs(raw: Raw) -> Fields | None:
    """Return logprobs in OpenAI's shape as Gemini's ``logprobsResult``."""
    try:
        content = _chats.decode(raw).content or []
    except MALFORMED:
        return None
    chosen = [{"token": token.token, "logProbability": token.logprob} for token in content]
    tops = [
        {"candidates": [{"token": other.token, "logProbability": other.logprob} for other in token.top_logprobs or ()]}
        for token in content
    ]
    return {"chosenCandidates": chosen, "topCandidates": tops}
