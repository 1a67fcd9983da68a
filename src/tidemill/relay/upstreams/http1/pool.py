"""Connections by channel and place: the one used last is used next, the others close after a while."""

import asyncio

from tidemill.kernel import clock
from tidemill.platform.http import KEEP_ALIVE_S
from tidemill.relay.upstreams.http1.answer import Http1Answer
from tidemill.relay.upstreams.http1.connection import ONE_WRITE_BYTES, Connection
from tidemill.relay.upstreams.http1.dial import Dialler, Names
from tidemill.relay.upstreams.http1.target import Place, Target
from tidemill.relay.upstreams.inflate import unpacked
from tidemill.relay.upstreams.port import Errand, UpstreamAnswer, UpstreamBrokenError

# Idle connections of one channel to one place; as many as a busy channel has calls at once, with room.
MOST_IDLE = 256
# Addresses that a channel keeps ready. More than that are made of what clients send (Gemini's and Azure's models).
MOST_TARGETS = 256
_SWEEP_S = 5.0
_MARGIN_S = 1.0


class _Origin:
    """The connections of one channel to one place."""

    __slots__ = ("_keep_alive_s", "idle", "names", "place", "retired")

    def __init__(self, place: Place, keep_alive_s: float) -> None:
        self._keep_alive_s = keep_alive_s
        self.place = place
        self.names = Names()
        self.idle: list[Connection] = []
        self.retired = False

    def take(self) -> Connection | None:
        """Return the connection that was used last, None when there is none."""
        idle = self.idle
        while idle:
            connection = idle.pop()
            connection.idle = False
            if connection.usable and clock.monotonic() < connection.idle_until:
                return connection
            connection.abort()
        return None

    def free(self, connection: Connection) -> None:
        """Keep a connection whose answer is whole, unless it or we have had enough."""
        if self.retired or not connection.usable or len(self.idle) >= MOST_IDLE:
            connection.abort()
            return
        connection.idle = True
        # A second before the service closes it, so that no request meets the closing halfway.
        kept_s = min(self._keep_alive_s, connection.patience_s - _MARGIN_S)
        connection.idle_until = clock.monotonic() + kept_s
        self.idle.append(connection)

    def retire(self) -> None:
        """Close what is idle now, and the rest as it ends."""
        self.retired = True
        for connection in tuple(self.idle):
            connection.abort()


class _Channel:
    """What is known of one channel's addresses."""

    __slots__ = ("origins", "targets")

    def __init__(self) -> None:
        self.targets: dict[str, tuple[Target, _Origin]] = {}
        self.origins: dict[Place, _Origin] = {}

    def learn(self, errand: Errand, keep_alive_s: float) -> tuple[Target, _Origin]:
        """Read an address for the first time; raises UpstreamBrokenError."""
        target = Target(errand.url, errand.method)
        if len(self.targets) >= MOST_TARGETS:
            self.targets.clear()
            # A local model has a new port at each start; what led to the old one is dropped here.
            self.origins = {place: origin for place, origin in self.origins.items() if origin.idle}
        origin = self.origins.get(target.place)
        if origin is None:
            origin = self.origins[target.place] = _Origin(target.place, keep_alive_s)
        self.targets[_place_of(errand)] = target, origin
        return target, origin


def _place_of(errand: Errand) -> str:
    """Return the key of a target; the addresses of posts stand for themselves, as nearly all requests are such."""
    return errand.url if errand.method == "POST" else f"{errand.method} {errand.url}"


class Http1Upstreams:
    """Carries requests over connections of its own; belongs to the loop that it is used in.

    ``allow_private``: whether names may lead to private and loopback addresses. ``connect_timeout_s`` bounds resolving,
    connecting and TLS together; a connection that was not used for ``keep_alive_s`` is closed.
    """

    def __init__(self, *, allow_private: bool, connect_timeout_s: float, keep_alive_s: float = KEEP_ALIVE_S) -> None:
        self._keep_alive_s = keep_alive_s
        self._dialler = Dialler(allow_private=allow_private, timeout_s=connect_timeout_s)
        self._channels: dict[int, _Channel] = {}
        self._open: set[Connection] = set()
        self._sweep: asyncio.TimerHandle | None = None
        self._closed = False
        self._emptied = asyncio.Event()

    def __len__(self) -> int:
        """How many connections are open."""
        return len(self._open)

    async def send(self, errand: Errand) -> UpstreamAnswer:
        """Send the errand and return the answer once its head is there.

        A kept connection that closes before the first byte of an answer was most likely closed before it was asked
        (RFC 9112, section 9.3.1); the request goes out once more, on a new one.
        """
        try:
            target, origin = self._channels[errand.pool].targets[_place_of(errand)]
        except KeyError:
            target, origin = self._learn(errand)
        head = target.head(errand.headers)
        connection = origin.take()
        if connection is not None:
            await self._ask(connection, head, errand.body)
            if connection.head_done:
                return await self._answer(connection)
            if not connection.untouched:
                raise connection.error or UpstreamBrokenError("the connection broke")
        connection = await self._dial(origin)
        await self._ask(connection, head, errand.body)
        if not connection.head_done:
            raise connection.error or UpstreamBrokenError("the connection broke")
        return await self._answer(connection)

    async def forget(self, pool: int) -> None:
        """Close the idle connections of a channel that is gone, and those of its calls as they end."""
        channel = self._channels.pop(pool, None)
        if channel is not None:
            for origin in channel.origins.values():
                origin.retire()

    async def close(self) -> None:
        """Close every connection at once, calls under way included."""
        self._closed = True
        for pool in tuple(self._channels):
            await self.forget(pool)
        if self._sweep is not None:
            self._sweep.cancel()
            self._sweep = None
        for connection in tuple(self._open):
            connection.abort()
        if self._open:
            await self._emptied.wait()

    # ---- inside ------------------------------------------------------------------------------------------------

    def _learn(self, errand: Errand) -> tuple[Target, _Origin]:
        channel = self._channels.get(errand.pool)
        if channel is None:
            channel = self._channels[errand.pool] = _Channel()
        return channel.learn(errand, self._keep_alive_s)

    async def _ask(self, connection: Connection, head: bytes, body: bytes) -> None:
        """Send a request; returns when the head of its answer is there or the connection broke."""
        try:
            if len(body) <= ONE_WRITE_BYTES:
                connection.begin(b"%b%d\r\n\r\n%b" % (head, len(body), body))
            else:
                connection.begin(b"%b%d\r\n\r\n" % (head, len(body)))
                await connection.send_body(body)
            while not connection.head_done and connection.error is None:
                await connection.news()
        except BaseException:
            connection.abort()
            raise

    async def _answer(self, connection: Connection) -> UpstreamAnswer:
        answer = Http1Answer(connection)
        return await unpacked(answer) if connection.packed else answer

    async def _dial(self, origin: _Origin) -> Connection:
        def gone(connection: Connection) -> None:
            self._open.discard(connection)
            if connection.idle:
                connection.idle = False
                origin.idle.remove(connection)
            if self._closed and not self._open:
                self._emptied.set()

        loop = asyncio.get_running_loop()
        connection = await self._dialler.open(
            origin.place, origin.names, lambda: Connection(loop, self._open.add, origin.free, gone)
        )
        if self._closed or not connection.usable:
            connection.drop()
            raise UpstreamBrokenError("the connection was closed as soon as it was open")
        if self._sweep is None:
            self._sweep = asyncio.get_running_loop().call_later(_SWEEP_S, self._close_the_idle)
        return connection

    def _close_the_idle(self) -> None:
        """Close what was not used for long; looks again while anything is open."""
        self._sweep = None
        now = clock.monotonic()
        for connection in tuple(self._open):
            if connection.idle and now >= connection.idle_until:
                connection.abort()
        if self._open:
            self._sweep = asyncio.get_running_loop().call_later(_SWEEP_S, self._close_the_idle)
