"""Take a request in: its body within bounds, its model, and what of its headers goes on."""

import re
from collections.abc import Mapping
from typing import Protocol

import msgspec
from msgspec import Raw, Struct

from tidemill.kernel.errors import BadInput, TooLarge
from tidemill.kernel.ids import uuid7
from tidemill.relay.errors import ClientGone
from tidemill.relay.pipeline.asgi_sink import Receive, Scope
from tidemill.relay.pipeline.ask import Headers, Kind
from tidemill.relay.upstreams.form import model_in
from tidemill.wire.canonical_parts import Dialect
from tidemill.wire.openai_chat import Body, read_body

# The only headers of a client that go on to a service.
_FORWARDED = frozenset({b"traceparent", b"tracestate", b"openai-beta", b"anthropic-beta", b"anthropic-version"})
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


class Opened(Struct, frozen=True):
    """What a body says of itself. ``form``: the content type of one that is a form; its ``body`` is empty."""

    body: Body
    model: str
    stream: bool = False
    form: str | None = None


class _Door(Protocol):
    """What an address says of the call."""

    @property
    def dialect(self) -> Dialect:
        """The client's protocol."""
        ...

    @property
    def kind(self) -> Kind | None:
        """The kind of call."""
        ...

    @property
    def model(self) -> str:
        """The model, where the address names it."""
        ...

    @property
    def stream(self) -> bool:
        """Whether the address asks for a stream."""
        ...


def open_body(data: bytes, door: _Door, content_type: bytes) -> Opened:
    """Return the body's fields, its model and whether it wants a stream; raises BadInput naming the field."""
    if door.kind in _FORMS and content_type.lower().startswith(b"multipart/form-data"):
        form = content_type.decode("latin-1")
        return Opened({}, _checked_model(model_in(data, form)), form=form)
    try:
        body = read_body(data)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise BadInput.of("body", "must be a JSON object in UTF-8") from None
    if door.dialect is Dialect.GEMINI:
        return Opened(body, _checked_model(door.model), door.stream)
    model = _model(body)
    for needed in _NEEDED.get((door.dialect, door.kind), ()):
        if needed not in body:
            raise BadInput.of(needed, "is missing")
    return Opened(body, model, door.kind in _STREAMED and _flag(body, "stream"))


# The fields without which a call asks for nothing. Anthropic's bound is its protocol's own demand: whoever answers,
# a request without it is refused alike.
_NEEDED: Mapping[tuple[Dialect, Kind | None], tuple[str, ...]] = {
    (Dialect.OPENAI_CHAT, "chat"): ("messages",),
    (Dialect.OPENAI_CHAT, "embeddings"): ("input",),
    (Dialect.ANTHROPIC, "chat"): ("messages", "max_tokens"),
    (Dialect.ANTHROPIC, "count"): ("messages",),
}
_STREAMED: frozenset[Kind | None] = frozenset({"chat", "completion", "image"})
_FORMS: frozenset[Kind | None] = frozenset({"image", "transcription"})


def _checked_model(model: str | None) -> str:
    if model is None:
        raise BadInput.of("model", "is missing; name one of /v1/models")
    if not 0 < len(model) <= _MAX_MODEL_NAME:
        raise BadInput.of("model", f"must be 1 to {_MAX_MODEL_NAME} characters long")
    return model


def _model(body: Body) -> str:
    raw = body.get("model")
    if raw is None:
        raise BadInput.of("model", "is missing; name one of /v1/models")
    try:
        model = msgspec.json.decode(raw, type=str)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise BadInput.of("model", "must be text") from None
    return _checked_model(model)


def _flag(body: Body, name: str) -> bool:
    raw: Raw | None = body.get(name)
    if raw is None:
        return False
    value = _BOOLEANS.get(bytes(memoryview(raw)))
    if value is None:
        raise BadInput.of(name, "must be true or false")
    return value
