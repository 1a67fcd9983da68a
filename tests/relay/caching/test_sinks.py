"""What is sent from memory has the same manners as what comes from a service."""

import asyncio

import pytest

from tests.relay.upstream import DEADLINE_S
from tidemill.relay.caching.kept import Kept, deflated, in_pieces, inflated, pack, unpack
from tidemill.relay.caching.sinks import Outlet, Tee
from tidemill.relay.errors import ClientTooSlow
from tidemill.relay.pipeline.sinks import CollectingSink
from tidemill.relay.pipeline.watch import Watch


class Stuck(CollectingSink):
    """Its reader reads no more."""

    async def write(self, data: bytes) -> None:
        del data
        await asyncio.Event().wait()


async def test_who_does_not_read_a_kept_answer_is_let_go() -> None:
    watch = Watch(heartbeat_s=60, tick_s=0.01)
    watched = watch.add()
    try:
        outlet = Outlet(Stuck(), watched, idle_s=0.05)
        await outlet.start([])
        async with asyncio.timeout(DEADLINE_S):
            with pytest.raises(ClientTooSlow):
                await outlet.write(b"x")
    finally:
        watch.remove(watched)


async def test_who_leaves_amid_a_kept_answer_is_gone() -> None:
    watch = Watch(heartbeat_s=60, tick_s=60)

    async def give() -> None:
        watched = watch.add()
        asyncio.get_running_loop().call_soon(watched.hang_up)
        try:
            await Outlet(Stuck(), watched, idle_s=60).write(b"x")
        finally:
            watch.remove(watched)

    with pytest.raises(asyncio.CancelledError):
        await asyncio.get_running_loop().create_task(give())


async def test_only_a_whole_good_answer_is_there_to_keep() -> None:
    for status, size, ends, kept in (
        (200, 4, True, True),
        (200, 5, True, False),
        (404, 1, True, False),
        (200, 1, False, False),
    ):
        inner = CollectingSink()
        tee = Tee(inner, 4)
        await tee.start(status, [(b"content-type", b"x"), (b"x-gateway-channel", b"7")])
        await tee.write(b"y" * size)
        if ends:
            await tee.end()
        assert (tee.parts is not None) is kept
        assert inner.body == b"y" * size
        assert (b"x-gateway-channel", b"7") not in tee.headers


@pytest.mark.parametrize("size", [0, 10, 100_000])
def test_an_answer_is_unpacked_as_it_was_packed(size: int) -> None:
    kept = Kept([(b"content-type", b"x")], [b"a" * size, bytes(range(256))], b"{}")
    assert unpack(pack(kept)) == kept


@pytest.mark.parametrize(
    "data", [b"", b"\x00", b"\x01", b"\x01abc", b"\x02abc", b"\x00\xc1", deflated(b"x" * 9000)[:-3]]
)
def test_what_is_no_answer_is_none(data: bytes) -> None:
    assert unpack(data) is None


def test_what_was_compressed_comes_back() -> None:
    for data in (b"", b"short", b"long " * 5000):
        assert inflated(deflated(data)) == data
    assert len(deflated(b"long " * 5000)) < 1000


def test_small_writes_travel_together_and_nothing_is_cut() -> None:
    parts = [b"event %d\n\n" % number for number in range(2000)]
    pieces = in_pieces(parts)
    assert b"".join(pieces) == b"".join(parts)
    assert 2 < len(pieces) < 20
    assert all(piece.endswith(b"\n\n") for piece in pieces)
