"""Physical lines of a text file in any encoding, as UTF-8 bytes, never more than one in memory.

A line past the limit is reported and skipped to its end, so a file without any line break costs no memory.
"""

import io
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import NamedTuple

from tidemill.datagen.samples.encoding import TextForm

MAX_LINE_BYTES = 1 << 20
_HEAD_BYTES = 1 << 16


class Line(NamedTuple):
    """One physical line as UTF-8, line end included; ``fault`` names why ``data`` is not usable."""

    number: int
    data: bytes
    fault: str | None = None


def read_lines(path: Path, form: TextForm, max_line_bytes: int = MAX_LINE_BYTES) -> Generator[Line]:
    """Yield the lines of the file at ``path``, numbered from 1; CR, LF and CRLF all end a line.

    CRLF stays as it is inside the data (CSV keeps it in quoted fields); a lone CR ends lines only in a file whose
    first 64 KB hold no LF at all.
    """
    lines = _wide(path, form, max_line_bytes) if _needs_decoding(path, form) else _utf8(path, form, max_line_bytes)
    for number, (data, fault) in enumerate(lines, 1):
        yield Line(number, data, fault)


def _needs_decoding(path: Path, form: TextForm) -> bool:
    if form.encoding not in {"utf-8", "utf-8-sig"}:
        return True
    return _ends_with_cr(path)


def _ends_with_cr(path: Path) -> bool:
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    return b"\r" in head and b"\n" not in head


def _utf8(path: Path, form: TextForm, limit: int) -> Iterator[tuple[bytes, str | None]]:
    with path.open("rb") as file:
        file.seek(form.mark_bytes)
        while line := file.readline(limit + 2):
            if len(line) >= limit + 2 and not line.endswith(b"\n"):
                while (rest := file.readline(limit)) and not rest.endswith(b"\n"):
                    pass
                yield b"", "too_long"
            else:
                yield line, None


def _wide(path: Path, form: TextForm, limit: int) -> Iterator[tuple[bytes, str | None]]:
    encoding = "utf-8" if form.encoding == "utf-8-sig" else form.encoding
    # Bytes that do not decode become lone surrogates, which cannot be encoded: the line then names itself.
    two_bytes_or_more = encoding.startswith(("utf-16", "utf-32"))
    errors = "replace" if two_bytes_or_more else "surrogateescape"
    newline = "\r" if not two_bytes_or_more and _ends_with_cr(path) else "\n"
    with path.open("rb") as raw:
        raw.seek(form.mark_bytes)
        with io.TextIOWrapper(raw, encoding, errors, newline=newline) as text:
            while line := text.readline(limit + 2):
                if len(line) >= limit + 2 and not line.endswith(newline):
                    while (rest := text.readline(limit)) and not rest.endswith(newline):
                        pass
                    yield b"", "too_long"
                    continue
                if newline == "\r":
                    line = line.removesuffix("\r") + "\n"
                try:
                    yield line.encode(), None
                except UnicodeEncodeError:
                    yield b"", "encoding"
