"""Keep the relay's memory in step with the database and the local models.

The whole snapshot is made anew on every change and swapped in one assignment; calls under way go on as they began.
"""

import asyncio
from collections.abc import Sequence

from tidemill.kernel.actor import SystemReason, SystemScope
from tidemill.platform.db import Row
from tidemill.platform.tasks import TaskOwner
from tidemill.platform.telemetry import get_logger
from tidemill.relay import repository, repository_rules
from tidemill.relay.channel_rows import channel_of
from tidemill.relay.contracts import ModelView
from tidemill.relay.house import House
from tidemill.relay.rule_rows import rule_view
from tidemill.relay.rulebook import rulebook
from tidemill.relay.snapshot import Channel, Resting, build, local_channel

_SCOPE = SystemScope(SystemReason.RELAY_SYNC)
_RETRY_S = 2.0
_log = get_logger("tidemill.relay.sync")


class Sync:
    """Loads snapshots."""

    def __init__(self, house: House, tasks: TaskOwner) -> None:
        self._house = house
        self._tasks = tasks
        self._stale = asyncio.Event()
        self._loading = asyncio.Lock()

    async def start(self) -> None:
        """Load, then follow every change."""
        self._house.db.subscribe(repository.TOPIC, self._stale.set)
        if self._house.leases is not None:
            self._house.leases.subscribe(self._stale.set)
        await self.load()
        self._tasks.spawn("relay sync", self._follow())

    async def _follow(self) -> None:
        while True:
            await self._stale.wait()
            try:
                await self.load()
            except Exception:  # noqa: BLE001 - the edge of a background job; the last snapshot stays in use
                _log.exception("relay.sync_failed", retry_s=_RETRY_S)
                await asyncio.sleep(_RETRY_S)

    async def load(self) -> None:
        """Read everything and swap it in; when this returns, what was committed before is in use."""
        async with self._loading:
            self._stale.clear()
            try:
                async with self._house.db.read() as r:
                    rows = await repository.all_channels(r, _SCOPE)
                    keys = await repository.all_keys(r, _SCOPE)
                    configs = await repository.all_configs(r, _SCOPE)
                    rules = await repository_rules.all_rules(r, _SCOPE)
            except BaseException:
                self._stale.set()
                raise
            channels = [*self._channels(rows, keys), *self._local_channels()]
            resting = [
                Resting(row["id"], row["name"], row["status"], row["models"].keys())
                for row in rows
                if row["status"] != "enabled"
            ]
            facts = [_facts(row) for row in configs if row["is_active"]]
            book = rulebook(rule_view(row) for row in rules)
            for pool in self._house.board.swap(build(channels, facts, book, resting)):
                await self._house.upstreams.forget(pool)

    def _channels(self, rows: Sequence[Row], keys: Sequence[Row]) -> list[Channel]:
        by_channel: dict[int, list[Row]] = {}
        for key in keys:
            by_channel.setdefault(key["channel_id"], []).append(key)
        found: list[Channel] = []
        for row in rows:
            if row["status"] != "enabled":
                continue
            own = by_channel.get(row["id"], [])
            opened = self._house.vault.open_keys(own)
            if opened or (not own and opened is not None):  # one whose keys are all disabled is not one without keys
                found.append(channel_of(row, opened, default_max_concurrent=self._house.default_max_concurrent))
        return found

    def _local_channels(self) -> list[Channel]:
        house = self._house
        if house.leases is None:
            return []
        return [
            local_channel(name, slots=house.local_slots, timeout_s=house.local_timeout_s)
            for name in house.leases.names()
        ]


def _facts(row: Row) -> ModelView:
    return ModelView(
        id=row["id"],
        name=row["name"],
        description=row["description"] or "",
        max_tokens=row["max_tokens"],
        temperature=row["temperature"],
        top_p=row["top_p"],
    )
