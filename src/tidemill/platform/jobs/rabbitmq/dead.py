"""Markers of dead jobs, kept where the server's own tools show dead letters. The rows are the truth."""

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from tidemill.kernel import clock
from tidemill.platform.jobs.rabbitmq import letters
from tidemill.platform.jobs.rabbitmq.answers import answer, answers
from tidemill.platform.jobs.rabbitmq.link import CALL_S, Letter, Link
from tidemill.platform.jobs.rabbitmq.topology import Topology, key
from tidemill.platform.jobs.transport import StillDead, Ticket

if TYPE_CHECKING:
    from aio_pika.abc import AbstractIncomingMessage, AbstractQueue

BATCH = 200
QUIET_S = 1.0


async def bury(link: Link, topology: Topology, ticket: Ticket, reason: str) -> bool:
    """Leave a marker; True when the server has confirmed to keep it."""
    headers = {"reason": reason, "died-at": clock.now()}
    letter = Letter(topology.dead_letters, key(ticket.queue), letters.encode(ticket), ticket.name, headers)
    return (await link.send([letter])) == [True]


async def settle(link: Link, topology: Topology, still_dead: StillDead) -> int:
    """Walk all markers once and remove those of jobs that are dead no more; returns how many.

    A marker that stays is published again before the old one goes, so a walk that is cut short loses none. How many
    there were at the start bounds the walk. Raises BrokerAway, and whatever ``still_dead`` raises.
    """
    left = (await link.count(topology.dead)).messages
    if left == 0:
        return 0
    channel = await link.channel()
    try:
        queue = await channel.get_queue(topology.dead, ensure=False)
        settled = 0
        while left > 0:
            await answer(channel.set_qos(prefetch_count=min(left, BATCH)), CALL_S)
            batch = await _take(queue, min(left, BATCH))
            if not batch:
                break
            left -= len(batch)
            settled += await _sort(link, topology, batch, still_dead)
        return settled
    finally:
        # What was received and not acknowledged goes back.
        await answer(channel.close(), CALL_S)


async def _take(queue: "AbstractQueue", count: int) -> "list[AbstractIncomingMessage]":
    """Receive up to ``count`` messages; fewer when no more come, because somebody else walks as well.

    One consumer rather than many gets: the server would take each get's answer for itself (see consumer). It ends
    before anything is answered, or the markers that stay would come to it again and be out of sight for a while.
    """
    arrived: asyncio.Queue[AbstractIncomingMessage] = asyncio.Queue()  # bounded by the prefetch
    tag = await answer(queue.consume(arrived.put), CALL_S)
    taken: list[AbstractIncomingMessage] = []
    with suppress(TimeoutError):
        while len(taken) < count:
            taken.append(await asyncio.wait_for(arrived.get(), QUIET_S))
    await answer(queue.cancel(tag), CALL_S)
    return taken


async def _sort(link: Link, topology: Topology, batch: "list[AbstractIncomingMessage]", still_dead: StillDead) -> int:
    tickets = [letters.decode(message.body) for message in batch]
    dead = await still_dead(sorted({ticket.job_id for ticket in tickets if ticket is not None}))
    staying = [
        # What we did not write is not ours to remove.
        message
        for message, ticket in zip(batch, tickets, strict=True)
        if ticket is None or ticket.job_id in dead
    ]
    kept = await link.send([_again(topology, message) for message in staying])
    unsafe = [message for message, is_kept in zip(staying, kept, strict=True) if not is_kept]
    await answers([message.nack(requeue=True) for message in unsafe])
    last = next((message for message in reversed(batch) if message not in unsafe), None)
    if last is None or await answers([last.ack(multiple=True)]) != [True]:
        return 0
    return len(batch) - len(staying)


def _again(topology: Topology, message: "AbstractIncomingMessage") -> Letter:
    headers: dict[str, Any] = dict(message.headers)
    return Letter(topology.dead_letters, message.routing_key or "", message.body, message.message_id or "", headers)
