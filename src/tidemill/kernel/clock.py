"""The one source of time, so that tests can move it.

Everything that asks for the time asks here; nothing calls ``datetime.now`` or ``time.monotonic`` itself.
"""

import time
from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

_shift = timedelta()


def now() -> datetime:
    """Return the current time, aware and in UTC."""
    return datetime.now(UTC) + _shift


def monotonic() -> float:
    """Return seconds of a clock that never goes back; only differences mean anything."""
    return time.monotonic() + _shift.total_seconds()


def shift() -> timedelta:
    """Return by how much the clocks are moved: not at all outside tests."""
    return _shift


@contextmanager
def shifted(seconds: float) -> Generator[None]:
    """Move both clocks by ``seconds`` inside the block (for tests of expiry and back-off)."""
    global _shift  # noqa: PLW0603 - the shift is this module's whole state
    before = _shift
    _shift = before + timedelta(seconds=seconds)
    try:
        yield
    finally:
        _shift = before
