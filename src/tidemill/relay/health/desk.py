"""Take what befalls channels off the calls' hands: into their history, to the keys' warden, to alerts.

A call only appends to a queue; one task writes what has gathered in one transaction. While the database is away the
queue keeps the newest ``MOST_WAITING``: enough for every breaker of a large installation to turn for minutes.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
from msgspec import Struct

from tidemill.kernel import clock
from tidemill.operations.facade import Alerts
from tidemill.platform.db import Writer
from tidemill.platform.telemetry import get_logger
from tidemill.relay.channel_state import ChannelState
from tidemill.relay.health import repository, wording
from tidemill.relay.health.keys import SCOPE, KeyWarden, event_row
from tidemill.relay.house import House
from tidemill.relay.shifts import Shift

MOST_WAITING = 10_000
MOST_AT_ONCE = 200
RETRY_S = 1.0
_log = get_logger("tidemill.relay.health")


class Heard(Struct, frozen=True):
    """A shift and when it was."""

    at: datetime
    shift: Shift


class Desk:
    """Writes down the shifts of one process."""

    def __init__(self, house: House, warden: KeyWarden, alerts: Alerts) -> None:
        self._house = house
        self._warden = warden
        self._alerts = alerts
        self._waiting: deque[Heard] = deque()
        # Keys whose refusal waits to be written, and breakers that were written down as open.
        self._keys: set[str] = set()
        self._open: set[tuple[int, str | None, str | None]] = set()
        self._came = asyncio.Event()

    def hear(self, shift: Shift) -> None:
        """Take note of a shift; never waits. A hundred refusals of one key at once are one."""
        if shift.kind in {"key_refused", "key_broke"} and shift.key_id:
            if shift.key_id in self._keys:
                return
            self._keys.add(shift.key_id)
        if len(self._waiting) >= MOST_WAITING:
            self._done(self._waiting.popleft())
        clean = msgspec.structs.replace(shift, reason=wording.storable(shift.reason))
        self._waiting.append(Heard(clock.now(), clean))
        self._came.set()

    async def work(self) -> None:
        """Write what gathers, once something has; what could not be written waits for the next time."""
        await self._came.wait()
        self._came.clear()
        await self.flush()

    async def flush(self) -> None:
        """Write what has gathered."""
        while self._waiting:
            batch = [self._waiting.popleft() for _ in range(min(MOST_AT_ONCE, len(self._waiting)))]
            try:
                await self.write(batch)
            except BaseException:
                self._waiting.extendleft(reversed(batch))
                self._came.set()
                raise
            for heard in batch:
                self._done(heard)

    def _done(self, heard: Heard) -> None:
        """Note that a shift is written, or given up."""
        shift = heard.shift
        way = (shift.channel_id, shift.model, shift.key_id)
        match shift.kind:
            case "opened":
                self._open.add(way)
            case "closed":
                self._open.discard(way)
            case "key_refused" | "key_broke":
                self._keys.discard(shift.key_id or "")
        if len(self._open) > MOST_WAITING:
            self._open = {one for one in self._open if one[0] in self._house.board.states}

    async def write(self, batch: Sequence[Heard]) -> None:
        """Write shifts in one transaction."""
        async with self._house.db.write() as w:
            await repository.add_events(w, SCOPE, [_row(heard) for heard in batch if self._is_history(heard.shift)])
            for heard in batch:  # bounded by MOST_AT_ONCE, and nearly always one
                await self._act(w, heard.shift)

    def _is_history(self, shift: Shift) -> bool:
        """Tell whether a shift is a line of history: a breaker that half-opens and opens again is not another one.

        What the warden does is written down by him, with what he did.
        """
        if shift.kind == "opened":
            return (shift.channel_id, shift.model, shift.key_id) not in self._open
        return shift.kind == "closed" or not shift.key_id

    async def _act(self, w: Writer, shift: Shift) -> None:
        match shift.kind:
            case "opened":
                await self._opened(w, shift)
            case "closed":
                await self._closed(w, shift)
            case "key_refused" | "key_broke":
                await self._warden.disable(w, shift)

    async def _opened(self, w: Writer, shift: Shift) -> None:
        state = self._house.board.states.get(shift.channel_id)
        if state is None:
            return
        now = clock.monotonic()
        model = None if shift.model is None or is_down(state, now) else shift.model
        if model is not None and not is_model_down(state, model, now):
            return  # another key still serves it
        wish = wording.channel_down(shift, model)
        if await self._alerts.raise_(w, SCOPE, wish):
            w.after_commit(
                lambda: _log.warning(
                    "channel.down",
                    channel_id=shift.channel_id,
                    channel=shift.channel,
                    model=model,
                    reason=shift.reason,
                )
            )

    async def _closed(self, w: Writer, shift: Shift) -> None:
        state = self._house.board.states.get(shift.channel_id)
        now = clock.monotonic()
        if state is not None and is_down(state, now):
            return
        over = [wording.down_key(shift.channel_id, None)]
        if shift.model is not None and not (state is not None and is_model_down(state, shift.model, now)):
            over.append(wording.down_key(shift.channel_id, shift.model))
        for dedup_key in over:
            if await self._alerts.recover(w, SCOPE, dedup_key):
                w.after_commit(
                    lambda: _log.info(
                        "channel.up", channel_id=shift.channel_id, channel=shift.channel, model=shift.model
                    )
                )


def _row(heard: Heard) -> dict[str, Any]:
    shift = heard.shift
    row = event_row(shift.channel_id, shift.kind, model=shift.model, last4=shift.key_last4, reason=shift.reason)
    return {**row, "at": heard.at}


def is_down(state: ChannelState, now: float) -> bool:
    """Tell whether a channel as a whole is not to be used."""
    return state.breaker_state(now) != "closed"


def is_model_down(state: ChannelState, model: str, now: float) -> bool:
    """Tell whether no key of a channel is to be used for ``model``."""
    lanes = [state.lanes.get((key.id, model)) for key in state.keys]
    return all(lane is not None and lane.breaker.state(now) != "closed" for lane in lanes)
