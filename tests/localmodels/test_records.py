"""Records of running processes: orphans are ended, and another program may share a server's instances."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import msgspec
import psutil

from tests.localmodels.conftest import Mill, chat, is_alive, until_status
from tidemill.localmodels.facade import LocalModels
from tidemill.localmodels.records import Record, Records, started_at


def record_of(process: subprocess.Popen[bytes], *, owner_pid: int, owner_started: float, started: float) -> Record:
    return Record(
        pid=process.pid,
        started=started,
        owner_pid=owner_pid,
        owner_started=owner_started,
        name="one",
        port=1,
        api_key="k",
        slots=1,
        context=1,
        ready=True,
    )


def sleeper() -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)", "one"], start_new_session=True)


def ended_pid() -> int:
    done = subprocess.Popen([sys.executable, "-c", ""])
    done.wait()
    return done.pid


def test_an_orphan_of_a_dead_owner_is_ended(tmp_path: Path) -> None:
    records, orphan = Records(tmp_path), sleeper()
    records.write(record_of(orphan, owner_pid=ended_pid(), owner_started=1.0, started=started_at(orphan.pid)))
    assert [one.pid for one in records.reap()] == [orphan.pid]
    orphan.wait(5)  # psutil has collected its exit code, so only the fact is left
    assert not psutil.pid_exists(orphan.pid)
    assert list(tmp_path.iterdir()) == []


def test_a_process_that_only_has_the_same_number_is_left_alone(tmp_path: Path) -> None:
    records, other = Records(tmp_path), sleeper()
    try:
        records.write(record_of(other, owner_pid=ended_pid(), owner_started=1.0, started=1.0))
        assert records.reap() == []
        assert other.poll() is None
        assert list(tmp_path.iterdir()) == []
    finally:
        other.kill()
        other.wait()


def test_a_living_owners_process_is_left_alone(tmp_path: Path) -> None:
    records, mine = Records(tmp_path), sleeper()
    try:
        me = os.getpid()
        records.write(record_of(mine, owner_pid=me, owner_started=started_at(me), started=started_at(mine.pid)))
        assert records.reap() == []
        assert mine.poll() is None
        assert len(list(tmp_path.iterdir())) == 1
    finally:
        mine.kill()
        mine.wait()


def test_a_record_nobody_can_read_is_swept_out(tmp_path: Path) -> None:
    (tmp_path / "1.json").write_text("{half")
    assert Records(tmp_path).reap() == []
    assert list(tmp_path.iterdir()) == []


async def test_records_are_for_the_owners_eyes_and_go_with_the_process(mill: Mill) -> None:
    mill.model("one")
    models = await mill.open()
    await models.start("one", wait=True)
    folder = mill.data_dir / "run" / "local-models"
    (record,) = folder.iterdir()
    assert record.stat().st_mode & 0o077 == 0
    await models.stop("one", wait=True)
    assert list(folder.iterdir()) == []


def seen_from_elsewhere(mill: Mill, owner: subprocess.Popen[bytes]) -> None:
    """Rewrite the records as if another living process ran the instances."""
    for path in (mill.data_dir / "run" / "local-models").glob("*.json"):
        record = msgspec.json.decode(path.read_bytes(), type=Record)
        # In place: whoever locks the file keeps its lock.
        path.write_bytes(
            msgspec.json.encode(
                msgspec.structs.replace(record, owner_pid=owner.pid, owner_started=started_at(owner.pid))
            )
        )


async def test_another_program_borrows_and_the_server_does_not_unload_meanwhile(mill: Mill) -> None:
    mill.model("one")
    server = await mill.open(idle_timeout_s=0.3)
    await chat(server, "one")
    owner = sleeper()
    try:
        seen_from_elsewhere(mill, owner)
        guest = await mill.open(borrow=True)
        async with guest.lease("one") as service:
            assert service.port == server.get("one").port
            await asyncio.sleep(0.8)  # longer than the idle time: what must not happen has no event to wait for
            assert server.get("one").status == "running"
        await until_status(server, "one", "available")
    finally:
        owner.kill()
        owner.wait()
    assert len(mill.starts("one")) == 1


async def test_without_a_running_instance_the_guest_starts_its_own_on_a_free_port(mill: Mill) -> None:
    mill.model("one")
    settings = mill.settings()
    guest: LocalModels = await mill.open(borrow=True, settings=settings)
    async with guest.lease("one") as service:
        assert not settings.local_models.port_min <= service.port <= settings.local_models.port_max
    await guest.shut_down()
    assert not is_alive(service.pid)


async def test_a_survey_shows_what_another_process_runs(mill: Mill) -> None:
    mill.model("one")
    mill.model("two")
    server = await mill.open()
    running = await server.start("one", wait=True)
    owner = sleeper()
    try:
        seen_from_elsewhere(mill, owner)
        one, two = await LocalModels(mill.settings()).survey()
        assert (one.status, one.port, one.pid) == ("running", running.port, running.pid)
        assert (two.status, two.port) == ("available", None)
    finally:
        owner.kill()
        owner.wait()
