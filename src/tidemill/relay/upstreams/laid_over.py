"""What an administrator laid over the calls of a channel: fields and headers that replace whatever was there.

Fields are laid over the body in the channel's own protocol, after any translation, so they mean the same whatever the
client speaks. The names that every protocol has other words for (the bound of an answer, Gemini's sampling) are
taken in any of them; a name that we do not know goes on as it is.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import msgspec
from msgspec import Raw

from tidemill.wire.canonical_parts import Dialect
from tidemill.wire.openai_chat import Body, read_body

Pair = tuple[str, str]

# Keys are sealed in a place of their own; an override never takes the place of one.
_KEYS = frozenset({"authorization", "proxy-authorization", "api-key", "x-api-key", "x-goog-api-key"})
_BOUNDS = ("max_tokens", "max_completion_tokens", "max_output_tokens")
_CONFIG = "generationConfig"
# Names of defaults and overrides in the words of a protocol that has others.
GEMINI_NAMES: Mapping[str, str] = MappingProxyType(
    {"temperature": "temperature", "top_p": "topP", "top_k": "topK", "max_tokens": "maxOutputTokens", "seed": "seed"}
)
_GEMINI = {**GEMINI_NAMES, **dict.fromkeys(_BOUNDS, "maxOutputTokens")}
_BOUND_OF: Mapping[Dialect, str] = {Dialect.OPENAI_RESPONSES: "max_output_tokens", Dialect.ANTHROPIC: "max_tokens"}


def with_headers(headers: Sequence[Pair], laid_over: Sequence[Pair], key_header: str | None) -> list[Pair]:
    """Return ``headers`` with those laid over, each in the place of its namesakes; ``key_header`` is no such one."""
    given = {name: value for name, value in laid_over if name not in _KEYS and name != key_header}
    out = [(name, given.get(name, value)) for name, value in headers]
    there = {name for name, _ in headers}
    return [*out, *((name, value) for name, value in given.items() if name not in there)]


def with_fields(body: bytes, dialect: Dialect, laid_over: Mapping[str, Raw]) -> bytes:
    """Return ``body``, written in ``dialect``, with the fields laid over; null takes a field away.

    A body that is no JSON object is returned as it is: the service says what is wrong with it.
    """
    try:
        fields = read_body(body)
        if dialect is Dialect.GEMINI:
            _lay_over_gemini(fields, laid_over)
        else:
            _lay_over(fields, dialect, laid_over)
    except msgspec.MsgspecError:
        return body
    return msgspec.json.encode(fields)


def _lay_over(fields: Body, dialect: Dialect, laid_over: Mapping[str, Raw]) -> None:
    for name, value in laid_over.items():
        if name in _BOUNDS:
            for other in _BOUNDS:  # two bounds at once are refused
                fields.pop(other, None)
            _set(fields, _BOUND_OF.get(dialect, name), value)
        else:
            _set(fields, name, value)


def _lay_over_gemini(fields: Body, laid_over: Mapping[str, Raw]) -> None:
    known = {_GEMINI[name]: value for name, value in laid_over.items() if name in _GEMINI}
    for name, value in laid_over.items():
        if name not in _GEMINI:
            _set(fields, name, value)
    if known:
        config = read_body(bytes(fields.get(_CONFIG, Raw(b"{}"))))
        for name, value in known.items():
            _set(config, name, value)
        fields[_CONFIG] = Raw(msgspec.json.encode(config))


def _set(fields: Body, name: str, value: Raw) -> None:
    if bytes(value).strip() == b"null":
        fields.pop(name, None)
    else:
        fields[name] = value
