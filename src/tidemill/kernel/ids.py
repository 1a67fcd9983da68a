"""Identifiers: time-ordered UUIDs for rows and requests, short random tails for names people read."""

import os
import secrets
import time


def uuid7() -> str:
    """Return a version 7 UUID (RFC 9562 §5.7): 48 bits of milliseconds, then 74 random bits."""
    milliseconds = time.time_ns() // 1_000_000
    tail = int.from_bytes(os.urandom(10), "big")
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
