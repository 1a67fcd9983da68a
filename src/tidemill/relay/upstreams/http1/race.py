"""Connect to the first of several addresses that answers (RFC 8305, "happy eyeballs").

A dead address is common: a name with IPv6 numbers on a machine whose way there leads nowhere.
"""

import asyncio
import socket
from collections.abc import Sequence
from typing import NamedTuple

# The head start of each address before the next is tried beside it.
STAGGER_S = 0.25


class Found(NamedTuple):
    """An address that a name has."""

    family: socket.AddressFamily
    address: tuple[str, int] | tuple[str, int, int, int] | tuple[int, bytes]


def interleaved(found: Sequence[Found]) -> list[Found]:
    """Return the addresses with families in turn, the resolver's first choice first (RFC 8305, section 4)."""
    same = [one for one in found if one.family == found[0].family]
    other = [one for one in found if one.family != found[0].family]
    turns: list[Found] = []
    for at in range(max(len(same), len(other))):
        turns += same[at : at + 1] + other[at : at + 1]
    return turns


async def connect_first(found: Sequence[Found]) -> socket.socket:
    """Return a connected socket; raises the first OSError when no address answers."""
    if len(found) == 1:
        return await _connected(found[0])
    return await _Race().run(found)


class _Race:
    """Attempts side by side. Invariant: when ``run`` ends, every socket but the one that it returns is closed."""

    def __init__(self) -> None:
        self._won: list[socket.socket] = []
        self._failed: list[OSError] = []
        self._ended = asyncio.Event()

    async def run(self, found: Sequence[Found]) -> socket.socket:
        """Try the addresses, each a little later than the one before or as soon as that fails."""
        won = self._won
        try:
            async with asyncio.TaskGroup() as group:
                attempts = [await self._start(group, one) for one in found if not won]
                while not won and len(self._failed) < len(attempts):
                    self._ended.clear()
                    await self._ended.wait()
                for task in attempts:
                    task.cancel()
        except BaseException:
            _close(won)
            raise
        _close(won[1:])
        if not won:
            raise self._failed[0]
        return won[0]

    async def _start(self, group: asyncio.TaskGroup, one: Found) -> "asyncio.Task[None]":
        self._ended.clear()
        task = group.create_task(self._attempt(one))
        try:
            async with asyncio.timeout(STAGGER_S):
                await self._ended.wait()
        except TimeoutError:
            pass  # it goes on beside the next
        return task

    async def _attempt(self, one: Found) -> None:
        try:
            self._won.append(await _connected(one))
        except OSError as error:
            self._failed.append(error)
        self._ended.set()


async def _connected(one: Found) -> socket.socket:
    raw = socket.socket(one.family, socket.SOCK_STREAM)
    try:
        raw.setblocking(False)  # noqa: FBT003 - the socket's own interface
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # A service that thinks for minutes sends nothing; without this nobody notices that it is gone.
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        await asyncio.get_running_loop().sock_connect(raw, one.address)
    except BaseException:
        raw.close()
        raise
    return raw


def _close(sockets: Sequence[socket.socket]) -> None:
    for one in sockets:
        one.close()
