"""Field names: Gemini takes both camelCase and snake_case (ProtoJSON), so both are read."""

import re
from typing import Any

import msgspec
from msgspec import Raw

from tidemill.wire.canonical_json import MALFORMED

_SNAKE = re.compile(rb'"[a-z]+(?:_[a-z0-9]+)+"\s*:')
_objects = msgspec.json.Decoder(dict[str, Raw])
_lists = msgspec.json.Decoder(list[Raw])
_UNDERSCORE = re.compile(r"_([a-z0-9])")
# What is inside belongs to the client: names there are nobody's but its own.
_CLIENTS = frozenset(
    {
        "args",
        "response",
        "parameters",
        "parametersJsonSchema",
        "responseSchema",
        "responseJsonSchema",
        "labels",
        "partMetadata",
    }
)


def camel_body(body: bytes) -> bytes:
    """Return the body with the protocol's own names in camelCase; nothing else is touched, nor what is no JSON."""
    if _SNAKE.search(body) is None:
        return body
    try:
        return msgspec.json.encode(_camel(Raw(body.strip())))
    except MALFORMED:
        return body


def camel(name: str) -> str:
    """Return a name in camelCase."""
    return _UNDERSCORE.sub(lambda found: found.group(1).upper(), name)


def _camel(raw: Raw) -> Any:
    match bytes(memoryview(raw)[:1]):
        case b"{":
            fields = {camel(name): inner for name, inner in _objects.decode(raw).items()}
            return {name: inner if name in _CLIENTS else _camel(inner) for name, inner in fields.items()}
        case b"[":
            return [_camel(inner) for inner in _lists.decode(raw)]
        case _:
            return raw
