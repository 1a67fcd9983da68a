"""Take a request in: its body within bounds, its model, and what of its headers goes on."""

import re
from collections.abc import Mapping

import msgspec
from msgspec import Raw

from tidemill.kernel.errors import BadInput, TooLarge
from tidemill.kernel.ids import uuid7
from tidemill.relay.errors import ClientGone
from tidemill.relay.pipeline.asgi_sink import Receive, Scope
from tidemill.relay.pipeline.ask import PROMPT_FIELDS, Headers, Kind
from tidemill.wire.openai_chat import Body, read_body

# The only headers of a client that go on to a service.
_FORWARDED = frozenset({b"traceparent", b"tracestate", b"openai-beta"})
_REQUEST_ID = re.compile(rb"[\w.:/+=@-]{1,128}")
_MAX_MODEL_NAME = 500
_NO_STATE: Mapping[str, object] = {}
_BOOLEANS = {b"true": True, b"false": False, b"null": False}


def header(headers: Headers, name: bytes) -> bytes | None:
    """Return the first header of that (lower-case) name."""
    for known, value in headers:
        if known == name:
            return value
    return None


def request_id_of(scope: Scope, headers: Headers) -> str:
    """Return the id that the server gave the request, else the client's own if logs can hold it, else a new one."""
    known = scope.get("state", _NO_STATE).get("request_id")
    if isinstance(known, str):
        return known
    given = header(headers, b"x-request-id")
    return given.decode() if given is not None and _REQUEST_ID.fullmatch(given) else uuid7()


def forwarded_of(headers: Headers) -> list[tuple[str, str]]:
    """Return the headers that go on to a service."""
    return [(name.decode(), value.decode("latin-1")) for name, value in headers if name in _FORWARDED]


async def read_all(receive: Receive, headers: Headers, limit: int) -> bytes:
    """Return the request's body; raises TooLarge past ``limit`` bytes, ClientGone when the client leaves."""
    declared = header(headers, b"content-length")
    if declared is not None and declared.isdigit() and int(declared) > limit:
        raise TooLarge(f"the body may have at most {limit} bytes")
    pieces: list[bytes] = []
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        piece: bytes = message.get("body", b"")
        more = message.get("more_body", False)
        size += len(piece)
        if size > limit:
            raise TooLarge(f"the body may have at most {limit} bytes")
        pieces.append(piece)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def open_body(data: bytes, kind: Kind) -> tuple[Body, str, bool]:
    """Return the body's fields, its model and whether it wants a stream; raises BadInput naming the field."""
    try:
        body = read_body(data)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise BadInput.of("body", "must be a JSON object in UTF-8") from None
    if PROMPT_FIELDS[kind] not in body:
        raise BadInput.of(PROMPT_FIELDS[kind], "is missing")
    return body, _model(body), kind == "chat" and _flag(body, "stream")


def _model(body: Body) -> str:
    raw = body.get("model")
    if raw is None:
        raise BadInput.of("model", "is missing; name one of /v1/models")
    try:
        model = msgspec.json.decode(raw, type=str)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise BadInput.of("model", "must be text") from None
    if not 0 < len(model) <= _MAX_MODEL_NAME:
        raise BadInput.of("model", f"must be 1 to {_MAX_MODEL_NAME} characters long")
    return model


def _flag(body: Body, name: str) -> bool:
    raw: Raw | None = body.get(name)
    if raw is None:
        return False
    value = _BOOLEANS.get(bytes(memoryview(raw)))
    if value is None:
        raise BadInput.of(name, "must be true or false")
    return value
