"""Identifiers sort in the order in which they were made."""

import os
import time
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest

from tidemill.kernel.ids import uuid7

MANY = 20_000


def test_ids_of_one_process_sort_as_they_were_made() -> None:
    made = [uuid7() for _ in range(MANY)]
    assert made == sorted(made)
    assert len(set(made)) == MANY


def test_a_clock_that_goes_back_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    before = uuid7()
    monkeypatch.setattr(time, "time_ns", lambda: 1)
    assert uuid7() > before


def test_threads_share_the_order() -> None:
    def thousand(_number: int) -> list[str]:
        return [uuid7() for _ in range(1000)]

    with ThreadPoolExecutor(4) as pool:
        made = [one for part in pool.map(thousand, range(8)) for one in part]
    assert len(set(made)) == len(made)


def test_it_is_a_version_7_uuid_of_now() -> None:
    made = uuid.UUID(uuid7())
    assert (made.version, made.variant) == (7, uuid.RFC_4122)
    assert abs((made.int >> 80) / 1000 - time.time()) < 5


def test_a_forked_child_draws_its_own() -> None:
    uuid7()  # there is a stock now, which the child must not go on with
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writing, uuid7().encode())
        os._exit(0)
    ours = uuid7()
    os.waitpid(child, 0)
    os.close(writing)
    theirs = os.read(reading, 36).decode()
    os.close(reading)
    assert len(theirs) == len(ours) == 36
    assert theirs[-12:] != ours[-12:]
