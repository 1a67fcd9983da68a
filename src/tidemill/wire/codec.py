"""What every dialect's codec can do: read and write requests, answers, streams and errors. Pure: no I/O anywhere.

``decode_*`` raise WireError and nothing else, whatever bytes they get. Who speaks one dialect on both sides need not
translate at all; the bytes pass as they are.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, Protocol

from msgspec import UNSET, Struct, UnsetType

from tidemill.wire.canonical import Answer, Request
from tidemill.wire.canonical_events import Event
from tidemill.wire.canonical_fault import Fault
from tidemill.wire.canonical_parts import Dialect


class Target(Struct, frozen=True, kw_only=True):
    """Whom a request is written for. ``model`` is the upstream's name for it.

    ``max_tokens``: the bound sent where the protocol needs one and the client gave none. ``thinking``: whether the
    model takes a budget or decides itself (newer Claude), a budget or a level (Gemini). ``history``: the field in
    which an OpenAI-like upstream wants earlier reasoning back. ``unsigned_reasoning``: an Anthropic-like upstream
    that takes thinking without a signature. ``token_field``: the name of the bound. ``flat_text``: contents of several
    texts become one string. ``cache_marks``: the field for them, if the upstream knows one. ``asks_usage``: whether it
    understands being asked for a stream's usage. ``takes_sampling``: newer Claude refuses temperature and its kin.
    ``extensions``: fields beyond the dialect that this upstream knows (``top_k``; ``extra_content``, Google's).
    """

    model: str
    max_tokens: int = 4096
    thinking: Literal["budget", "adaptive", "level", "none"] = "budget"
    history: Literal["none", "reasoning_content", "reasoning", "reasoning_details"] = "none"
    unsigned_reasoning: bool = False
    token_field: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"  # noqa: S105 - a field's name
    flat_text: bool = False
    cache_marks: Literal["none", "cache_control", "prompt_cache_breakpoint"] = "none"
    asks_usage: bool = True
    takes_sampling: bool = True
    extensions: frozenset[str] = frozenset()


class Encoded(Struct, frozen=True):
    """A request's body, and the names of what the client set and this dialect has no word for (never content)."""

    body: bytes
    dropped: tuple[str, ...] = ()


class Reply(Struct, frozen=True, kw_only=True):
    """What an answer shows beside what the model said, and how the client wants it.

    ``id`` (without a prefix) serves where the upstream's own does not fit; ``model`` is the public name; ``created``
    in Unix seconds. ``prompt_tokens``: an estimate, for dialects that tell it first. ``legacy_functions``: the client
    knows OpenAI's calls from before tools only. ``sse``: False for Gemini's JSON array. ``asked``: the request, for the
    Responses show its settings again.
    """

    id: str
    model: str
    created: int
    keeps_usage: bool = False
    custom_tools: frozenset[str] = frozenset()
    prompt_tokens: int | UnsetType = UNSET
    legacy_functions: bool = False
    sse: bool = True
    asked: Request | UnsetType = UNSET


def reply_to(
    request: Request,
    *,
    reply_id: str,
    created: int,
    prompt_tokens: int | UnsetType = UNSET,
    sse: bool = True,
) -> Reply:
    """Return what the answer to ``request`` must show."""
    return Reply(
        id=reply_id,
        model=request.model,
        created=created,
        keeps_usage=request.keeps_usage,
        custom_tools=request.custom_tools(),
        prompt_tokens=prompt_tokens,
        legacy_functions=request.legacy_functions,
        sse=sse,
        asked=request,
    )


class StreamDecoder(Protocol):
    """Reads one stream. Feed it bytes cut anywhere; never fails: a broken stream ends in a ``Failed`` event."""

    def feed(self, data: bytes) -> list[Event]:
        """Return the events that ``data`` completes; nothing after ``Finished`` or ``Failed``."""
        ...

    def close(self) -> list[Event]:
        """Say that no more bytes come; returns what is left, ending in ``Finished`` or ``Failed`` unless that came."""
        ...


class StreamEncoder(Protocol):
    """Writes one stream, whole frames only. Any order of events gives a stream that clients can read."""

    def encode(self, events: Iterable[Event]) -> bytes:
        """Return the frames for ``events``, possibly none; ``Finished`` and ``Failed`` write the stream's end."""
        ...


class Codec(Protocol):
    """One dialect, both ways."""

    @property
    def dialect(self) -> Dialect:
        """Which one."""
        ...

    @property
    def heartbeat(self) -> bytes:
        """A whole frame that means nothing, to keep connections alive."""
        ...

    def path(self, model: str, *, stream: bool) -> str:
        """Return the path below an upstream's root (which ends in /v1, /v1beta or nothing, as its preset says)."""
        ...

    def headers(self, key: str) -> Sequence[tuple[str, str]]:
        """Return the headers, in lower case, that carry ``key`` and the protocol's version."""
        ...

    def decode_request(self, body: bytes, *, model: str | None = None, stream: bool | None = None) -> Request:
        """Read a client's request; ``model`` and ``stream`` come from the path where the dialect has them there.

        Raises WireError (a client's fault, with the field's name) when it cannot be understood.
        """
        ...

    def encode_request(self, request: Request, target: Target) -> Encoded:
        """Write a request for ``target``; raises WireError when content cannot be expressed in this dialect."""
        ...

    def decode_answer(self, body: bytes) -> Answer:
        """Read an upstream's whole answer; raises WireError, with the upstream's own fault when that is what it is."""
        ...

    def encode_answer(self, answer: Answer, reply: Reply) -> bytes:
        """Write a whole answer for a client; raises WireError for an answer that is a failure (``Stop.BAD_TOOL``)."""
        ...

    def stream_decoder(self) -> StreamDecoder:
        """Return a reader for one upstream's stream."""
        ...

    def stream_encoder(self, reply: Reply) -> StreamEncoder:
        """Return a writer for one client's stream."""
        ...

    def decode_error(self, status: int, headers: Mapping[str, str], body: bytes) -> Fault:
        """Read an upstream's error answer, whatever it is; header names in lower case. Never fails."""
        ...

    def encode_error(self, fault: Fault, *, request_id: str = "") -> tuple[int, bytes]:
        """Return the status and the body that tell a client of ``fault``."""
        ...

    def error_frame(self, fault: Fault) -> bytes:
        """Return the frames that end a stream that has begun."""
        ...
