"""What the relay needs from elsewhere; joined in wiring. Nothing here reaches a database or a framework."""

from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Any, Protocol

from msgspec import Struct

from tidemill.kernel.actor import Actor
from tidemill.kernel.errors import TidemillError
from tidemill.metering.contracts import UsageEvent


class Identify(Protocol):
    """Tells who sent a request, from memory."""

    def __call__(self, scope: MutableMapping[str, Any]) -> Actor | TidemillError:
        """Return the caller of an ASGI request, or what is wrong with its credential."""
        ...


# What an ASGI scope's extensions hold where the server under us has it: a ``Post`` and a ``Leaving``.
POST, LEAVING = "tidemill.post", "tidemill.leaving"
# Sends a part of a body that has begun, without waiting; returns False, and does nothing, while the client is behind
# or gone.
Post = Callable[[bytes], bool]


class Leaving(Protocol):
    """The end of a client's connection, heard of without a task that waits for it."""

    def tell(self, told: Callable[[], None]) -> None:
        """Call ``told`` when the client leaves, at once if it has."""
        ...

    def forget(self, told: Callable[[], None]) -> None:
        """Do not call it any more."""
        ...


class CallerLimits(Struct, frozen=True):
    """What one caller is held to; None: no limit."""

    rpm: int | None = None
    max_concurrent: int | None = None
    tpm: int | None = None


NO_LIMITS = CallerLimits()

LimitsOf = Callable[[Actor], CallerLimits]


class CallerUsage(Struct, frozen=True):
    """What a caller has used since ``since``, a full hour."""

    since: datetime
    requests: int = 0
    request_tokens: int = 0
    response_tokens: int = 0
    total_tokens: int = 0


class CallerFacts(Struct, frozen=True):
    """What is written down of a caller. ``label``: the key's name; ``budget``: credits, as decimal text."""

    label: str | None = None
    budget: str | None = None
    usage: CallerUsage | None = None


FactsOf = Callable[[Actor], Awaitable[CallerFacts]]


class Meter(Protocol):
    """Keeps usage; returns at once and never fails."""

    def record(self, event: UsageEvent) -> None:
        """Keep one call."""
        ...


class LocalService(Protocol):
    """A running local model, while its lease is held."""

    @property
    def base_url(self) -> str:
        """Where it listens, with or without a final ``/v1``."""
        ...

    @property
    def api_key(self) -> str | None:
        """The key it wants, if any."""
        ...

    @property
    def slots(self) -> int:
        """How many requests it serves at once."""
        ...


class LocalLeases(Protocol):
    """The local models: which there are, and a way to hold one while it is used (it is started if it must be)."""

    def names(self) -> Sequence[str]:
        """Return the models that can be leased."""
        ...

    def lease(self, name: str) -> AbstractAsyncContextManager[LocalService]:
        """Hold one; raises a TidemillError when it cannot be had."""
        ...

    def subscribe(self, callback: Callable[[], None]) -> None:
        """Call ``callback`` whenever ``names`` changed."""
        ...


class Balance(Protocol):
    """What a caller has left, from memory."""

    def remaining(self, user_id: int) -> int:
        """Return whole credits."""
        ...
