"""Read JSON that strangers sent: whatever is wrong with it becomes one error that names the field."""

import re
from collections.abc import Callable
from typing import Any, TypeVar, cast

import msgspec
from msgspec import UNSET, Raw, UnsetType

from tidemill.wire.canonical_fault import WireError, bad_answer, bad_request

T = TypeVar("T")

# msgspec passes on what the interpreter raises for text that is no UTF-8 and for nesting without end.
MALFORMED = (msgspec.MsgspecError, UnicodeError, RecursionError)

_PATH = re.compile(r" - at `\$\.?([^`]*)`")

encode = msgspec.json.Encoder().encode
_objects = msgspec.json.Decoder(dict[str, Raw])


def read_request(decode: Callable[[bytes], T], body: bytes) -> T:
    """Return the request body decoded; raises WireError, the client's fault, naming the field."""
    try:
        body.decode()  # a field that is passed on undecoded is UTF-8 too
        return decode(body)
    except MALFORMED as error:
        raise wrong_request(error) from None


def wrong_request(error: Exception, where: str = "") -> WireError:
    """Return the client's fault for what a decoder said of the part of a request that stands at ``where``."""
    if isinstance(error, RecursionError):
        return bad_request("the request is nested too deeply")
    if not isinstance(error, msgspec.ValidationError):
        return bad_request("the request is not a JSON object in UTF-8")
    said = str(error)
    found = _PATH.search(said)
    message = said[: found.start()] if found else said
    inner = found.group(1).replace("[...]", "") if found else ""
    field = f"{where}.{inner}" if where and inner else where or inner
    return bad_request(f"{field}: {message}" if field else message, field or UNSET)


def read_answer(decode: Callable[[bytes], T], body: bytes) -> T:
    """Return the answer body decoded; raises WireError, the upstream's fault."""
    try:
        body.decode()
        return decode(body)
    except MALFORMED as error:
        kind = "has an unknown shape" if isinstance(error, msgspec.ValidationError) else "is not JSON"
        raise bad_answer(f"the upstream's answer {kind}") from None


def text_of(raw: Raw) -> str:
    """Return undecoded JSON as text."""
    return str(memoryview(raw), "utf-8")


def raw_of(value: object) -> Raw:
    """Return a value as undecoded JSON."""
    return Raw(encode(value))


def object_of(text: str) -> dict[str, Raw] | None:
    """Return a JSON object's fields undecoded; None when ``text`` is no such thing."""
    try:
        return _objects.decode(text)
    except MALFORMED:
        return None


def told(value: T | None) -> T | UnsetType:
    """Return a decoded field, where null says no more than absence."""
    return UNSET if value is None else value


def fields_of(value: Any) -> dict[str, Any]:
    """Return ``value`` if it is a JSON object, else an empty one."""
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def string_in(fields: dict[str, Any], name: str) -> str | UnsetType:
    """Return a field that is a string."""
    value = fields.get(name)
    return value if isinstance(value, str) else UNSET
