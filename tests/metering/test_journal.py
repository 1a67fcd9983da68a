"""The journal's format: whatever was cut off, what was written whole is read whole, and nothing else."""

import errno
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.metering.journal import writer as writer_module
from tidemill.metering.journal.frames import FRAME_HEAD_BYTES, HEAD, MAX_PAYLOAD_BYTES, frame, scan
from tidemill.metering.journal.segments import START, left_over, read_from, segments, taken_over
from tidemill.metering.journal.writer import JournalWriter


def takes_none(file: int, data: bytes) -> int:
    """Stand in for ``os.write`` on a full disk."""
    raise OSError(errno.ENOSPC, f"no space left for {len(data)} bytes in {file}")


payloads = st.lists(st.binary(min_size=1, max_size=300), max_size=20)


@given(payloads, st.data())
def test_a_cut_anywhere_leaves_exactly_the_frames_before_it(entries: list[bytes], data: st.DataObject) -> None:
    whole = b"".join(map(frame, entries))
    cut = data.draw(st.integers(0, len(whole)))
    found = scan(whole[:cut])
    ends: list[int] = []
    for entry in entries:
        ends.append((ends[-1] if ends else 0) + FRAME_HEAD_BYTES + len(entry))
    count = sum(end <= cut for end in ends)
    assert found.payloads == entries[:count]
    assert found.used == (ends[count - 1] if count else 0)
    assert (found.damaged, found.broken) == (0, False)


@given(payloads.filter(bool), st.data())
def test_reading_in_any_number_of_sittings_gives_every_entry_once(entries: list[bytes], data: st.DataObject) -> None:
    whole = b"".join(map(frame, entries))
    read: list[bytes] = []
    position = 0
    for end in [*sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=6))), len(whole)]:
        found = scan(whole[position : max(end, position)])
        read += found.payloads
        position += found.used
    assert read == entries


@given(st.binary(min_size=1, max_size=100), st.binary(min_size=1, max_size=100), st.data())
def test_a_flipped_bit_costs_one_entry(first: bytes, second: bytes, data: st.DataObject) -> None:
    whole = bytearray(frame(first) + frame(second))
    position = data.draw(st.integers(FRAME_HEAD_BYTES, FRAME_HEAD_BYTES + len(first) - 1))
    whole[position] ^= 1 << data.draw(st.integers(0, 7))
    found = scan(bytes(whole))
    assert found.payloads == [second]
    assert found.damaged == 1


def test_zeros_after_a_power_cut_end_the_file() -> None:
    found = scan(frame(b"a") + bytes(64))
    assert found.payloads == [b"a"]
    assert found.broken


@pytest.mark.parametrize("payload", [b"", bytes(MAX_PAYLOAD_BYTES + 1)])
def test_an_entry_that_no_reader_would_take_is_not_written(payload: bytes) -> None:
    with pytest.raises(ValueError, match="journal entry"):
        frame(payload)


def test_a_writer_holds_its_file_until_it_ends(tmp_path: Path) -> None:
    writer = JournalWriter(tmp_path)
    writer.append(b"one")
    with taken_over(writer.path) as ours:
        assert not ours
    writer.close()
    with taken_over(writer.path) as ours:
        assert ours
    assert read_from(writer.path, START).payloads == [b"one"]


def test_a_large_file_is_read_in_parts_and_a_large_entry_in_one(tmp_path: Path) -> None:
    writer = JournalWriter(tmp_path)
    entries = [bytes([65 + number]) * 200_000 for number in range(5)] + [b"z" * MAX_PAYLOAD_BYTES]
    for entry in entries:
        writer.append(entry)
    read: list[bytes] = []
    offset = START
    while (found := read_from(writer.path, offset)).used:
        read += found.payloads
        offset += found.used
    assert read == entries
    assert left_over(writer.path, offset) == 0
    writer.close()


def test_a_full_file_gives_way_to_a_new_one(tmp_path: Path) -> None:
    writer = JournalWriter(tmp_path, max_segment_bytes=64)
    for number in range(6):
        writer.append(b"entry %d" % number)
    writer.close()
    files = segments(tmp_path)
    assert len(files) > 1
    assert [entry for file in files for entry in read_from(file, START).payloads] == [
        b"entry %d" % number for number in range(6)
    ]


def test_a_full_disk_loses_nothing_and_leaves_no_torn_frame(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = JournalWriter(tmp_path)
    writer.append(b"before")
    real = os.write

    def takes_half(file: int, data: bytes) -> int:
        return real(file, data[: len(data) // 2])

    for broken in (takes_half, takes_none):
        monkeypatch.setattr(writer_module.os, "write", broken)
        writer.append(b"during")
    assert writer.held == 2
    assert read_from(writer.path, START).payloads == [b"before"]
    assert left_over(writer.path, START + FRAME_HEAD_BYTES + len(b"before")) == 0
    monkeypatch.setattr(writer_module.os, "write", real)
    writer.append(b"after")
    assert writer.held == 0
    assert read_from(writer.path, START).payloads == [b"before", b"during", b"during", b"after"]
    writer.close()


def test_memory_is_bounded_while_the_disk_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = JournalWriter(tmp_path)
    real = os.write

    monkeypatch.setattr(writer_module, "MAX_HELD", 3)
    monkeypatch.setattr(writer_module.os, "write", takes_none)
    for number in range(5):
        writer.append(b"%d" % number)
    assert (writer.held, writer.lost) == (3, 2)
    monkeypatch.setattr(writer_module.os, "write", real)
    assert writer.flush()
    assert read_from(writer.path, START).payloads == [b"2", b"3", b"4"]
    writer.close()


def test_a_foreign_file_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "x.usage"
    path.write_bytes(b"something else" + frame(b"a"))
    assert read_from(path, START).broken
    path.write_bytes(HEAD[:3])
    assert read_from(path, START).payloads == []
