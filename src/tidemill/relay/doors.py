"""Which address is what: the protocol it speaks, the kind of call, and what the address itself says of it. Pure."""

from collections.abc import Mapping
from types import MappingProxyType
from urllib.parse import parse_qs

from msgspec import Struct

from tidemill.relay.pipeline.ask import Headers, Kind
from tidemill.relay.pipeline.intake import header
from tidemill.wire.canonical_parts import Dialect

KEY = "/key"
_MODELS = "/v1/models"
_GEMINI = "/v1beta"
_GEMINI_MODELS = "/v1beta/models"
_GOOGLES = (b"x-goog-api-key", b"x-goog-api-client")


class Door(Struct, frozen=True):
    """One address. ``kind`` None: it lists models, or shows ``model``; with ``endpoint`` KEY, the caller's limits.

    ``endpoint``: the path below a provider's root, or Gemini's method. ``model`` and ``stream`` where the address says
    them; ``sse`` False where a stream is to be a JSON list.
    """

    dialect: Dialect
    kind: Kind | None = None
    endpoint: str = ""
    model: str = ""
    stream: bool = False
    sse: bool = True

    @property
    def method(self) -> str:
        """The one method it takes (GET: also HEAD)."""
        return "GET" if self.kind is None else "POST"


def _openai(kind: Kind, endpoint: str) -> tuple[str, Door]:
    return f"/v1{endpoint}", Door(Dialect.OPENAI_CHAT, kind, endpoint)


_CALLS: Mapping[str, Door] = MappingProxyType(
    {
        **dict(
            (
                _openai("chat", "/chat/completions"),
                _openai("completion", "/completions"),
                _openai("embeddings", "/embeddings"),
                _openai("image", "/images/generations"),
                _openai("image", "/images/edits"),
                _openai("image", "/images/variations"),
                _openai("speech", "/audio/speech"),
                _openai("transcription", "/audio/transcriptions"),
                _openai("transcription", "/audio/translations"),
                _openai("moderation", "/moderations"),
                _openai("rerank", "/rerank"),
            )
        ),
        "/v1/responses": Door(Dialect.OPENAI_RESPONSES, "chat", "/responses"),
        "/v1/responses/input_tokens": Door(Dialect.OPENAI_RESPONSES, "count", "/responses/input_tokens"),
        "/v1/responses/compact": Door(Dialect.OPENAI_RESPONSES, "compaction", "/responses/compact"),
        "/v1/key": Door(Dialect.OPENAI_CHAT, endpoint=KEY),
        "/v1/messages": Door(Dialect.ANTHROPIC, "chat", "/messages"),
        "/v1/messages/count_tokens": Door(Dialect.ANTHROPIC, "count", "/messages/count_tokens"),
    }
)
_METHODS: Mapping[str, Door] = MappingProxyType(
    {
        "generateContent": Door(Dialect.GEMINI, "chat", "generateContent"),
        "streamGenerateContent": Door(Dialect.GEMINI, "chat", "streamGenerateContent", stream=True),
        "embedContent": Door(Dialect.GEMINI, "embeddings", "embedContent"),
        "batchEmbedContents": Door(Dialect.GEMINI, "embeddings", "batchEmbedContents"),
        "countTokens": Door(Dialect.GEMINI, "count", "countTokens"),
    }
)


def door_of(path: str, query: bytes, headers: Headers) -> Door | None:
    """Return the door at ``path`` (decoded, no final slash); None when there is none."""
    known = _CALLS.get(path)
    if known is not None:
        return known
    if path == _GEMINI_MODELS:
        return Door(Dialect.GEMINI)
    if path.startswith(f"{_GEMINI_MODELS}/"):
        rest = path.removeprefix(f"{_GEMINI_MODELS}/")
        return _method_of(rest, query) or Door(Dialect.GEMINI, model=rest)
    if path == _MODELS or path.startswith(f"{_MODELS}/"):
        # Google's newer SDKs call the same methods below /v1.
        rest = path.removeprefix(_MODELS).removeprefix("/")
        return _method_of(rest, query) or Door(dialect_of(path, headers), model=rest)
    return None


def _method_of(rest: str, query: bytes) -> Door | None:
    """Return the door of ``model:method``; None when it is no such thing (a model's own name may hold a colon)."""
    model, colon, method = rest.rpartition(":")
    found = _METHODS.get(method) if colon else None
    if found is None:
        return None
    sse = not found.stream or b"sse" in parse_qs(query).get(b"alt", [])
    return Door(found.dialect, found.kind, found.endpoint, model, found.stream, sse)


def dialect_of(path: str, headers: Headers) -> Dialect:
    """Return the protocol in which a client at ``path`` expects answers, errors above all."""
    if path == _GEMINI or path.startswith(f"{_GEMINI}/"):
        return Dialect.GEMINI
    if path.startswith(_MODELS) and any(header(headers, name) is not None for name in _GOOGLES):
        return Dialect.GEMINI
    if path.startswith("/v1/messages") or header(headers, b"anthropic-version") is not None:
        return Dialect.ANTHROPIC
    return Dialect.OPENAI_RESPONSES if path.startswith("/v1/responses") else Dialect.OPENAI_CHAT
