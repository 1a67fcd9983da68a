"""Arguments of tool calls: JSON text of any quality, and free-text tools where a dialect has none."""

import re

import msgspec
from msgspec import Raw

from tidemill.wire.canonical_json import MALFORMED, encode, object_of, raw_of

# How a free-text tool looks to a model whose dialect knows only functions.
_INPUT = "input"
CUSTOM_SCHEMA = Raw(b'{"type":"object","properties":{"input":{"type":"string"}},"required":["input"]}')
NO_ARGUMENTS_SCHEMA = Raw(b'{"type":"object","properties":{}}')

_strings = msgspec.json.Decoder(str)
_NOT_IN_AN_ID = re.compile(r"[^a-zA-Z0-9_-]")


def wrap_custom(text: str) -> str:
    """Return free text as the arguments of a function with ``CUSTOM_SCHEMA``."""
    return encode({_INPUT: text}).decode()


def unwrap_custom(arguments: str) -> str:
    """Return the free text of such arguments; arguments of another shape are the text themselves."""
    fields = object_of(arguments)
    if fields is None or fields.keys() != {_INPUT}:
        return arguments
    try:
        return _strings.decode(fields[_INPUT])
    except MALFORMED:
        return arguments


def arguments_object(arguments: str) -> Raw:
    """Return arguments as a JSON object, for dialects that have nothing else: none is ``{}``, nonsense is wrapped."""
    text = arguments.strip()
    if not text:
        return Raw(b"{}")
    if object_of(text) is None:
        return raw_of({_INPUT: arguments})
    return Raw(text.encode())


def is_object(arguments: str) -> bool:
    """Tell whether arguments are a whole JSON object: nothing can follow."""
    return arguments.lstrip().startswith("{") and object_of(arguments) is not None


def plain_id(call_id: str) -> str:
    """Return a call's id in the letters that every dialect takes; the same id gives the same one."""
    return _NOT_IN_AN_ID.sub("_", call_id) or "call"
