"""Wishes from the command line: written by one process, fulfilled by the one that runs the models.

A wish names the place (machine and data directory) whose server is meant, because several may share one database.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Final, Literal

from msgspec import Struct

from tidemill.kernel import clock
from tidemill.kernel.actor import SystemReason, SystemScope
from tidemill.kernel.errors import TidemillError
from tidemill.kernel.lang import Lang
from tidemill.localmodels import repository
from tidemill.localmodels.contracts import LocalModelView, Status
from tidemill.localmodels.errors import NoServerRunning
from tidemill.platform.db import Database
from tidemill.platform.tasks import TaskOwner
from tidemill.platform.telemetry import get_logger

log = get_logger(__name__)

TOPIC: Final = "local_models"
Wish = Literal["start", "stop"]
_WORTH_DOING: Final = timedelta(seconds=60)  # the command that asked has given up after this long
_LOOK_S: Final = 0.1
_SCOPE: Final = SystemScope(SystemReason.LOCAL_MODELS)


class WishOutcome(Struct, frozen=True, kw_only=True):
    """How a wish came out; ``code`` and ``error`` are empty unless it failed."""

    name: str
    status: Status
    code: str = ""
    error: str = ""


def place_of(data_dir: Path) -> str:
    """Return the name of a data directory on this machine."""
    return f"{socket.gethostname()}:{data_dir.resolve()}"[-500:]


async def ask(
    db: Database,
    data_dir: Path,
    name: str,
    wish: Wish,
    *,
    is_served: Callable[[Path], bool],
    lang: Lang = "en",
    timeout_s: float = 60.0,
) -> WishOutcome:
    """Wish for a start or stop and wait for the outcome; ``status`` is the state so far when the time is over.

    ``is_served`` tells whether a server holds the data directory; without one NoServerRunning is raised.
    """
    if not is_served(data_dir):
        raise NoServerRunning
    async with db.write() as w:
        wish_id = await repository.add(w, _SCOPE, place_of(data_dir), name, wish)
        w.changed(TOPIC)
    deadline = clock.monotonic() + timeout_s
    while clock.monotonic() < deadline:
        async with db.read() as r:
            row = await repository.outcome(r, _SCOPE, wish_id)
        if row is not None:
            problem: dict[str, str] = row["problem"] or {}
            return WishOutcome(
                name=name, status=row["status"], code=problem.get("code", ""), error=problem.get(lang, "")
            )
        if not is_served(data_dir):
            raise NoServerRunning
        await asyncio.sleep(_LOOK_S)
    return WishOutcome(name=name, status="starting" if wish == "start" else "stopping")


class WishReader:
    """The server's side: acts on each wish of its place once."""

    def __init__(
        self,
        db: Database,
        data_dir: Path,
        tasks: TaskOwner,
        act: Callable[[str, Wish], Awaitable[LocalModelView]],
    ) -> None:
        self._db = db
        self._place = place_of(data_dir)
        self._tasks = tasks
        self._act = act
        self._taken: set[int] = set()
        self._rung = asyncio.Event()
        self._rung.set()  # a wish may have come just before us
        db.subscribe(TOPIC, self._rung.set)

    async def run(self) -> None:
        """Read wishes whenever the bell rings, until cancelled."""
        while True:
            await self._rung.wait()
            self._rung.clear()
            async with self._db.read() as r:
                rows = await repository.open_since(r, _SCOPE, self._place, clock.now() - _WORTH_DOING)
            self._taken &= {row["id"] for row in rows}
            for row in rows:
                if row["id"] not in self._taken:
                    self._taken.add(row["id"])
                    self._tasks.spawn(f"wish {row['id']}", self._fulfil(row["id"], row["name"], row["wish"]))

    async def _fulfil(self, wish_id: int, name: str, wish: Wish) -> None:
        problem: dict[str, str] | None = None
        try:
            status = (await self._act(name, wish)).status
        except TidemillError as error:
            status, problem = "failed", {"code": error.code, "zh": error.message("zh"), "en": error.message("en")}
        log.info("local_model.wish", model=name, wish=wish, status=status)
        async with self._db.write() as w:
            await repository.settle(w, _SCOPE, wish_id, status, problem)
