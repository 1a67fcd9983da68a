"""Take keys out of use that a service refuses, and back into use once it takes them again.

One transaction each: the key, its channel when no other is left, the audit log, the channel's history, the alert. What
another process has done already is not done again.
"""

from typing import Any

from tidemill.audit.facade import record
from tidemill.kernel import clock
from tidemill.kernel.actor import SystemReason, SystemScope
from tidemill.kernel.ids import uuid7
from tidemill.operations.facade import Alerts
from tidemill.platform.db import Database, Row, Writer
from tidemill.platform.telemetry import get_logger
from tidemill.relay.channel_rows import channel_of
from tidemill.relay.health import repository, wording
from tidemill.relay.health.probe import Prober
from tidemill.relay.house import House
from tidemill.relay.repository import TOPIC
from tidemill.relay.repository import channel as channel_row
from tidemill.relay.shifts import Shift
from tidemill.relay.snapshot import ChannelKey

SCOPE = SystemScope(SystemReason.CHANNEL_HEALTH)
MAX_REASON = 500
_log = get_logger("tidemill.relay.health")


class KeyWarden:
    """Disables and enables keys. A refused key is tried again every ``retest_s`` seconds."""

    def __init__(self, house: House, prober: Prober, alerts: Alerts, retest_s: float) -> None:
        self._house = house
        self._db: Database = house.db
        self._prober = prober
        self._alerts = alerts
        self._retest_s = retest_s
        self._tried_at_s: dict[str, float] = {}

    async def disable(self, w: Writer, shift: Shift) -> bool:
        """Take a key out of use in the caller's transaction; False when it is so already, or gone."""
        if not shift.key_id:
            return False
        channel = await repository.locked_channel(w, SCOPE, shift.channel_id)
        now = clock.now()
        values = {"status": "disabled", "reason": _reason(shift), "changed_at": now}
        if channel is None or not await repository.set_key(w, SCOPE, shift.key_id, values, was="active"):
            return False
        last = await repository.active_keys(w, SCOPE, shift.channel_id) == 0
        if last and channel["status"] == "enabled":
            await self._set_channel(w, shift.channel_id, "auto_disabled", _reason(shift))
        details = {"key": shift.key_last4, "why": shift.kind, "reason": shift.reason, "channel_disabled": last}
        await self._note(w, shift.channel_id, "channel.key_disable", shift.kind, shift.key_last4, details)
        await self._alerts.raise_(w, SCOPE, wording.key_disabled(shift, last=last))
        w.after_commit(
            lambda: _log.warning(
                "channel.key_disabled",
                channel_id=shift.channel_id,
                channel=shift.channel,
                key=shift.key_last4,
                why=shift.kind,
                channel_disabled=last,
            )
        )
        return True

    async def _enable(self, key: Row) -> None:
        channel_id, last4 = key["channel_id"], key["last4"]
        async with self._db.write() as w:
            channel = await repository.locked_channel(w, SCOPE, channel_id)
            values = {"status": "active", "reason": None, "changed_at": clock.now()}
            if channel is None or not await repository.set_key(w, SCOPE, key["id"], values, was="disabled"):
                return
            if channel["status"] == "auto_disabled":
                await self._set_channel(w, channel_id, "enabled", None)
            await self._note(w, channel_id, "channel.key_enable", "key_back", last4, {"key": last4})
            await self._alerts.recover(w, SCOPE, wording.disabled_key(key["id"]))
        _log.info("channel.key_enabled", channel_id=channel_id, channel=channel["name"], key=last4)

    async def _set_channel(self, w: Writer, channel_id: int, status: str, reason: str | None) -> None:
        values = {"status": status, "status_reason": reason, "updated_at": clock.now()}
        await repository.set_channel(w, SCOPE, channel_id, values)

    async def _note(
        self, w: Writer, channel_id: int, action: str, kind: str, last4: str | None, details: dict[str, Any]
    ) -> None:
        row = event_row(channel_id, kind, last4=last4, reason=details.get("reason"))
        await repository.add_events(w, SCOPE, [row])
        await record(w, actor=None, action=action, object_type="channel", object_id=channel_id, details=details)
        w.changed(TOPIC)

    # ---- trying again

    async def retest(self) -> None:
        """Try every refused key whose time has come, one after the other; what is taken is used again."""
        async with self._db.read() as r:
            rows = await repository.refused_keys(r, SCOPE)
        self._tried_at_s = {row["id"]: at for row in rows if (at := self._tried_at_s.get(row["id"])) is not None}
        for row in rows:  # few at most: keys that a service refused
            if self._is_due(row):
                self._tried_at_s[row["id"]] = clock.unix_s()
                await self._try(row)

    def _is_due(self, row: Row) -> bool:
        refused_at_s = row["changed_at"].timestamp() if row["changed_at"] else 0.0
        return clock.unix_s() - max(refused_at_s, self._tried_at_s.get(row["id"], 0.0)) >= self._retest_s

    async def _try(self, row: Row) -> None:
        key = self._house.vault.open_key(row)
        async with self._db.read() as r:
            found = await channel_row(r, SCOPE, row["channel_id"])
        if key is None or found is None:
            return
        if await self._is_taken(found, key):
            await self._enable(row)

    async def _is_taken(self, found: Row, key: ChannelKey) -> bool:
        channel = channel_of(found, [key], default_max_concurrent=None)
        outcome = await self._prober.try_key(channel, key)
        if channel.id not in self._house.board.states:
            await self._house.upstreams.forget(channel.id)
        return outcome.ok and outcome.key_fault is None


def event_row(
    channel_id: int, kind: str, *, model: str | None = None, last4: str | None = None, reason: str | None = None
) -> dict[str, Any]:
    """Return the row of an event that happens now."""
    return {
        "id": uuid7(),
        "channel_id": channel_id,
        "at": clock.now(),
        "kind": kind,
        "model": model,
        "key_last4": last4,
        "reason": reason[:MAX_REASON] if reason else None,
    }


def _reason(shift: Shift) -> str:
    """Return why, and never nothing: a key without a reason was disabled by a person."""
    return (shift.reason or shift.kind)[:MAX_REASON]
