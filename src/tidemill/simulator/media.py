"""Look at what came with a request, and make small real files to answer with: PNG, WAV, MP3."""

import math
import struct
import zlib

from tidemill.simulator.ask import Media

_PNG = b"\x89PNG\r\n\x1a\n"
_RATE_HZ = 8000
# MPEG-1 layer III, 32 kbit/s, 32 kHz, mono, no CRC: 144 bytes, 36 ms. All-zero side information decodes to silence.
_MP3_FRAME = b"\xff\xfb\x18\xc4" + bytes(140)
_MP3_FRAME_S = 1152 / 32000
_QUOTED_CHARS = 60


def describe(media: Media) -> str:
    """Name a file by type, size, dimensions and checksum, so that a test sees that its bytes arrived unchanged."""
    if media.url and not media.data:
        return f"{media.kind} at {media.url}"
    facts = [media.media_type or "unknown type"]
    if size := image_size(media.data):
        facts.append(f"{size[0]}x{size[1]}")
    facts += [f"{len(media.data)} bytes", f"crc {zlib.crc32(media.data):08x}"]
    if media.media_type.startswith("text/"):
        facts.append(" ".join(media.data.decode("utf-8", "replace").split())[:_QUOTED_CHARS])
    return f"{media.kind} ({', '.join(facts)})"


def image_size(data: bytes) -> tuple[int, int] | None:
    """Return width and height of a PNG or GIF, None for anything else."""
    if data.startswith(_PNG) and len(data) >= 24:  # noqa: PLR2004 - signature, length, IHDR, width, height
        return struct.unpack(">II", data[16:24])
    if data[:4] == b"GIF8" and len(data) >= 10:  # noqa: PLR2004 - signature, width, height
        return struct.unpack("<HH", data[6:10])
    return None


def png(text: str, side: int = 8) -> bytes:
    """Return a PNG of one colour that depends on ``text``, ``side`` pixels wide and high."""
    colour = zlib.crc32(text.encode()).to_bytes(4, "big")[:3]
    rows = (b"\0" + colour * side) * side
    head = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", head), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return _PNG + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )


def pcm(text: str) -> bytes:
    """Return 16-bit mono samples: a tone whose pitch depends on ``text``, 20 ms a character, 0.1 s to 2 s long."""
    seconds = min(max(0.02 * len(text), 0.1), 2.0)
    pitch_hz = 220 + zlib.crc32(text.encode()) % 440
    count = int(seconds * _RATE_HZ)
    wave = (int(8000 * math.sin(2 * math.pi * pitch_hz * at / _RATE_HZ)) for at in range(count))
    return struct.pack(f"<{count}h", *wave)


def wav(text: str) -> bytes:
    """Return the samples of ``pcm`` as a WAV file."""
    samples = pcm(text)
    form = struct.pack("<HHIIHH", 1, 1, _RATE_HZ, _RATE_HZ * 2, 2, 16)
    return b"RIFF%bWAVEfmt %b%bdata%b%b" % (
        struct.pack("<I", 36 + len(samples)),
        struct.pack("<I", len(form)),
        form,
        struct.pack("<I", len(samples)),
        samples,
    )


def mp3(text: str) -> bytes:
    """Return silence as MP3, as long as ``pcm`` would be."""
    return _MP3_FRAME * math.ceil(min(max(0.02 * len(text), 0.1), 2.0) / _MP3_FRAME_S)


def sound_seconds(data: bytes) -> float:
    """Return how long a WAV file plays; other sounds are taken for 16 kbyte a second."""
    if data[:4] == b"RIFF" and len(data) >= 44:  # noqa: PLR2004 - the smallest WAV head
        rate = int.from_bytes(data[28:32], "little")
        return round((len(data) - 44) / rate, 3) if rate else 0.0
    return round(len(data) / 16000, 3)
