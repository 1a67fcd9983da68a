"""What every protocol face offers to the application: its routes, its key, its errors."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

from msgspec import Struct

from tidemill.simulator.exchange import Exchange

Work = Callable[[Exchange], Awaitable[None]]


class Route(Struct, frozen=True):
    """How to answer one request. A light one costs nothing: it takes no slot and meets no fault."""

    work: Work
    name: str
    is_light: bool = False


class Refusal(Struct, frozen=True):
    """A whole error answer."""

    status: int
    value: Any
    headers: Mapping[str, str] = {}


class Refused(Exception):
    """The request is not served; carries the answer that says so."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(str(refusal.status))
        self.refusal = refusal


class Face(Protocol):
    """One provider's protocol. Faces keep no state about a request."""

    def route(self, exchange: Exchange) -> Route | None:
        """Return how to answer, None for an address that the provider does not have. Sets ``exchange.model``."""
        ...

    def key(self, exchange: Exchange) -> str:
        """Return the key that the client sent, empty when it sent none."""
        ...

    def admit(self, exchange: Exchange) -> None:
        """Raise Refused when the key or another header keeps the client out."""
        ...

    def refusal(self, word: str, message: str = "", retry_after_s: float | None = None) -> Refusal:
        """Return the provider's error for a status (``"429"``) or a kind of fault (``"balance"``)."""
        ...

    def failure(self, word: str) -> bytes:
        """Return the same error as it comes inside a stream that has begun."""
        ...
