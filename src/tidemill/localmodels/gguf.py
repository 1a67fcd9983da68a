"""Read a GGUF header: enough to show a model and to know what it will need, in milliseconds.

Arrays (vocabularies, merges) are stepped over, not built. The file is read in growing windows and not mapped: a file
that shrinks while it is mapped (somebody copies over it) would kill the process with SIGBUS.
Source: the GGUF specification of the ggml project, versions 2 and 3.
"""

import math
import os
import struct
from pathlib import Path
from typing import Final

from msgspec import Struct

from tidemill.localmodels.errors import NotGguf
from tidemill.localmodels.gguf_types import BLOCKS, FILE_TYPES

_FIRST_WINDOW_BYTES: Final = 4 << 20
_MAX_HEADER_BYTES: Final = 64 << 20  # the largest vocabularies and merges seen come to about 20 MB
_MAX_PAIRS: Final = 65_536
_MAX_TENSORS: Final = 1_000_000
_MAX_STRINGS: Final = 8_000_000  # the largest vocabularies hold about 0.3 million tokens and 0.6 million merges
_MAX_KEPT_ARRAY: Final = 1024  # per-layer head counts are worth keeping, vocabularies are not
_MAX_DIMENSIONS: Final = 8
_STRING: Final = 8
_ARRAY: Final = 9
_SCALARS: Final = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d"}
_U32: Final = struct.Struct("<I")
_U64: Final = struct.Struct("<Q")

Scalar = int | float | bool | str
Value = Scalar | list[int | float | bool] | None


class GgufFacts(Struct, frozen=True, kw_only=True):
    """What a header says about its model.

    ``context`` is the length the model was trained for, in tokens (0 unknown); ``kv_values_per_token`` counts the
    numbers that one token adds to the key-value cache over all layers; ``needed_bytes`` is the least length of a whole
    file (0 where a tensor type is unknown to us).
    """

    name: str
    architecture: str
    quantization: str
    context: int
    parameters: int
    layers: int
    embedding_length: int
    kv_values_per_token: int
    chat_template: bool
    pooling: bool
    needed_bytes: int


class _NeedMore(Exception):
    """The window ended inside the header."""


class _Cursor:
    """Reads little-endian values from one window of the file."""

    def __init__(self, window: bytes) -> None:
        self._window = window
        self.at = 0

    def u32(self) -> int:
        return int(self._scalar(_U32))

    def u64(self) -> int:
        return int(self._scalar(_U64))

    def _scalar(self, form: struct.Struct) -> Scalar:
        end = self.at + form.size
        if end > len(self._window):
            raise _NeedMore
        (value,) = form.unpack_from(self._window, self.at)
        self.at = end
        return value

    def skip(self, count: int) -> None:
        self.at += count
        if self.at > len(self._window):
            raise _NeedMore

    def text(self) -> str:
        length = self.u64()
        start = self.at
        self.skip(length)
        return self._window[start : self.at].decode("utf-8", "replace")

    def skip_strings(self, count: int) -> None:
        window, at, limit, unpack = self._window, self.at, len(self._window) - 8, _U64.unpack_from
        for _ in range(count):
            if at > limit:
                raise _NeedMore
            at += 8 + unpack(window, at)[0]
        self.at = at
        self.skip(0)

    def value(self, kind: int) -> Value:
        if kind == _STRING:
            return self.text()
        if kind == _ARRAY:
            return self._array()
        form = _SCALARS.get(kind)
        if form is None:
            raise NotGguf(reason=f"value type {kind} is unknown")
        return self._scalar(struct.Struct(form))

    def _array(self) -> Value:
        kind, count = self.u32(), self.u64()
        if kind == _STRING:
            if count > _MAX_STRINGS:
                raise NotGguf(reason=f"an array of {count} strings")
            self.skip_strings(count)
            return None
        form = _SCALARS.get(kind)
        if form is None:  # nested arrays are in the specification's grammar; no model was ever seen to use them
            raise NotGguf(reason=f"array element type {kind} is unknown")
        size = struct.calcsize(form)
        start = self.at
        self.skip(size * count)
        if count > _MAX_KEPT_ARRAY:
            return None
        return list(struct.unpack_from(f"<{count}{form[1]}", self._window, start))


def read_facts(path: Path) -> GgufFacts:
    """Read the header of ``path``.

    Raises NotGguf with a reason when the file is something else, cut short or not plausible; OSError passes through.
    Takes 20 to 300 ms for real vocabularies: call it off the loop.
    """
    try:
        size = path.stat().st_size
        with path.open("rb", buffering=0) as file:
            window = b""
            wanted = _FIRST_WINDOW_BYTES
            while True:
                window += _read_exactly(file.fileno(), wanted - len(window))
                try:
                    facts = _parse(_Cursor(window))
                except _NeedMore:
                    if len(window) >= size or len(window) < wanted:
                        raise NotGguf(reason="the header is cut short") from None
                    if wanted >= _MAX_HEADER_BYTES:
                        raise NotGguf(reason="the header is not plausible") from None
                    wanted *= 4
                    continue
                break
    except NotGguf as problem:
        raise NotGguf(name=path.name, reason=problem.values["reason"]) from None
    if size < facts.needed_bytes:
        raise NotGguf(name=path.name, reason=f"{size} of {facts.needed_bytes} bytes are here")
    return facts


def _read_exactly(descriptor: int, count: int) -> bytes:
    parts: list[bytes] = []
    while count > 0:
        part = os.read(descriptor, count)
        if not part:
            break
        parts.append(part)
        count -= len(part)
    return b"".join(parts)


def _parse(cursor: _Cursor) -> GgufFacts:
    if cursor.u32() != 0x46554747:  # noqa: PLR2004 - "GGUF" read as a little-endian number
        raise NotGguf(reason="it does not begin with GGUF")
    version = cursor.u32()
    if version not in {2, 3}:
        kind = "big-endian" if version in {2 << 24, 3 << 24} else f"version {version}"
        raise NotGguf(reason=f"{kind} files are not supported")
    tensors, pairs = cursor.u64(), cursor.u64()
    if tensors > _MAX_TENSORS or pairs > _MAX_PAIRS:
        raise NotGguf(reason="the header is not plausible")
    values: dict[str, Value] = {}
    for _ in range(pairs):
        key = cursor.text()
        value = cursor.value(cursor.u32())
        if not key.startswith("tokenizer.") or key == "tokenizer.chat_template":
            values[key] = value
    parameters, largest_type, data_end = _tensors(cursor, tensors)
    alignment = _whole(values.get("general.alignment")) or 32
    needed = math.ceil(cursor.at / alignment) * alignment + data_end if data_end else 0
    return _facts(values, parameters, largest_type, needed)


def _tensors(cursor: _Cursor, count: int) -> tuple[int, str, int]:
    """Return the parameter count, the type that holds most of them, and where the last tensor ends (0 unknown)."""
    parameters, end, known = 0, 0, True
    by_type: dict[int, int] = {}
    for _ in range(count):
        cursor.text()
        dimensions = cursor.u32()
        if dimensions > _MAX_DIMENSIONS:
            raise NotGguf(reason=f"a tensor of {dimensions} dimensions")
        elements = math.prod(cursor.u64() for _ in range(dimensions))
        kind, offset = cursor.u32(), cursor.u64()
        parameters += elements
        by_type[kind] = by_type.get(kind, 0) + elements
        block = BLOCKS.get(kind)
        if block is None:
            known = False
        else:
            end = max(end, offset + elements // block.elements * block.bytes)
    largest = max(by_type, key=lambda kind: by_type[kind], default=-1)
    return parameters, BLOCKS[largest].name if largest in BLOCKS else "", end if known else 0


def _facts(values: dict[str, Value], parameters: int, largest_type: str, needed: int) -> GgufFacts:
    architecture = values.get("general.architecture")
    if not isinstance(architecture, str) or not architecture:
        raise NotGguf(reason="general.architecture is missing")

    def fact(key: str) -> Value:
        return values.get(f"{architecture}.{key}")

    layers = _whole(fact("block_count"))
    embedding_length = _whole(fact("embedding_length"))
    heads = _per_layer(fact("attention.head_count"), layers)
    kv_heads = _per_layer(fact("attention.head_count_kv"), layers) or heads
    head_length = embedding_length // max(heads, default=0) if any(heads) else 0
    key_length = _whole(fact("attention.key_length")) or head_length
    value_length = _whole(fact("attention.value_length")) or head_length
    name = values.get("general.name")
    file_type = _whole(values.get("general.file_type"), absent=-1)
    return GgufFacts(
        name=name if isinstance(name, str) else "",
        architecture=architecture,
        quantization=FILE_TYPES.get(file_type, largest_type),
        context=_whole(fact("context_length")),
        parameters=parameters,
        layers=layers,
        embedding_length=embedding_length,
        kv_values_per_token=sum(kv_heads) * (key_length + value_length),
        chat_template=bool(values.get("tokenizer.chat_template")),
        pooling=fact("pooling_type") is not None,
        needed_bytes=needed,
    )


def _whole(value: Value, absent: int = 0) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else absent


def _per_layer(value: Value, layers: int) -> list[int]:
    """Head counts come as one number for all layers or as one per layer."""
    if isinstance(value, list):
        return [_whole(item) for item in value]
    return [_whole(value)] * min(layers, _MAX_KEPT_ARRAY) if value is not None else []
