"""Small GGUF files made to order."""

import math
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

ALIGNMENT = 32
BASIC: Mapping[str, Any] = {
    "general.architecture": "llama",
    "general.name": "Tiny",
    "general.file_type": 3,
    "llama.context_length": 8192,
    "llama.embedding_length": 576,
    "llama.block_count": 30,
    "llama.attention.head_count": 9,
    "llama.attention.head_count_kv": 3,
    "tokenizer.ggml.tokens": ["a", "b", "c"],
    "tokenizer.ggml.scores": [0.0, 1.0, 2.0],
    "tokenizer.chat_template": "{{ messages }}",
}


def text(value: str) -> bytes:
    data = value.encode()
    return struct.pack("<Q", len(data)) + data


def typed(value: Any) -> bytes:
    """Encode a value with its type number before it."""
    if isinstance(value, bool):
        return struct.pack("<I?", 7, value)
    if isinstance(value, int):
        return struct.pack("<Iq", 11, value)
    if isinstance(value, float):
        return struct.pack("<If", 6, value)
    if isinstance(value, str):
        return struct.pack("<I", 8) + text(value)
    items = cast("list[Any]", value)
    if items and isinstance(items[0], str):
        return struct.pack("<IIQ", 9, 8, len(items)) + b"".join(text(item) for item in items)
    kind, form = (6, "f") if items and isinstance(items[0], float) else (11, "q")
    return struct.pack("<IIQ", 9, kind, len(items)) + struct.pack(f"<{len(items)}{form}", *items)


def encode(
    values: Mapping[str, Any] = BASIC, tensors: Sequence[tuple[str, tuple[int, ...], int]] = (), version: int = 3
) -> bytes:
    """Return a file of ``values`` and of ``tensors`` (name, shape, type: 0 = F32, 8 = Q8_0) filled with zeros."""
    out = b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(values))
    for key, value in values.items():
        out += text(key) + typed(value)
    offset = 0
    for name, shape, kind in tensors:
        out += text(name) + struct.pack("<I", len(shape)) + struct.pack(f"<{len(shape)}Q", *shape)
        out += struct.pack("<IQ", kind, offset)
        size = math.prod(shape) * 4 if kind == 0 else math.prod(shape) // 32 * 34
        offset += math.ceil(size / ALIGNMENT) * ALIGNMENT
    out += b"\0" * (-len(out) % ALIGNMENT)
    return out + b"\0" * offset


def write(path: Path, values: Mapping[str, Any] = BASIC) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode(values, [("blk.0.w", (64, 32), 8)]))
    return path
