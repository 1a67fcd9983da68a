"""Look up what money is left with the providers of channels, and say so when it is little."""

import asyncio
from decimal import Decimal

from tidemill.kernel import clock
from tidemill.operations.facade import Alerts
from tidemill.platform.db import Row
from tidemill.platform.telemetry import get_logger
from tidemill.relay.channel_rows import channel_of
from tidemill.relay.channel_test import get_errand
from tidemill.relay.health import repository, wording
from tidemill.relay.health.balances import BALANCE_CALLS, Balance, read_balance, told
from tidemill.relay.health.keys import SCOPE, event_row
from tidemill.relay.house import House
from tidemill.relay.repository import all_channels, all_keys
from tidemill.relay.snapshot import Channel
from tidemill.relay.upstreams.port import UpstreamBrokenError

DEADLINE_S = 10.0
AT_ONCE = 4
# Keys of one channel that are asked about; they may belong to different accounts.
MOST_KEYS = 10
_MAX_ANSWER_BYTES = 256 * 1024
_OK = 200
_WATCHED = frozenset({"enabled", "auto_disabled", "draining"})
_log = get_logger("tidemill.relay.health")


class Accounts:
    """The accounts behind channels."""

    def __init__(self, house: House, alerts: Alerts) -> None:
        self._house = house
        self._alerts = alerts

    async def look(self) -> int:
        """Ask about every channel whose provider can tell; returns of how many the balance is known now."""
        async with self._house.db.read() as r:
            rows = [
                row
                for row in await all_channels(r, SCOPE)
                if row["provider"] in BALANCE_CALLS and row["status"] in _WATCHED
            ]
            keys = await all_keys(r, SCOPE)
        room = asyncio.Semaphore(AT_ONCE)
        found = await asyncio.gather(
            *(self._of(row, [key for key in keys if key["channel_id"] == row["id"]], room) for row in rows)
        )
        for row, balance in zip(rows, found, strict=True):
            if balance is not None:
                await self._keep(row, balance)
        return sum(balance is not None for balance in found)

    async def _of(self, row: Row, keys: list[Row], room: asyncio.Semaphore) -> Balance | None:
        """Return the lowest balance of a channel's keys: the first account that will run dry."""
        opened = [key for one in keys[:MOST_KEYS] if (key := self._house.vault.open_key(one)) is not None]
        channel = channel_of(row, opened, default_max_concurrent=None)
        balances: list[Balance] = []
        for key in opened:
            async with room:
                balance = await self._ask(channel, key.text)
            if balance is not None:
                balances.append(balance)
        if channel.id not in self._house.board.states:
            await self._house.upstreams.forget(channel.id)
        return min(balances, key=lambda balance: balance.amount, default=None)

    async def _ask(self, channel: Channel, key: str) -> Balance | None:
        errand = get_errand(channel, key, BALANCE_CALLS[channel.provider].url(channel.root))
        try:
            async with asyncio.timeout(DEADLINE_S):
                answer = await self._house.upstreams.send(errand)
                try:
                    data = await answer.read(_MAX_ANSWER_BYTES)
                except BaseException:
                    await answer.abort()
                    raise
                await answer.finish()
        except (TimeoutError, UpstreamBrokenError) as error:
            _log.info("channel.balance_unknown", channel=channel.name, error=str(error) or "timeout")
            return None
        balance = read_balance(channel.provider, channel.root, data) if answer.status == _OK else None
        if balance is None:
            _log.info("channel.balance_unknown", channel=channel.name, status=answer.status)
        return balance

    async def _keep(self, row: Row, balance: Balance) -> None:
        channel_id, amount = row["id"], told(balance.amount)
        async with self._house.db.write() as w:
            values = {"balance": amount, "balance_currency": balance.currency[:10], "balance_at": clock.now()}
            await repository.set_channel(w, SCOPE, channel_id, values)
            known = await repository.locked_channel(w, SCOPE, channel_id)
            floor = None if known is None else known["balance_floor"]
            reason = f"{amount} {balance.currency}"
            if floor is not None and balance.amount < Decimal(floor):
                wish = wording.balance_low(channel_id, row["name"], amount, balance.currency, floor)
                if await self._alerts.raise_(w, SCOPE, wish):
                    event = event_row(channel_id, "balance_low", reason=f"{reason} < {floor}")
                    await repository.add_events(w, SCOPE, [event])
                    w.after_commit(
                        lambda: _log.warning(
                            "channel.balance_low", channel_id=channel_id, channel=row["name"], balance=amount
                        )
                    )
            elif await self._alerts.recover(w, SCOPE, wording.low_key(channel_id)):
                await repository.add_events(w, SCOPE, [event_row(channel_id, "balance_ok", reason=reason)])
