"""A connection to PostgreSQL that hears notices: what the database's change bells and the event bus share."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol, cast
from urllib.parse import urlsplit, urlunsplit


class Listener(Protocol):
    """The part of an asyncpg connection that listening needs (the package ships no full types)."""

    async def add_listener(self, channel: str, callback: Callable[[object, int, str, object], None]) -> None:
        """Hear ``channel``; adding the same callback again changes nothing."""
        ...

    def add_termination_listener(self, callback: Callable[[object], None]) -> None:
        """Be told when the connection has ended."""
        ...

    async def execute(self, query: str) -> str:
        """Run a statement without values."""
        ...

    async def fetch(self, query: str, *values: object) -> Sequence[object]:
        """Run a statement and return its rows."""
        ...

    def is_closed(self) -> bool:
        """Tell whether the connection has ended."""
        ...

    async def close(self, *, timeout: float) -> None:  # noqa: ASYNC109 - asyncpg's own parameter
        """Say goodbye, for ``timeout`` seconds at most."""
        ...

    def terminate(self) -> None:
        """Hang up at once."""
        ...


def plain_url(url: str) -> str:
    """Return the address as asyncpg takes it, whichever of its spellings ``url`` has."""
    return urlunsplit(("postgresql", *urlsplit(url)[1:]))


async def connect(url: str) -> Listener:
    """Open a connection outside every pool. Raises one of ``failures``."""
    import asyncpg  # noqa: PLC0415 - loaded on first use

    opening = cast("Callable[[str], Awaitable[Listener]]", asyncpg.connect)  # pyright: ignore[reportUnknownMemberType] - no types
    return await opening(plain_url(url))


def failures() -> tuple[type[Exception], ...]:
    """Return what a connection raises when the server is away or leaves."""
    import asyncpg  # noqa: PLC0415 - loaded on first use

    return OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError
