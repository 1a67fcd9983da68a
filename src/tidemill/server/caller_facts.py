"""What identity and metering have written down of a caller, for the relay's ``GET /v1/key``."""

from datetime import datetime, timedelta

from tidemill.identity.facade import KeyService
from tidemill.kernel import clock
from tidemill.kernel.actor import Actor
from tidemill.metering.contracts import UsageGroup, UsageTotals
from tidemill.metering.facade import UsageService
from tidemill.relay.ports import CallerFacts, CallerUsage

_DAY = timedelta(hours=24)


class FactsOfCaller:
    """The relay's FactsOf over identity's keys and metering's sums."""

    def __init__(self, keys: KeyService, usage: UsageService) -> None:
        self._keys = keys
        self._usage = usage

    async def __call__(self, actor: Actor) -> CallerFacts:
        """Return a key's name and budget, and what it used in the last 24 h; of a session what its user used."""
        since = (clock.now() - _DAY).replace(minute=0, second=0, microsecond=0)
        summary = await self._usage.summary(actor.scope, since=since, until=None, group_by="key")
        if actor.key_id is None:
            return CallerFacts(usage=_usage(since, summary.totals))
        view = await self._keys.get(actor.scope, actor.key_id)
        own = next((group for group in summary.groups if group.key == actor.key_id), None)
        return CallerFacts(view.name, view.budget, CallerUsage(since) if own is None else _usage(since, own))


def _usage(since: datetime, sums: UsageTotals | UsageGroup) -> CallerUsage:
    return CallerUsage(since, sums.requests, sums.request_tokens, sums.response_tokens, sums.total_tokens)
