"""One side of the generation measurement, in a process of its own: ``python -m bench.generation_child ours|bare URL``.

``ours`` makes rows with the engine, through the relay, into a state file. ``bare`` sends the same prompts from as many
workers with aiohttp and reads the answers, and does nothing else: what any client must spend. Prints one JSON line.
"""

import asyncio
import itertools
import json
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import aiohttp
import uvloop

from tests.datagen.engine.fakes import plan
from tidemill.datagen.contracts import StartRequest
from tidemill.datagen.facade import FileOnDisk, Standalone, load_types
from tidemill.datagen.plan import Quotas, draw, item_of
from tidemill.datagen.prompts import generation_messages, response_format
from tidemill.identity.tables import users
from tidemill.kernel import clock
from tidemill.kernel.actor import SystemReason, SystemScope
from tidemill.metering.facade import Meter
from tidemill.platform.db import migrate, open_database
from tidemill.platform.secrets import SecretBox, load_keyring
from tidemill.platform.settings import Settings
from tidemill.platform.settings.groups.datagen import DatagenSettings
from tidemill.relay.app import RelayContext
from tidemill.relay.contracts import ChannelWish

SLOTS = 64
SAMPLES = 640
VARIANTS = 10
ROWS = SAMPLES * VARIANTS
TASK_TYPE = "text_classification"
MODEL = "bench"


def sample(number: int) -> dict[str, str]:
    """Return one sample row."""
    return {"text": f"Customer {number} asks why the card was declined at the counter.", "label": "cards"}


def spent_s() -> float:
    """Return the processor seconds of this process so far."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


async def ours(base_url: str, folder: Path) -> dict[str, Any]:
    """Make the rows with the engine."""
    file = folder / "samples.jsonl"
    file.write_text("\n".join(json.dumps(sample(number)) for number in range(SAMPLES)))
    settings = Settings()
    url = f"sqlite:///{folder / 'state.db'}"
    await asyncio.to_thread(migrate.upgrade, url)
    db = open_database(url)
    async with db.write() as w:
        now = clock.now()
        owner = {"id": 0, "username": "nobody", "username_key": "nobody", "password_hash": "none"}
        await w.run(users.insert(), {**owner, "created_at": now, "updated_at": now})
    meter = Meter(db, folder / "journal")
    meter.start()
    secrets = SecretBox(load_keyring(folder / "secrets", {}))
    relay = RelayContext(db=db, secrets=secrets, meter=meter, settings=settings.gateway)
    await relay.start()
    wish = ChannelWish(name="bench", base_url=base_url, models=[MODEL], max_concurrent=SLOTS)
    await relay.channels.create(SystemScope(SystemReason.COMMAND_LINE), wish, None)
    await relay.load()
    samples = await FileOnDisk.open(file)
    job = Standalone(
        db=db,
        samples=samples,
        calls=relay.relay,
        task_types=load_types(),
        settings=DatagenSettings(),
        user_id=0,
    )
    request = StartRequest(
        file_id=1,
        task_type=TASK_TYPE,
        model=MODEL,
        min_score=0,
        variants_per_sample=VARIANTS,
        data_rounds=1,
        max_concurrent=SLOTS,
        evaluator_model="none",
        max_retries=0,
    )
    await job.prepare(request, "en")
    began, before = time.perf_counter(), spent_s()
    await job.run(asyncio.Event())
    wall, cpu = time.perf_counter() - began, spent_s() - before
    state = await job.state()
    samples.close()
    await relay.close()
    await meter.close()
    await db.close()
    return {"wall_s": wall, "cpu_s": cpu, "rows": state.current, "accepted": state.accepted, "failed": state.failed}


async def bare(base_url: str) -> dict[str, Any]:
    """Send the same prompts and read the answers."""
    task_type = load_types()[TASK_TYPE]
    wanted = plan(task_type=TASK_TYPE, samples=SAMPLES, rounds=1, variants=VARIANTS)
    quotas = Quotas(wanted)
    form = response_format(task_type)
    numbers = itertools.count()
    began, before = time.perf_counter(), spent_s()

    async def work(session: aiohttp.ClientSession) -> None:
        while (number := next(numbers)) < ROWS:
            item = item_of(wanted, number)
            one = draw(wanted, quotas, item, 0)
            body = {
                "model": MODEL,
                "messages": generation_messages(task_type, "en", one, sample(item.sample)),
                "temperature": one.temperature,
                "seed": one.seed,
                "max_tokens": task_type.max_tokens,
                "response_format": form,
            }
            async with session.post(f"{base_url}/chat/completions", json=body) as answer:
                json.loads((await answer.json())["choices"][0]["message"]["content"])

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=SLOTS)) as session:
        await asyncio.gather(*(work(session) for _ in range(SLOTS)))
    return {"wall_s": time.perf_counter() - began, "cpu_s": spent_s() - before, "rows": ROWS}


def main(side: str, base_url: str) -> None:
    """Run one side and print what it took."""
    with tempfile.TemporaryDirectory(prefix="tidemill-bench-") as folder:
        work = ours(base_url, Path(folder)) if side == "ours" else bare(base_url)
        print(json.dumps(uvloop.run(work)))


if __name__ == "__main__":
    main(*sys.argv[1:])
