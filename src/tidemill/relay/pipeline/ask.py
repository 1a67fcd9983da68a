"""A call on its way: what was asked, by whom, in which protocol, and where the answer goes."""

from collections.abc import Awaitable, Mapping, Sequence
from typing import Literal, Protocol

import msgspec
from msgspec import Raw, Struct, field

from tidemill.kernel.lang import Lang
from tidemill.relay.errors import RequestUnreadable
from tidemill.relay.limits.contracts import Bound
from tidemill.relay.pipeline.continuation import Thread
from tidemill.relay.pipeline.watch import Watched
from tidemill.relay.providers import Scene
from tidemill.wire.canonical import Request
from tidemill.wire.canonical_estimate import prompt_tokens
from tidemill.wire.canonical_fault import WireError
from tidemill.wire.canonical_parts import Dialect
from tidemill.wire.codecs import codec_of
from tidemill.wire.openai_chat import Body, estimate_request

Kind = Scene | Literal["count"]
CacheWish = Literal["", "on", "off", "refresh"]
Headers = list[tuple[bytes, bytes]]

# The field whose text is counted when an upstream reports no usage.
PROMPT_FIELDS: Mapping[Kind, str] = {
    "chat": "messages",
    "completion": "prompt",
    "embeddings": "input",
    "image": "prompt",
    "speech": "input",
    "moderation": "input",
    "rerank": "documents",
}


class Caller(Struct, frozen=True):
    """Who asks. ``bounds``: what its key and its user are held to. ``turn``: whose turn it is in queues."""

    user_id: int
    key_id: str | None = None
    group: str = "default"
    bounds: tuple[Bound, ...] = ()

    @property
    def turn(self) -> str:
        """The key, or the user of a session."""
        return self.key_id or f"user:{self.user_id}"


class Reading:
    """The canonical form of a request, made when the first channel of another dialect needs it, and kept."""

    __slots__ = ("request",)

    def __init__(self) -> None:
        self.request: Request | None = None


class Ask(Struct, frozen=True, kw_only=True):
    """One request for a model. ``raw`` is the body as it came, when it came as bytes.

    ``dialect``: the client's. ``endpoint``: its path below the root, with a leading slash; for Gemini the method.
    ``content_type`` only where the body is no JSON. ``sse``: False where a Gemini stream is to be a JSON list.
    ``cache``: what the caller said of kept answers, empty: nothing. ``thread``: of a stream that may go on elsewhere.
    ``retries``: how many more tries there may be. ``timeout_s`` is the caller's own bound, None: the channel's.
    ``region``: where it must be served; ``session``: what it belongs to, where the client says so.
    """

    kind: Kind
    model: str
    body: Body
    caller: Caller
    request_id: str
    dialect: Dialect = Dialect.OPENAI_CHAT
    endpoint: str = "/chat/completions"
    content_type: str | None = None
    raw: bytes | None = None
    stream: bool = False
    sse: bool = True
    keeps_usage: bool = False
    surface: str = "relay"
    forwarded: Sequence[tuple[str, str]] = ()
    metadata: Mapping[str, str] = field(default_factory=dict[str, str])
    channel_id: int | None = None
    timeout_s: float | None = None
    wait_s: float = 10.0
    retries: int = 1
    region: str | None = None
    session: str | None = None
    lang: Lang = "en"
    cache: CacheWish = "off"
    thread: Thread | None = None
    reading: Reading = field(default_factory=Reading)

    @property
    def prompt(self) -> Raw:
        """The messages or input."""
        return self.body.get(PROMPT_FIELDS.get(self.kind, ""), _NO_PROMPT)

    @property
    def scene(self) -> Scene:
        """What a channel must serve to take this."""
        return "chat" if self.kind == "count" else self.kind

    @property
    def data(self) -> bytes:
        """The body as bytes."""
        return msgspec.json.encode(self.body) if self.raw is None else self.raw

    def request(self) -> Request:
        """Return the request in the canonical form; raises RequestUnreadable when it is none of its dialect."""
        known = self.reading.request
        if known is None:
            in_path = self.dialect is Dialect.GEMINI
            try:
                known = codec_of(self.dialect).decode_request(
                    self.data, model=self.model if in_path else None, stream=self.stream if in_path else None
                )
            except WireError as error:
                raise RequestUnreadable.because(error.fault.message, error.fault.param or None) from None
            self.reading.request = known
        return known

    def affinity(self) -> str:
        """Return what this call belongs together with: a conversation as far as it is told, else the caller."""
        told = self.session or next((text for name in _AFFINITY_FIELDS if (text := self._text(name))), None)
        return self.caller.turn if told is None else f"{self.caller.user_id}:{told}"

    def reserved_tokens(self) -> int:
        """Return what the call counts for in limits until its usage is known: its prompt and some of its answer."""
        told = next((number for name in _BOUND_FIELDS if (number := self._number(name)) is not None), _USUAL_ANSWER)
        return self.estimated_tokens() + min(told, _MOST_RESERVED)

    def _text(self, name: str) -> str | None:
        raw = self.body.get(name)
        try:
            return None if raw is None else msgspec.json.decode(raw, type=str)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return None  # the service says what is wrong with it

    def _number(self, name: str) -> int | None:
        raw = self.body.get(name)
        try:
            return None if raw is None else max(0, msgspec.json.decode(raw, type=int))
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return None  # as above

    def estimated_tokens(self) -> int:
        """Estimate the tokens of what was asked."""
        if self.dialect is Dialect.OPENAI_CHAT or self.kind == "embeddings":
            return estimate_request(self.prompt)
        try:
            return prompt_tokens(self.request())
        except RequestUnreadable:
            return 0  # its own provider understood more of it than we do


_NO_PROMPT = Raw(b"null")
# Where clients say what a call belongs to, the most particular first.
_AFFINITY_FIELDS = ("prompt_cache_key", "previous_response_id", "safety_identifier", "user")
_BOUND_FIELDS = ("max_tokens", "max_completion_tokens", "max_output_tokens")
# Tokens of an answer set aside where the client bounds none; and the most, for many set a bound they never reach.
_USUAL_ANSWER, _MOST_RESERVED = 256, 4096


class Sink(Protocol):
    """Where an answer goes. ``start`` once, then ``write`` (whole events of a stream), then ``end``."""

    @property
    def started(self) -> bool:
        """Whether the status has gone out."""
        ...

    def attach(self, watched: Watched) -> None:
        """Learn of the call that will fill this sink, to hang it up when the reader leaves."""
        ...

    async def start(self, status: int, headers: Headers) -> None:
        """Begin the answer."""
        ...

    def interject(self, headers: Headers, comment: bytes) -> None:
        """Send a comment between two events, starting the answer with ``headers`` if need be; nothing if busy."""
        ...

    def write(self, data: bytes) -> Awaitable[None]:
        """Send a part; over when more may be sent (back-pressure)."""
        ...

    def post(self, data: bytes) -> bool:
        """Send a part now, without waiting; returns False, and does nothing, where that cannot be."""
        ...

    async def end(self, data: bytes = b"") -> None:
        """Send the last part."""
        ...
