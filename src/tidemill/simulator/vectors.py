"""Deterministic unit vectors whose closeness follows shared words and characters."""

import base64
import itertools
import math
import re
import struct
import zlib

_PIECE = re.compile(r"[a-z0-9]+|[\u3400-\u9fff]")


def embed(text: str, dimensions: int) -> list[float]:
    """Return a vector of length 1; texts that share words (en) or character pairs (zh) lie closer together."""
    pieces = _PIECE.findall(text.lower()) or [text]
    values = [0.0] * dimensions
    for piece in [*pieces, *(a + b for a, b in itertools.pairwise(pieces))]:
        hashed = zlib.crc32(piece.encode())
        values[hashed % dimensions] += 1.0 if hashed & 0x80000000 else -1.0
    size = math.sqrt(sum(value * value for value in values))
    if size == 0.0:  # pieces cancelled one another out
        values[zlib.crc32(text.encode()) % dimensions] = size = 1.0
    return [value / size for value in values]


def as_base64(vector: list[float]) -> str:
    """Return the vector as base64 of little-endian float32, as the openai SDK asks for by default."""
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
