"""Background work is owned; logs carry the request and no secret."""

import asyncio
import logging
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from tidemill.platform.tasks import TaskOwner
from tidemill.platform.telemetry import configure_logs, get_logger, request_id, user_id


@pytest.fixture
def log_file(tmp_path: Path) -> Iterator[Path]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    path = tmp_path / "logs" / "tidemill.log"
    configure_logs("info", "json", str(path))
    yield path
    for handler in root.handlers:
        handler.close()
    root.handlers[:] = handlers
    root.setLevel(level)


def lines(path: Path) -> list[dict[str, object]]:
    return [msgspec.json.decode(line) for line in path.read_text("utf-8").splitlines()]


async def test_a_failed_task_is_logged_under_its_name(log_file: Path) -> None:
    async def fail() -> None:
        raise RuntimeError("went wrong")

    owner = TaskOwner()
    task = owner.spawn("the.name", fail())
    await asyncio.wait([task])
    await asyncio.sleep(0)
    (line,) = lines(log_file)
    assert (line["event"], line["task"], line["level"]) == ("task.failed", "the.name", "error")
    assert "went wrong" in str(line["exception"])
    assert len(owner) == 0


async def test_draining_waits_then_cancels() -> None:
    finished: list[str] = []
    owner = TaskOwner()
    gate = asyncio.Event()

    async def quick() -> None:
        await gate.wait()
        finished.append("quick")

    async def endless() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            finished.append("cancelled")

    owner.spawn("quick", quick())
    owner.spawn("endless", endless())
    await asyncio.sleep(0)
    gate.set()
    await owner.drain(0.05)
    assert finished == ["quick", "cancelled"]
    assert len(owner) == 0


def test_lines_carry_request_and_user_and_mask_secrets(log_file: Path) -> None:
    log = get_logger("test")
    context = request_id.set("r-1"), user_id.set(5)
    try:
        log.info(
            "thing.done",
            password="hunter2hunter2",
            url="https://x?key=sk-tm-abcdefghijklmnop",
            authorization="Bearer abc",
            n=3,
        )
    finally:
        request_id.reset(context[0])
        user_id.reset(context[1])
    log.debug("not.shown")
    (line,) = lines(log_file)
    assert (line["request_id"], line["user_id"], line["n"], line["event"]) == ("r-1", 5, 3, "thing.done")
    text = log_file.read_text()
    assert "hunter2" not in text
    assert "abcdefghijklmnop" not in text
    assert "Bearer abc" not in text
    assert str(line["ts"]).endswith("Z")
