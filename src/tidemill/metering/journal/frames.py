"""The journal's format: an eight-byte head, then frames of length, CRC-32 and payload.

A frame is whole or it is not there: a reader of a file that was cut anywhere gets exactly the frames written whole
before the cut.
"""

import struct
import zlib

from msgspec import Struct

HEAD = b"TMUJ0001"
MAX_PAYLOAD_BYTES = 1024 * 1024

_FRAME = struct.Struct(">II")
FRAME_HEAD_BYTES = _FRAME.size


class Scan(Struct, frozen=True):
    """What a piece of a journal holds.

    ``used``: bytes up to the end of the last whole frame. ``damaged``: frames whose checksum failed (skipped).
    ``broken``: a length that no frame can have was met, nothing after it can be read.
    """

    payloads: list[bytes]
    used: int
    damaged: int = 0
    broken: bool = False


def frame(payload: bytes) -> bytes:
    """Return ``payload`` framed; raises ValueError when it is empty or over ``MAX_PAYLOAD_BYTES``."""
    if not 0 < len(payload) <= MAX_PAYLOAD_BYTES:
        raise ValueError(f"a journal entry holds 1 to {MAX_PAYLOAD_BYTES} bytes, not {len(payload)}")
    return _FRAME.pack(len(payload), zlib.crc32(payload)) + payload


def scan(data: bytes) -> Scan:
    """Read every whole frame of ``data``, which begins at a frame's start."""
    payloads: list[bytes] = []
    position = 0
    damaged = 0
    while position + FRAME_HEAD_BYTES <= len(data):
        length, checksum = _FRAME.unpack_from(data, position)
        if not 0 < length <= MAX_PAYLOAD_BYTES:
            return Scan(payloads, position, damaged, broken=True)
        start = position + FRAME_HEAD_BYTES
        end = start + length
        if end > len(data):
            break
        payload = data[start:end]
        if zlib.crc32(payload) == checksum:
            payloads.append(payload)
        else:
            damaged += 1
        position = end
    return Scan(payloads, position, damaged)
