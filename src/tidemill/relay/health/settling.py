"""Let alerts recover whose cause has gone another way than it came: a channel deleted, a key replaced by hand.

What raised them may also have ended while no process looked: after a restart, or in another process.
"""

from datetime import timedelta

from tidemill.kernel import clock
from tidemill.operations.facade import Alerts, OpenAlert
from tidemill.platform.db import Row
from tidemill.platform.telemetry import get_logger
from tidemill.relay.health import repository
from tidemill.relay.health.desk import is_down, is_model_down
from tidemill.relay.health.keys import SCOPE
from tidemill.relay.house import House
from tidemill.relay.repository import all_channels

# A probe this old says nothing of the present.
_FRESH = timedelta(minutes=10)
# One that was taken out of service for its keys is meant to serve.
_SERVING = frozenset({"enabled", "auto_disabled"})
_log = get_logger("tidemill.relay.health")


class Settling:
    """Compares open alerts with how things stand."""

    def __init__(self, house: House, alerts: Alerts) -> None:
        self._house = house
        self._alerts = alerts

    async def work(self) -> int:
        """Let what is over recover; returns how many alerts that were."""
        down = await self._alerts.open_of_kind(SCOPE, "channel_down")
        disabled = await self._alerts.open_of_kind(SCOPE, "key_disabled")
        low = await self._alerts.open_of_kind(SCOPE, "balance_low")
        if not (down or disabled or low):
            return 0
        async with self._house.db.read() as r:
            channels = {str(row["id"]): row for row in await all_channels(r, SCOPE)}
            keys = await repository.key_states(r, SCOPE)
            probes = await repository.newest_probes(r, SCOPE, clock.now() - _FRESH)
        over = [alert for alert in down if self._is_up(alert, channels.get(alert.subject_id), probes)]
        over += [alert for alert in disabled if keys.get(alert.dedup_key.partition(":")[2]) != "disabled"]
        over += [alert for alert in low if not _is_short(channels.get(alert.subject_id))]
        if not over:
            return 0
        async with self._house.db.write() as w:
            for alert in over:  # few at most
                await self._alerts.recover(w, SCOPE, alert.dedup_key)
        for alert in over:
            _log.info("channel.alert_over", channel_id=alert.subject_id, alert=alert.dedup_key)
        return len(over)

    def _is_up(self, alert: OpenAlert, channel: Row | None, probes: dict[int, Row]) -> bool:
        """Tell whether a channel serves again, or is not meant to."""
        if channel is None or channel["status"] not in _SERVING:
            return True
        state = self._house.board.states.get(channel["id"])
        now = clock.monotonic()
        model = alert.dedup_key.split(":", 2)[2:]
        if state is None or is_down(state, now) or (model and is_model_down(state, model[0], now)):
            return False
        probe = probes.get(channel["id"])
        return probe is not None and probe["ok"] and probe["at"] > alert.last_seen_at


def _is_short(channel: Row | None) -> bool:
    """Tell whether a channel is still held to a floor; whether it is under it, the next look at its balance says."""
    return channel is not None and channel["balance_floor"] is not None
