"""Identifiers: time-ordered UUIDs for rows and requests, short random tails for names people read."""

import os
import secrets
import threading
import time

_RANDOM_BITS = 74
_STEP_BITS = 32
_TAIL, _LOW, _VARIANT = (1 << _RANDOM_BITS) - 1, (1 << 62) - 1, 0b10 << 62
_DRAWN_BYTES = 10
# Asking the system for ten bytes costs more than the rest of an identifier; so it is asked for many at once.
_STOCK_BYTES = 256 * _DRAWN_BYTES
_last = 0
_stock, _used = b"", 0
_turn = threading.Lock()


def _forget() -> None:
    """Let a forked child draw its own: two processes must not use one stock."""
    global _stock, _used, _turn  # noqa: PLW0603 - the stock is this module's state
    _stock, _used = b"", 0
    _turn = threading.Lock()  # its holder may be a thread that the child does not have


os.register_at_fork(after_in_child=_forget)


def uuid7() -> str:
    """Return a version 7 UUID (RFC 9562 §5.7): 48 bits of milliseconds, then 74 random bits.

    Each one sorts after those that this process made before, also within a millisecond and when the clock goes back:
    it is then the one before plus a random step.
    """
    global _last, _stock, _used  # noqa: PLW0603 - the stock and the last one given are this module's whole state
    with _turn:
        if _used >= len(_stock):
            _stock, _used = os.urandom(_STOCK_BYTES), 0
        drawn = int.from_bytes(_stock[_used : _used + _DRAWN_BYTES], "big")
        _used += _DRAWN_BYTES
        number = (time.time_ns() // 1_000_000) << _RANDOM_BITS | drawn >> (80 - _RANDOM_BITS)
        if number <= _last:
            number = _last + 1 + (drawn & ((1 << _STEP_BITS) - 1))
        _last = number
    milliseconds, tail = number >> _RANDOM_BITS, number & _TAIL
    high, low = tail >> 62, _VARIANT | tail & _LOW
    return (
        f"{(milliseconds >> 16) & 0xFFFFFFFF:08x}-{milliseconds & 0xFFFF:04x}-7{high:03x}-"
        f"{low >> 48:04x}-{low & 0xFFFFFFFFFFFF:012x}"
    )


def short_id(length: int = 4) -> str:
    """Return ``length`` random hexadecimal characters, for names that people read out."""
    return secrets.token_hex((length + 1) // 2)[:length]
