"""Identifiers: time-ordered UUIDs for rows and requests, short random tails for names people read."""

import os
import secrets
import threading
import time

_RANDOM_BITS = 74
_STEP_BITS = 32
_last = 0
_turn = threading.Lock()


def uuid7() -> str:
    """Return a version 7 UUID (RFC 9562 §5.7): 48 bits of milliseconds, then 74 random bits.

    Each one sorts after those that this process made before, also within a millisecond and when the clock goes back:
    it is then the one before plus a random step.
    """
    global _last  # noqa: PLW0603 - the last one given is this module's whole state
    drawn = int.from_bytes(os.urandom(10), "big")
    number = (time.time_ns() // 1_000_000) << _RANDOM_BITS | drawn >> (80 - _RANDOM_BITS)
    with _turn:
        if number <= _last:
            number = _last + 1 + (drawn & ((1 << _STEP_BITS) - 1))
        _last = number
    milliseconds, tail = number >> _RANDOM_BITS, number & ((1 << _RANDOM_BITS) - 1)
    value = (milliseconds & ((1 << 48) - 1)) << 80
    value |= 0x7 << 76
    value |= ((tail >> 62) & 0xFFF) << 64
    value |= 0b10 << 62
    value |= tail & ((1 << 62) - 1)
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def short_id(length: int = 4) -> str:
    """Return ``length`` random hexadecimal characters, for names that people read out."""
    return secrets.token_hex((length + 1) // 2)[:length]
