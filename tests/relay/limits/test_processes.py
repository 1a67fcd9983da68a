"""Real processes that share a Valkey, all of them wanting more than they are allowed together."""

import asyncio
import json
import signal
import sys
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

from tests.fixtures.children import end_with_parent
from tests.fixtures.processes import clean_environment
from tests.fixtures.valkey import ValkeyServer

ROOT = Path(__file__).parents[3]
DEADLINE_S = 120.0
LEASE_S = 4.0


class Process:
    """One process of ``hammer``."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    async def do(self, **wish: Any) -> dict[str, int]:
        """Tell it what to do and return what it says."""
        stdin, stdout = self.process.stdin, self.process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(json.dumps(wish).encode() + b"\n")
        async with asyncio.timeout(DEADLINE_S):
            while line := await stdout.readline():
                if line.startswith(b"{"):  # what the process logs stands between
                    return json.loads(line)
        raise AssertionError("the process ended")

    async def kill(self) -> None:
        """End it as the out-of-memory killer would."""
        self.process.send_signal(signal.SIGKILL)
        await self.process.wait()


@asynccontextmanager
async def running(url: str, prefix: str, lease_s: float) -> AsyncGenerator[Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.relay.limits.hammer",
        url,
        prefix,
        str(lease_s),
        cwd=ROOT,
        env=clean_environment(),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        preexec_fn=end_with_parent,
    )
    try:
        yield Process(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def test_three_processes_let_in_no_more_than_one_would(valkey: ValkeyServer) -> None:
    prefix = uuid4().hex
    let_in: list[int] = []
    most: list[int] = []
    async with AsyncExitStack() as stack:
        processes = [await stack.enter_async_context(running(valkey.url, prefix, 60.0)) for _ in range(3)]
        # Moments of the server's time and the limit in force: 20 calls stand from 0 to 60 s, 30 more from 25 to 85 s.
        for shift_s, rpm in ((0, 20), (25, 50), (45, 50), (70, 50), (100, 50), (121, 50)):
            said = await asyncio.gather(
                *(process.do(do="hammer", rpm=rpm, tasks=15, shift_s=shift_s) for process in processes)
            )
            let_in.append(sum(answer["let_in"] for answer in said))
            most.append(max(answer["most"] for answer in said))
    assert let_in == [20, 30, 0, 20, 30, 0]
    assert max(most) <= 7


async def test_a_killed_process_gives_its_calls_back_after_the_lease(valkey: ValkeyServer) -> None:
    prefix = uuid4().hex
    loop = asyncio.get_running_loop()
    async with running(valkey.url, prefix, LEASE_S) as doomed, running(valkey.url, prefix, LEASE_S) as other:
        assert await doomed.do(do="hold", calls=5) == {"let_in": 5}
        assert await other.do(do="hold", calls=9) == {"let_in": 2}
        until = loop.time() + 1.5 * LEASE_S
        while loop.time() < until:
            assert await other.do(do="hold", calls=1) == {"let_in": 0}, "a lease of a living process is renewed"
            await asyncio.sleep(0.2)
        await doomed.kill()
        killed_at = loop.time()
        assert await other.do(do="hold", calls=1) == {"let_in": 0}, "until the lease is over it may be alive"
        freed = 0
        while freed < 5:
            assert loop.time() < killed_at + DEADLINE_S
            freed += (await other.do(do="hold", calls=9))["let_in"]
            await asyncio.sleep(0.05)
        assert freed == 5
        assert await other.do(do="hold", calls=9) == {"let_in": 0}, "the other's own calls are still under way"
