"""Sends tickets: at once after a commit, and again what was never confirmed.

The job's row is the outbox. A ticket that is lost between the commit and the broker, or that the broker lost, is sent
again by the relay; one that was sent twice finds nothing to claim.
"""

import asyncio
from collections import deque
from datetime import timedelta

from tidemill.kernel.actor import SystemReason, SystemScope
from tidemill.platform.db import Database
from tidemill.platform.jobs import repository_tickets
from tidemill.platform.jobs.transport import Ticket, Transport

BATCH = 500
# Tickets that wait for the fast path at most; past it the relay sends them a second later.
BOUND = 10_000
RELAY_S = 1.0
AGAIN_AFTER = timedelta(seconds=120)
_SCOPE = SystemScope(SystemReason.JOBS)


class Outbox:
    """The tickets that this process is to send."""

    def __init__(self, db: Database, transport: Transport) -> None:
        self._db = db
        self._transport = transport
        self._waiting: deque[Ticket] = deque()
        self._wake = asyncio.Event()

    def offer(self, ticket: Ticket) -> None:
        """Send a ticket soon; called when the job's transaction has been committed."""
        if len(self._waiting) < BOUND:
            self._waiting.append(ticket)
            self._wake.set()

    async def send_offered(self) -> None:
        """Wait for tickets and send them: one round."""
        await self._wake.wait()
        self._wake.clear()
        while self._waiting:
            batch = [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]
            confirmed = await self._transport.publish(batch)
            if confirmed:
                async with self._db.write() as w:
                    await repository_tickets.sent(w, _SCOPE, [ticket.job_id for ticket in confirmed])

    async def relay(self) -> bool:
        """Send what is due and was never confirmed, or long ago; True when there may be more."""
        if not self._transport.connected:
            return False
        # Another relay may send the same at the same time: a ticket too many costs one look.
        async with self._db.read() as r:
            rows = await repository_tickets.unsent(r, _SCOPE, again_after=AGAIN_AFTER, limit=BATCH)
        if not rows:
            return False
        confirmed = await self._transport.publish([Ticket(row["id"], row["epoch"], row["queue"]) for row in rows])
        if confirmed:
            async with self._db.write() as w:
                await repository_tickets.sent(w, _SCOPE, [ticket.job_id for ticket in confirmed])
        return len(confirmed) == BATCH
