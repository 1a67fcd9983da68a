"""The one place that knows the redis package: commands in, plain answers out, two kinds of failure.

The package would repeat failed commands and connect again by itself; both are switched off. Whoever asks knows what a
lost answer means to it, and must hear of a gap in a subscription.
"""

import asyncio
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol, cast

from tidemill.kernel.errors import BadInput

Word = str | bytes | int
TIMEOUT_S = 5.0
CONNECT_TIMEOUT_S = 2.0


class Away(Exception):
    """The server could not be reached, did not answer in time, or cannot serve yet; the text says which."""


class Refused(Exception):
    """The server answered with an error; the text is its answer, beginning with its code (``NOGROUP …``)."""


class _Pipeline(Protocol):
    def execute_command(self, *words: Word) -> object: ...

    async def execute(self, raise_on_error: bool) -> list[Any]: ...  # noqa: FBT001 - the package's own parameter


class _Connection(Protocol):
    """The part of one of the package's connections that a line needs."""

    @property
    def is_connected(self) -> bool: ...

    async def connect(self) -> None: ...

    async def send_command(self, *words: Word, check_health: bool) -> None: ...

    async def read_response(self) -> Any: ...

    async def disconnect(self, nowait: bool) -> None: ...  # noqa: FBT001 - the package's own parameter


class _Pool(Protocol):
    connection_kwargs: dict[str, Any]

    def make_connection(self) -> _Connection: ...


class _Redis(Protocol):
    connection_pool: _Pool
    response_callbacks: dict[str, Any]

    async def execute_command(self, *words: Word) -> Any: ...

    def pipeline(self, *, transaction: bool) -> _Pipeline: ...

    async def aclose(self) -> None: ...


class Line:
    """One connection of its own, for a subscription: what it lost between two connections it must learn of."""

    def __init__(self, connection: _Connection) -> None:
        self._connection = connection

    async def send(self, *words: Word, timeout_s: float = TIMEOUT_S) -> None:
        """Send a command and do not wait for its answer. Raises Away."""
        if not self._connection.is_connected:
            raise Away("the connection has ended")
        with _plainly():
            async with asyncio.timeout(timeout_s):
                await self._connection.send_command(*words, check_health=False)

    async def receive(self, timeout_s: float) -> Any:
        """Return the next answer or message; raises Away when none comes in time: the line is then of no more use."""
        with _plainly():
            async with asyncio.timeout(timeout_s):
                return await self._connection.read_response()

    async def close(self) -> None:
        """Hang up without waiting for the other side."""
        with _plainly():
            await self._connection.disconnect(nowait=True)


class Client:
    """Asks one database of one server, by a pool of connections that are made as they are needed."""

    def __init__(self, url: str, *, setting: str, timeout_s: float = TIMEOUT_S) -> None:
        """Open nothing yet. Raises BadInput that names ``setting`` when ``url`` is not such an address."""
        from redis.asyncio import Redis  # noqa: PLC0415 - loaded on first use
        from redis.asyncio.retry import Retry  # noqa: PLC0415 - as above
        from redis.backoff import NoBackoff  # noqa: PLC0415 - as above

        try:
            redis = Redis.from_url(  # pyright: ignore[reportUnknownMemberType] - types of its options are missing
                url,
                protocol=2,
                socket_timeout=None,
                socket_connect_timeout=CONNECT_TIMEOUT_S,
                socket_keepalive=True,
                retry=Retry(NoBackoff(), 0),
            )
        except ValueError as error:
            raise BadInput.of(setting, "must look like redis://[user:password@]host[:port][/database]") from error
        self._redis = cast("_Redis", redis)
        # Answers as the server sent them: what the package makes of them differs by command and version.
        self._redis.response_callbacks.clear()
        self._timeout_s = timeout_s

    @property
    def database(self) -> int:
        """The number of the database; subscriptions do not know of it, so names must."""
        return int(self._redis.connection_pool.connection_kwargs.get("db") or 0)

    async def ask(self, *words: Word, timeout_s: float | None = None) -> Any:
        """Return the answer to one command. Raises Away and Refused."""
        with _plainly():
            async with asyncio.timeout(timeout_s or self._timeout_s):
                return await self._redis.execute_command(*words)

    async def ask_all(self, commands: Sequence[Sequence[Word]]) -> list[Any]:
        """Return the answers to ``commands``, sent at once; a command's refusal stands in its place as a Refused.

        Raises Away: then any of them may have been carried out.
        """
        pipeline = self._redis.pipeline(transaction=False)
        for words in commands:
            pipeline.execute_command(*words)
        with _plainly():
            async with asyncio.timeout(self._timeout_s):
                answers = await pipeline.execute(raise_on_error=False)
        translated = [_translated(answer) if isinstance(answer, Exception) else answer for answer in answers]
        if gone := next((answer for answer in translated if isinstance(answer, Away)), None):
            raise gone
        return translated

    async def line(self) -> Line:
        """Open a connection outside the pool; the caller closes it. Raises Away."""
        connection = self._redis.connection_pool.make_connection()
        with _plainly():
            async with asyncio.timeout(self._timeout_s):
                await connection.connect()
        return Line(connection)

    async def close(self) -> None:
        """Close every connection of the pool; the client may be used again."""
        with _plainly():
            await self._redis.aclose()


@contextmanager
def _plainly() -> Generator[None]:
    """Turn the package's failures into ours."""
    from redis.exceptions import RedisError  # noqa: PLC0415 - loaded on first use

    try:
        yield
    except TimeoutError as error:
        raise Away("no answer in time") from error
    except (RedisError, OSError) as error:
        raise _translated(error) from error


def _translated(error: Exception) -> Away | Refused:
    from redis.exceptions import ConnectionError as Lost  # noqa: PLC0415 - loaded on first use
    from redis.exceptions import NoScriptError, ReadOnlyError  # noqa: PLC0415 - as above
    from redis.exceptions import TimeoutError as Late  # noqa: PLC0415 - as above

    # After a fail-over the old primary is read-only: for us that is as good as gone.
    gone = isinstance(error, (Lost, Late, ReadOnlyError, OSError))
    if isinstance(error, NoScriptError):  # the package takes the code off that it knows
        return Refused(f"NOSCRIPT {error}")
    return (Away if gone else Refused)(str(error) or type(error).__name__)
