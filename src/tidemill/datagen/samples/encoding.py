"""Tell which characters the bytes of an upload are.

A ladder, each step sure before the next is tried: a byte order mark; the whole file as strict UTF-8; UTF-8 with a few
broken lines; strict GB18030 that gives Chinese and nothing from the private-use area (which is where Big5 lands when
read as GB18030); a statistical guess; else the sender is asked. Statistics come last because they take short or mostly
ASCII GBK files for cp1250 and short Big5 for UTF-16.

Everything here reads the file from disk and belongs in a worker thread.
"""

import codecs
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

from tidemill.datagen.samples.errors import BinaryContent, EncodingUnknown

_BLOCK_BYTES = 1 << 20
_GUESS_BYTES = 1 << 18
_HEAD_BYTES = 1 << 13
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16: its mark begins with the same two bytes
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_MAGIC = (
    (b"PK\x03\x04", "XLSX or ZIP"),
    (b"\xd0\xcf\x11\xe0", "XLS"),
    (b"PAR1", "Parquet"),
    (b"%PDF", "PDF"),
    (b"\x1f\x8b", "gzip"),
    (b"\x89PNG", "PNG"),
    (b"\xff\xd8\xff", "JPEG"),
    (b"SQLite format 3\x00", "SQLite"),
    (b"\x7fELF", "program"),
    (b"GGUF", "GGUF"),
)
CHOICES = (
    "utf-8",
    "utf-8-sig",
    "gb18030",
    "gbk",
    "gb2312",
    "big5",
    "utf-16",
    "utf-16-le",
    "utf-16-be",
    "shift_jis",
    "euc-jp",
    "euc-kr",
    "cp1252",
    "iso-8859-1",
)


class TextForm(Struct, frozen=True):
    """How bytes become text: the codec, and how many bytes of mark to pass over first."""

    encoding: str
    mark_bytes: int = 0


def detect(path: Path, chosen: str | None = None, *, json_lines: bool = False) -> TextForm:
    """Return how the file at ``path`` is to be read; ``chosen`` is the sender's word and wins.

    ``json_lines``: JSON is UTF-8 by its standard, so a few lines that are not are broken lines, not another encoding.
    Raises BinaryContent for what is no text, EncodingUnknown when no step of the ladder is sure.
    """
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    for mark, encoding in _MARKS:
        if head.startswith(mark):
            return TextForm(encoding, len(mark))
    _refuse_binary(head, wide=chosen is not None and chosen.startswith("utf-16"))
    if chosen is not None:
        return _chosen(chosen)
    return TextForm(_climbed(path, json_lines=json_lines))


def _climbed(path: Path, *, json_lines: bool) -> str:
    if _decodes(path, "utf-8"):
        return "utf-8"
    lines = _count_lines(path)
    if lines.utf8 > lines.other:
        return "utf-8"
    if _is_chinese_gb18030(path):
        return "gb18030"
    if json_lines and lines.ascii + lines.utf8 > lines.other:
        return "utf-8"
    return _guessed(path)


def _chosen(name: str) -> TextForm:
    wanted = name.strip().lower().replace("_", "-")
    for choice in CHOICES:
        if wanted == choice.replace("_", "-"):
            return TextForm(choice)
    raise EncodingUnknown(f"encoding: {name!r} is none of {', '.join(CHOICES)}", field="encoding")


def _refuse_binary(head: bytes, *, wide: bool) -> None:
    for magic, kind in _MAGIC:
        if head.startswith(magic):
            raise BinaryContent(kind=kind)
    if b"\x00" in head and not wide:
        raise BinaryContent(kind="NUL bytes")


def _blocks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            yield block


def _decodes(path: Path, encoding: str) -> bool:
    decoder = codecs.getincrementaldecoder(encoding)("strict")
    try:
        for block in _blocks(path):
            decoder.decode(block)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


class _Lines(Struct):
    """How many lines are plain ASCII, valid UTF-8 beyond it, and neither."""

    ascii: int = 0
    utf8: int = 0
    other: int = 0


def _count_lines(path: Path) -> _Lines:
    """Count the lines by kind; of a long line each 64 KB count as one."""
    lines = _Lines()
    with path.open("rb") as file:
        while line := file.readline(1 << 16):
            if line.isascii():
                lines.ascii += 1
                continue
            try:
                line.decode()
            except UnicodeDecodeError as error:
                # A part cut by the limit may end inside a character; that is no fault of the file.
                if error.reason != "unexpected end of data" or len(line) < 1 << 16:
                    lines.other += 1
                    continue
            lines.utf8 += 1
    return lines


def _is_chinese_gb18030(path: Path) -> bool:
    decoder = codecs.getincrementaldecoder("gb18030")("strict")
    common = foreign = 0
    try:
        for number, block in enumerate(_blocks(path)):
            text = decoder.decode(block)
            if any("\ue000" <= character <= "\uf8ff" for character in text):
                return False
            if number == 0:
                common, foreign = _common_and_foreign(text)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    # Western text read as GB18030 gives rare characters from outside GB2312 (an accented letter eats its neighbour).
    return common > foreign


def _common_and_foreign(text: str) -> tuple[int, int]:
    common = foreign = 0
    for character in text:
        if character.isascii():
            continue
        try:
            character.encode("gb2312")
            common += 1
        except UnicodeEncodeError:
            foreign += 1
    return common, foreign


def _guessed(path: Path) -> str:
    import charset_normalizer  # noqa: PLC0415 - loaded on first use

    with path.open("rb") as file:
        best = charset_normalizer.from_bytes(file.read(_GUESS_BYTES)).best()
    if best is None or not best.could_be_from_charset:
        raise EncodingUnknown
    encoding = best.encoding.replace("_", "-")
    if not _decodes(path, encoding):
        raise EncodingUnknown(f"{encoding} was the nearest guess, and the file is not valid in it")
    return encoding
