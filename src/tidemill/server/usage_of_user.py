"""Metering's answer to identity's question: what has this user used since then."""

from datetime import datetime

from tidemill.identity.ports import UsageSums
from tidemill.kernel.actor import Scope
from tidemill.metering.facade import UsageService


class UsageOfUser:
    """Identity's UsageReader over metering's UsageService."""

    def __init__(self, usage: UsageService) -> None:
        self._usage = usage

    async def usage_since(self, scope: Scope, since: datetime) -> UsageSums:
        """Return the sums of ``scope``'s calls that began at ``since`` (a full hour) or later."""
        totals = (await self._usage.summary(scope, since=since, until=None)).totals
        return UsageSums(
            requests=totals.requests,
            request_tokens=totals.request_tokens,
            response_tokens=totals.response_tokens,
            total_tokens=totals.total_tokens,
        )
