"""What the pipeline asks of an HTTP client, so that a cheaper one can take its place."""

from collections.abc import Callable, Mapping, Sequence
from typing import Literal, Protocol

from msgspec import Struct

# Takes what came, empty bytes at the end; returns whether it wants no more.
Take = Callable[[bytes], bool]


class UpstreamBrokenError(Exception):
    """The connection could not be opened, or broke; the message is safe to show."""


class Errand(Struct, frozen=True):
    """One request to a service. ``pool`` says whose connections to use; a GET has an empty ``body``."""

    pool: int
    url: str
    headers: Sequence[tuple[str, str]]
    body: bytes
    method: Literal["POST", "GET"] = "POST"


class UpstreamAnswer(Protocol):
    """An answer whose head has come; its body without ``content-encoding``. One of ``finish`` and ``abort`` ends it."""

    @property
    def status(self) -> int:
        """The HTTP status."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers, looked up in any case; of several with one name the first."""
        ...

    async def read(self, limit: int) -> bytes:
        """Return the whole body; raises UpstreamBrokenError when it breaks or is longer than ``limit`` bytes."""
        ...

    async def next(self) -> bytes:
        """Return what has come, at least a byte, empty at the end; raises UpstreamBrokenError when it breaks."""
        ...

    async def pour(self, take: Take) -> None:
        """Hand ``take`` what comes, the moment it comes, until it wants no more or has been told of the end.

        What comes after that is kept for the next who asks. Raises UpstreamBrokenError when the body breaks, and what
        ``take`` raises.
        """
        ...

    async def finish(self) -> None:
        """Give the connection back to its pool if the body was read to its end, else close it."""
        ...

    async def abort(self) -> None:
        """Close the connection, so that the service stops working for us."""
        ...


class Upstreams(Protocol):
    """Carries requests out."""

    async def send(self, errand: Errand) -> UpstreamAnswer:
        """Return the answer once its head is there; raises UpstreamBrokenError. Only connecting has a deadline.

        Redirects are answers like others. A cancelled call leaves no connection behind.
        """
        ...

    async def forget(self, pool: int) -> None:
        """Close a pool whose channel is gone, once its calls have ended."""
        ...

    async def close(self) -> None:
        """Close every connection."""
        ...


async def read_whole(answer: UpstreamAnswer, limit: int) -> bytes:
    """Return what is left of a body; raises UpstreamBrokenError when it breaks or is longer than ``limit`` bytes."""
    pieces: list[bytes] = []
    size = 0
    while piece := await answer.next():
        size += len(piece)
        if size > limit:
            raise UpstreamBrokenError(f"the answer is longer than {limit} bytes")
        pieces.append(piece)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


async def pour_by_reading(answer: UpstreamAnswer, take: Take) -> None:
    """Pour a body by asking for its pieces, where the client underneath cannot hand them over as they come."""
    while True:
        data = await answer.next()
        if take(data) or not data:
            return
