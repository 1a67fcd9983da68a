"""One suite for everything that carries tickets between processes."""

import asyncio
import gc
from collections.abc import Iterator, Sequence

import pytest

from tests.fixtures.transports import Carrier, Wakes, no_task_left, tickets, until, until_depth
from tidemill.kernel import clock
from tidemill.platform.jobs.transport import Ticket


@pytest.fixture(autouse=True)
def nothing_is_dropped(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Fail for a task or a future whose failure nobody looked at: asyncio only logs those."""
    yield
    gc.collect()
    said = [record.getMessage() for record in caplog.records if record.name == "asyncio"]
    assert said == []


async def none_dead(jobs: Sequence[str]) -> frozenset[str]:
    del jobs
    return frozenset()


async def test_competing_receivers_get_each_ticket_once(carrier: Carrier) -> None:
    sender, one, other = await carrier.open(), await carrier.open(), await carrier.open()
    first, second = Wakes(), Wakes()
    await one.consume("default", 10, first)
    await other.consume("default", 10, second)
    sent = tickets(300)
    assert list(await sender.publish(sent)) == sent
    await until(lambda: len(first.names) + len(second.names) >= 300)
    assert sorted(first.names + second.names) == sorted(ticket.name for ticket in sent)
    assert first.names
    assert second.names
    await until_depth(sender, "default", 0)


async def test_a_ticket_arrives_as_it_was_sent_without_its_delay(carrier: Carrier) -> None:
    end, wakes = await carrier.open(), Wakes()
    await end.consume("mail", 10, wakes)
    await end.publish([Ticket("0190-a", 7, "mail")])
    await until(lambda: bool(wakes.calls))
    assert wakes.calls == [[Ticket("0190-a", 7, "mail")]]


async def test_queues_are_apart(carrier: Carrier) -> None:
    end, mail, files = await carrier.open(), Wakes(), Wakes()
    await end.consume("mail", 10, mail)
    await end.consume("files", 10, files)
    await end.publish([*tickets(20, "mail"), *tickets(30, "files")])
    await until(lambda: len(mail.names) == 20 and len(files.names) == 30)


async def test_what_is_confirmed_waits_for_a_receiver(carrier: Carrier) -> None:
    sender = await carrier.open()
    sent = tickets(50)
    assert list(await sender.publish(sent)) == sent
    await until_depth(sender, "default", 50)
    assert sender.facts().published == 50
    late, wakes = await carrier.open(), Wakes()
    await late.consume("default", 100, wakes)
    await until(lambda: len(wakes.names) == 50)
    assert late.facts().delivered == 50


async def test_tickets_that_come_together_wake_together(carrier: Carrier) -> None:
    end, wakes = await carrier.open(), Wakes()
    await end.publish(tickets(100))
    await end.consume("default", 100, wakes)
    await until(lambda: len(wakes.names) == 100)
    assert len(wakes.calls) < 20


async def test_no_more_than_the_prefetch_is_held(carrier: Carrier) -> None:
    greedy, other = await carrier.open(), await carrier.open()
    slow, quick = Wakes(), Wakes()
    slow.may_return.clear()
    await greedy.consume("default", 5, slow)
    await greedy.publish(tickets(20))
    await until(lambda: bool(slow.calls))
    await other.consume("default", 100, quick)
    await until(lambda: len(quick.names) == 15)
    slow.may_return.set()
    await until(lambda: len(slow.names) == 5)
    await until_depth(other, "default", 0)
    assert len(quick.names) == 15


async def test_tickets_come_again_when_the_database_could_not_be_asked(carrier: Carrier) -> None:
    end, wakes = await carrier.open(), Wakes()
    wakes.failures_left = 2
    await end.consume("default", 10, wakes)
    (sent,) = await end.publish(tickets(1))
    await until(lambda: len(wakes.calls) == 3)
    assert wakes.names == [sent.name] * 3
    await until_depth(end, "default", 0)
    assert end.facts().redelivered >= 2


async def test_what_was_not_looked_at_goes_to_others(carrier: Carrier) -> None:
    leaving, staying = await carrier.open(), await carrier.open()
    stuck, free = Wakes(), Wakes()
    stuck.may_return.clear()
    await leaving.consume("default", 100, stuck)
    sent = await leaving.publish(tickets(10))
    await until(lambda: bool(stuck.calls))
    await leaving.stop_consuming()
    await staying.consume("default", 100, free)
    await until(lambda: len(free.names) == 10)
    assert sorted(free.names) == sorted(ticket.name for ticket in sent)
    stuck.may_return.set()


async def test_a_paused_queue_waits_and_the_others_do_not(carrier: Carrier) -> None:
    end, default, mail = await carrier.open(), Wakes(), Wakes()
    await end.consume("default", 10, default)
    await end.consume("mail", 10, mail)
    await end.pause("default")
    await end.publish([*tickets(3), *tickets(3, "mail")])
    await until(lambda: len(mail.names) == 3)
    await until_depth(end, "default", 3)
    assert default.calls == []
    await end.resume("default")
    await until(lambda: len(default.names) == 3)
    await until_depth(end, "default", 0)


async def test_a_pause_outlasts_a_new_request_to_receive(carrier: Carrier) -> None:
    end, wakes = await carrier.open(), Wakes()
    await end.pause("default")
    await end.consume("default", 10, wakes)
    await end.publish(tickets(3))
    await until_depth(end, "default", 3)
    await end.resume("default")
    await until(lambda: len(wakes.names) == 3)


async def test_a_delayed_ticket_does_not_come_before_its_time(carrier: Carrier) -> None:
    end, wakes = await carrier.open(), Wakes()
    await end.consume("default", 10, wakes)
    began_s = clock.monotonic()
    (sent,) = await end.publish(tickets(1, delay_s=5.0))
    await end.publish(now := tickets(1))
    await until(lambda: len(wakes.names) == 2)
    assert wakes.names == [now[0].name, sent.name]
    assert clock.monotonic() - began_s >= 4.9


async def test_markers_of_dead_jobs_stay_until_they_are_dead_no_more(carrier: Carrier) -> None:
    end = await carrier.open()
    one, two, three = buried = tickets(3)
    for ticket in buried:
        await end.bury(ticket, "attempts spent")
    asked: list[str] = []

    async def only_two(jobs: Sequence[str]) -> frozenset[str]:
        asked.extend(jobs)
        return frozenset({two.job_id})

    assert await end.settle_dead(only_two) == 2
    assert sorted(asked) == sorted([one.job_id, two.job_id, three.job_id])
    assert await end.settle_dead(only_two) == 0
    assert await end.settle_dead(none_dead) == 1
    assert await end.settle_dead(none_dead) == 0


async def test_no_marker_is_lost_when_settling_is_cut_short(carrier: Carrier) -> None:
    end = await carrier.open()
    for ticket in tickets(3):
        await end.bury(ticket, "attempts spent")

    async def fails(jobs: Sequence[str]) -> frozenset[str]:
        raise ConnectionError(f"no database to ask about {len(jobs)} jobs")

    with pytest.raises(ConnectionError):
        await end.settle_dead(fails)
    settled = 0
    async with asyncio.timeout(10):
        # What the first walk held goes back a moment after it has ended.
        while settled < 3:
            settled += await end.settle_dead(none_dead)
    assert settled == 3


async def test_nothing_is_lost_when_the_server_is_killed(mortal_carrier: Carrier) -> None:
    end, wakes = await mortal_carrier.open(), Wakes()
    sent = tickets(50)
    await end.consume("later", 10, Wakes())
    await end.pause("later")
    assert len(await end.publish([Ticket(each.job_id, 0, "later") for each in sent])) == 50
    await end.consume("default", 10, wakes)
    await asyncio.to_thread(mortal_carrier.server.kill)
    await until(lambda: not end.connected, 5)
    assert end.facts().state != "up"
    assert list(await end.publish(tickets(3))) == []
    assert await end.depths() == {}
    assert await end.settle_dead(none_dead) == 0
    await end.bury(sent[0], "while away")
    await asyncio.to_thread(mortal_carrier.server.restart)
    await until(lambda: end.connected)
    assert end.facts().state == "up"
    assert end.facts().reconnects >= 1
    assert len(await end.publish(tickets(3))) == 3
    await until(lambda: len(wakes.names) >= 3)
    survivors = Wakes()
    await end.consume("later", 100, survivors)
    await end.resume("later")
    await until(lambda: set(survivors.names) == {ticket.name for ticket in sent})


async def test_it_waits_for_a_server_that_is_not_there_yet(mortal_carrier: Carrier) -> None:
    await asyncio.to_thread(mortal_carrier.server.kill)
    with no_task_left():
        end, wakes = mortal_carrier.make(), Wakes()
        assert not end.connected
        await end.start()
        await end.consume("default", 10, wakes)
        assert list(await end.publish(tickets(1))) == []
        await until(lambda: end.facts().error is not None)
        await asyncio.to_thread(mortal_carrier.server.restart)
        await until(lambda: end.connected)
        await end.publish(tickets(1))
        await until(lambda: len(wakes.names) == 1)
        await asyncio.to_thread(mortal_carrier.server.kill)
        await until(lambda: not end.connected, 5)
        await end.close()


async def test_closing_leaves_nothing_running(carrier: Carrier) -> None:
    with no_task_left():
        end, wakes = await carrier.open(), Wakes()
        await end.consume("default", 10, wakes)
        await end.publish(tickets(5))
        await until(lambda: len(wakes.names) == 5)
        await end.close()
    assert not end.connected
    assert end.facts().state == "down"
    assert list(await end.publish(tickets(1))) == []


async def test_closing_ends_a_look_that_hangs(carrier: Carrier) -> None:
    with no_task_left():
        end, wakes = await carrier.open(), Wakes()
        wakes.may_return.clear()
        await end.consume("default", 10, wakes)
        await end.publish(tickets(5))
        await until(lambda: bool(wakes.calls))
        await end.close()
