"""Connect to the first of several addresses that answers (RFC 8305, "happy eyeballs").

A dead address is common: a name with IPv6 numbers on a machine whose way there leads nowhere.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

from tidemill.relay.upstreams.http1.connection import Connection

# The head start of each address before the next is tried beside it.
STAGGER_S = 0.25


class Found(NamedTuple):
    """An address that a name has: its family, and the number in its usual spelling."""

    family: socket.AddressFamily
    number: str


Connect = Callable[[str], Awaitable[Connection]]


def interleaved(found: Sequence[Found]) -> list[str]:
    """Return the numbers with families in turn, the resolver's first choice first (RFC 8305, section 4)."""
    same = [one.number for one in found if one.family == found[0].family]
    other = [one.number for one in found if one.family != found[0].family]
    turns: list[str] = []
    for at in range(max(len(same), len(other))):
        turns += same[at : at + 1] + other[at : at + 1]
    return turns


async def connect_first(numbers: Sequence[str], connect: Connect) -> Connection:
    """Return the first connection that ``connect`` makes; raises its first OSError when it makes none."""
    if len(numbers) == 1:
        return await connect(numbers[0])
    return await _Race(connect).run(numbers)


class _Race:
    """Attempts side by side. Invariant: when ``run`` ends, every connection but the one that it returns is closed."""

    def __init__(self, connect: Connect) -> None:
        self._connect = connect
        self._won: list[Connection] = []
        self._failed: list[OSError] = []
        self._ended = asyncio.Event()

    async def run(self, numbers: Sequence[str]) -> Connection:
        """Try the addresses, each a little later than the one before or as soon as that fails."""
        won = self._won
        try:
            async with asyncio.TaskGroup() as group:
                attempts = [await self._start(group, number) for number in numbers if not won]
                while not won and len(self._failed) < len(attempts):
                    self._ended.clear()
                    await self._ended.wait()
                for task in attempts:
                    task.cancel()
        except BaseException:
            _drop(won)
            raise
        _drop(won[1:])
        if not won:
            raise self._failed[0]
        return won[0]

    async def _start(self, group: asyncio.TaskGroup, number: str) -> "asyncio.Task[None]":
        self._ended.clear()
        task = group.create_task(self._attempt(number))
        try:
            async with asyncio.timeout(STAGGER_S):
                await self._ended.wait()
        except TimeoutError:
            pass  # it goes on beside the next
        return task

    async def _attempt(self, number: str) -> None:
        try:
            self._won.append(await self._connect(number))
        except OSError as error:
            self._failed.append(error)
        self._ended.set()


def _drop(connections: Sequence[Connection]) -> None:
    for connection in connections:
        connection.drop()
