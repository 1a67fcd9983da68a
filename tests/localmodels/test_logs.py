"""The log of a model: a ring and a file."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tidemill.localmodels.logs import ModelLog


@pytest.fixture
def log(tmp_path: Path) -> Iterator[ModelLog]:
    made = ModelLog("one", tmp_path, 1_000_000)
    yield made
    made.close()


def test_the_tail_goes_on_where_the_last_ended(log: ModelLog) -> None:
    for number in range(5):
        log.add(f"line {number}")
    first = log.tail(2)
    assert (first.lines, first.next) == (["line 3", "line 4"], 5)
    assert log.tail(100, first.next).lines == []
    log.add("line 5")
    assert log.tail(100, first.next).lines == ["line 5"]


def test_the_ring_is_bounded_and_the_numbers_go_on(log: ModelLog) -> None:
    for number in range(2500):
        log.add(str(number))
    page = log.tail(5000)
    assert (len(page.lines), page.lines[0], page.next) == (2000, "500", 2500)
    assert log.tail(5000, after=10).lines == page.lines


def test_the_file_rotates(tmp_path: Path) -> None:
    log = ModelLog("one", tmp_path, 100)
    for number in range(60):
        log.add(f"a line of some length {number}")
    log.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one.log", "one.log.1", "one.log.2"]
    assert all(path.stat().st_size < 200 for path in tmp_path.iterdir())
    assert (tmp_path / "one.log").read_text().endswith("length 59\n")


def test_a_file_that_cannot_be_written_costs_no_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way of the folder")
    log = ModelLog("one", tmp_path / "file", 100)
    log.add("kept")
    log.add("and kept")
    first, complaint, second = log.tail(10).lines
    assert (first, second) == ("kept", "and kept")
    assert "cannot be written" in complaint


def test_an_endless_line_is_cut(log: ModelLog) -> None:
    log.add("x" * 10_000)
    assert len(log.last(1)[0]) == 4000
