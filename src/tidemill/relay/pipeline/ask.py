"""A call on its way: what was asked, by whom, in which protocol, and where the answer goes."""

from collections.abc import Mapping, Sequence
from typing import Literal, Protocol

import msgspec
from msgspec import Raw, Struct, field

from tidemill.kernel.lang import Lang
from tidemill.relay.errors import RequestUnreadable
from tidemill.relay.pipeline.watch import Watched
from tidemill.relay.ports import NO_LIMITS, CallerLimits
from tidemill.relay.providers import Scene
from tidemill.wire.canonical import Request
from tidemill.wire.canonical_estimate import prompt_tokens
from tidemill.wire.canonical_fault import WireError
from tidemill.wire.canonical_parts import Dialect
from tidemill.wire.codecs import codec_of
from tidemill.wire.openai_chat import Body, estimate_request

Kind = Scene | Literal["count"]
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
    """Who asks. ``turn``: whom limits and queues count the call for."""

    user_id: int
    key_id: str | None = None
    limits: CallerLimits = NO_LIMITS

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
    ``retries``: how many other channels may be tried. ``timeout_s`` is the caller's own bound, None: the channel's.
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
    lang: Lang = "en"
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

    def estimated_tokens(self) -> int:
        """Estimate the tokens of what was asked."""
        if self.dialect is Dialect.OPENAI_CHAT or self.kind == "embeddings":
            return estimate_request(self.prompt)
        try:
            return prompt_tokens(self.request())
        except RequestUnreadable:
            return 0  # its own provider understood more of it than we do


_NO_PROMPT = Raw(b"null")


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

    async def write(self, data: bytes) -> None:
        """Send a part; returns when more may be sent (back-pressure)."""
        ...

    async def end(self, data: bytes = b"") -> None:
        """Send the last part."""
        ...
