"""A call on its way: what was asked, by whom, and where the answer goes."""

from collections.abc import Mapping, Sequence
from typing import Literal, Protocol

from msgspec import Raw, Struct, field

from tidemill.kernel.lang import Lang
from tidemill.relay.pipeline.watch import Watched
from tidemill.relay.ports import NO_LIMITS, CallerLimits
from tidemill.wire.openai_chat import Body

Kind = Literal["chat", "embeddings"]
Headers = list[tuple[bytes, bytes]]

ENDPOINTS: Mapping[Kind, str] = {"chat": "/chat/completions", "embeddings": "/embeddings"}
# The field whose text is counted when an upstream reports no usage.
PROMPT_FIELDS: Mapping[Kind, str] = {"chat": "messages", "embeddings": "input"}


class Caller(Struct, frozen=True):
    """Who asks. ``turn``: whom limits and queues count the call for."""

    user_id: int
    key_id: str | None = None
    limits: CallerLimits = NO_LIMITS

    @property
    def turn(self) -> str:
        """The key, or the user of a session."""
        return self.key_id or f"user:{self.user_id}"


class Ask(Struct, frozen=True, kw_only=True):
    """One request for a model. ``raw`` is the body as it came, when it came as bytes.

    ``retries``: how many other channels may be tried. ``timeout_s`` is the caller's own bound, None: the channel's.
    """

    kind: Kind
    model: str
    body: Body
    caller: Caller
    request_id: str
    raw: bytes | None = None
    stream: bool = False
    keeps_usage: bool = False
    surface: str = "relay"
    forwarded: Sequence[tuple[str, str]] = ()
    metadata: Mapping[str, str] = field(default_factory=dict[str, str])
    channel_id: int | None = None
    timeout_s: float | None = None
    wait_s: float = 10.0
    retries: int = 1
    lang: Lang = "en"

    @property
    def prompt(self) -> Raw:
        """The messages or input."""
        return self.body.get(PROMPT_FIELDS[self.kind], _NO_PROMPT)


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
