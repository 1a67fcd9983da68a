"""An answer as the port shows it."""

from collections.abc import Iterator, Mapping

from tidemill.relay.upstreams.http1.connection import Connection
from tidemill.relay.upstreams.http1.head import Fields
from tidemill.relay.upstreams.port import Take, UpstreamBrokenError, read_whole


class AnswerHeaders(Mapping[str, str]):
    """Headers in any case; made readable when somebody looks, which most calls do not."""

    __slots__ = ("_fields", "_read")

    def __init__(self, fields: Fields) -> None:
        self._fields = fields
        self._read: dict[str, str] | None = None

    def __getitem__(self, name: str) -> str:
        """Return the first field of that name."""
        return self._readable()[name.lower()]

    def __iter__(self) -> Iterator[str]:
        return iter(self._readable())

    def __len__(self) -> int:
        return len(self._readable())

    def _readable(self) -> dict[str, str]:
        if self._read is None:
            self._read = {}
            for name, value in self._fields.items():
                self._read.setdefault(name.decode("latin-1").lower(), value.decode("latin-1").strip())
        return self._read


class Http1Answer:
    """The answer on a connection; holds the connection until ``finish`` or ``abort``, whichever comes first."""

    __slots__ = ("_connection", "headers", "status")

    def __init__(self, connection: Connection) -> None:
        """Take the answer whose head has come."""
        self.status = connection.status
        self.headers: Mapping[str, str] = AnswerHeaders(connection.fields)
        self._connection: Connection | None = connection

    async def read(self, limit: int) -> bytes:
        """Return the whole body."""
        connection = self._connection
        if connection is None or not connection.complete:
            return await read_whole(self, limit)
        data = connection.take()  # short answers are whole when their head is
        if len(data) > limit:
            raise UpstreamBrokenError(f"the answer is longer than {limit} bytes")
        return data

    async def next(self) -> bytes:
        """Return what has come."""
        connection = self._connection
        if connection is None:
            raise UpstreamBrokenError("the answer was given back")
        while not connection.pieces:
            if connection.complete:
                return b""
            if connection.error is not None:
                raise connection.error
            await connection.news()
        return connection.take()

    async def pour(self, take: Take) -> None:
        """Hand on what comes, from the very callback in which it comes: nobody is woken for it."""
        connection = self._connection
        if connection is None:
            raise UpstreamBrokenError("the answer was given back")
        await connection.pour(take)

    async def finish(self) -> None:
        """Give the connection back, at its body's end or when that comes within a moment."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.release()

    async def abort(self) -> None:
        """Close the connection."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.abort()
