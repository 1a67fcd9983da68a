"""A worker process for the measurement of jobs: runs jobs that do nothing, 200 at once, until SIGTERM.

python -m bench.jobs_child DATABASE_URL QUEUE_URL
"""

import asyncio
import signal
import sys

from tidemill.platform.db import Database, open_database
from tidemill.platform.jobs import JobContext, JobKind
from tidemill.platform.jobs.engine import JobEngine
from tidemill.platform.jobs.engines import open_transport
from tidemill.platform.jobs.heartbeat import this_process
from tidemill.platform.tasks import TaskOwner
from tidemill.platform.telemetry import configure_logs

KIND = "bench.nothing"
AT_ONCE = 200


async def nothing(context: JobContext) -> None:
    """Do nothing."""
    del context


def engine_of(db: Database, database_url: str, queue_url: str) -> JobEngine:
    """Return an engine that knows the job; the caller opens, starts and drains it."""
    engine = JobEngine(
        db,
        open_transport(queue_url, database_url),
        alone=False,
        worker=this_process(["worker"]),
        beat_database=lambda: open_database(database_url, pool_size=1),
    )
    engine.register(JobKind(type=KIND, handler=nothing, concurrency=AT_ONCE))
    return engine


async def main(database_url: str, queue_url: str) -> None:
    """Work until told to end."""
    db, owner, stop = open_database(database_url), TaskOwner(), asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    owner.spawn("db.watch", db.watch())
    engine = engine_of(db, database_url, queue_url)
    await engine.open()
    while not engine.transport.connected:  # noqa: ASYNC110 - the transport says no more than this
        await asyncio.sleep(0.01)
    await engine.start()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await stop.wait()
    await engine.drain(5)
    await owner.cancel()
    await db.close()


if __name__ == "__main__":
    configure_logs("warning", "text")
    asyncio.run(main(sys.argv[1], sys.argv[2]))
