"""A hub over a real database and bus, with watchers that keep what they are sent."""

import asyncio
import json
from collections.abc import Callable
from typing import Any, ClassVar, Literal

from tidemill.identity.facade import Standing
from tidemill.kernel.actor import Actor
from tidemill.platform.tasks import TaskOwner
from tidemill.server.live.hub import Hub
from tidemill.server.live.outbox import Outgoing
from tidemill.server.live.watcher import Watcher

DEADLINE_S = 20.0


def person(user_id: int, *, is_admin: bool = False, **fields: Any) -> Actor:
    """Return somebody who is signed in by session."""
    return Actor(user_id=user_id, username=f"user{user_id}", is_admin=is_admin, via="session", **fields)


class Rights:
    """Everybody's rights, to be taken back by user."""

    def __init__(self) -> None:
        self.version: object = object()
        self.gone: set[int] = set()

    def standing(self, actor: Actor) -> Standing:
        return Standing(actor, 0)

    def holds(self, begun: Standing) -> bool:
        return begun.actor.user_id not in self.gone

    def take_back(self, user_id: int) -> None:
        self.gone.add(user_id)
        self.version = object()


class Ear(Watcher):
    """A watcher that keeps what it is sent, or takes nothing while ``blocked``."""

    kind: ClassVar[Literal["sse", "ws"]] = "ws"

    def __init__(self, actor: Actor, tasks: TaskOwner) -> None:
        super().__init__(Standing(actor, 0), tasks)
        self.sent: list[Outgoing] = []
        self.open = asyncio.Event()
        self.open.set()
        self._came = asyncio.Condition()

    def beat(self) -> None:
        """Need no sign of life: there is no transport."""

    async def send(self, message: Outgoing) -> None:
        await self.open.wait()
        async with self._came:
            self.sent.append(message)
            self._came.notify_all()

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(message.data) for message in self.sent if message.kind == "event"]

    async def until(self, seen: Callable[[list[dict[str, Any]]], bool]) -> list[dict[str, Any]]:
        """Wait until the events received are as wished; raises AssertionError with them when they never are."""
        try:
            async with asyncio.timeout(DEADLINE_S), self._came:
                await self._came.wait_for(lambda: seen(self.events))
        except TimeoutError:
            raise AssertionError(f"only these came: {self.events}") from None
        return self.events


def admitted(hub: Hub, actor: Actor, *topics: str, everybody: bool = False) -> Ear:
    """Return a watcher that the hub knows."""
    ear = Ear(actor, hub.tasks)
    hub.admit(ear)
    hub.follow(ear, frozenset(topics), everybody=everybody)
    return ear
