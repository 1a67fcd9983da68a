"""An answer as it is kept: the client's own bytes in the pieces they are sent in, and what it took to make them."""

import zlib
from collections.abc import Sequence

import msgspec
from msgspec import Struct

from tidemill.wire.tokens import TokenCounts

_COMPRESSED_FROM = 4 * 1024
_PLAIN, _DEFLATED = b"\x00", b"\x01"
_LEVEL = 1
# Pieces are whole events; small ones travel together.
_PIECE_BYTES = 4 * 1024
# What stands for the longest piece, decompressed: nothing larger was ever put in.
_MAX_BYTES = 256 * 1024 * 1024


class Kept(Struct, frozen=True, array_like=True):
    """One whole answer. ``usage``: the tokens that it took when it was made, as JSON."""

    headers: list[tuple[bytes, bytes]]
    pieces: list[bytes]
    usage: bytes

    @property
    def size(self) -> int:
        """The bytes of the answer."""
        return sum(map(len, self.pieces))


_decoder = msgspec.msgpack.Decoder(Kept)


def in_pieces(parts: Sequence[bytes]) -> list[bytes]:
    """Return what was written, small writes put together; each piece ends where a write ended."""
    pieces: list[bytes] = []
    gathered: list[bytes] = []
    size = 0
    for part in parts:
        gathered.append(part)
        size += len(part)
        if size >= _PIECE_BYTES:
            pieces.append(b"".join(gathered))
            gathered, size = [], 0
    if size:
        pieces.append(b"".join(gathered))
    return pieces


def usage_json(tokens: TokenCounts, raw: bytes | None) -> bytes:
    """Return the service's own usage object, else our count of it."""
    return raw if raw is not None else msgspec.json.encode(tokens)


def pack(kept: Kept) -> bytes:
    """Return an answer as bytes, compressed where that is worth it."""
    return deflated(msgspec.msgpack.encode(kept))


def unpack(data: bytes) -> Kept | None:
    """Return the answer in ``data``; None for what is none, such as one of another version's."""
    inner = inflated(data)
    if inner is None:
        return None
    try:
        return _decoder.decode(inner)
    except msgspec.MsgspecError:
        return None


def deflated(data: bytes) -> bytes:
    """Return ``data`` with a mark before it, compressed when longer than 4 KiB."""
    return _DEFLATED + zlib.compress(data, _LEVEL) if len(data) > _COMPRESSED_FROM else _PLAIN + data


def inflated(data: bytes) -> bytes | None:
    """Undo ``deflated``; None for what did not come from it."""
    if data[:1] == _PLAIN:
        return data[1:]
    if data[:1] != _DEFLATED:
        return None
    opened = zlib.decompressobj()
    try:
        inner = opened.decompress(data[1:], _MAX_BYTES)
    except zlib.error:
        return None
    return inner if opened.eof else None
