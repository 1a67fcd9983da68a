"""The one source of time, so that tests can move it.

Everything that asks for the time asks here; nothing calls ``datetime.now`` or ``time.monotonic`` itself.
"""

import time
from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

_shift = timedelta()
_shift_s = 0.0


def now() -> datetime:
    """Return the current time, aware and in UTC."""
    return datetime.now(UTC) + _shift


def monotonic() -> float:
    """Return seconds of a clock that never goes back; only differences mean anything."""
    return time.monotonic() + _shift_s


def unix_s() -> float:
    """Return the current time in seconds since 1970, for what is compared or kept as a number."""
    return time.time() + _shift_s


def shift() -> timedelta:
    """Return by how much the clocks are moved: not at all outside tests."""
    return _shift


@contextmanager
def shifted(seconds: float) -> Generator[None]:
    """Move both clocks by ``seconds`` inside the block (for tests of expiry and back-off)."""
    before = _shift
    _move(before + timedelta(seconds=seconds))
    try:
        yield
    finally:
        _move(before)


def _move(by: timedelta) -> None:
    global _shift, _shift_s
    _shift, _shift_s = by, by.total_seconds()
