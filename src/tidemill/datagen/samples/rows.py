"""Rows out of an upload: each good line as one JSON object, each bad one as a problem with its number.

A JSONL line is kept byte for byte, so what was uploaded comes back unchanged; a CSV record becomes an object whose
values are all text. Reading is lazy and holds one line (or one CSV record) at a time; it belongs in a worker thread.
"""

import csv
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import msgspec

from tidemill.datagen.samples.contracts import FileFormat, LanguageHint
from tidemill.datagen.samples.encoding import TextForm
from tidemill.datagen.samples.errors import FormatUnknown, HeaderUnreadable
from tidemill.datagen.samples.language import LanguageSense
from tidemill.datagen.samples.lines import MAX_LINE_BYTES, Line, read_lines
from tidemill.datagen.samples.problems import ProblemList

MAX_COLUMNS = 1000
_REFEED_BYTES = 64 << 20


class RowSource(Protocol):
    """What both formats give: rows while it is drained, the facts once it is."""

    problems: ProblemList
    columns: dict[str, None]
    language: LanguageSense

    def __iter__(self) -> Iterator[bytes]:
        """Yield each good row as the bytes of one JSON object without line breaks."""
        ...


def open_rows(path: Path, form: TextForm, file_format: FileFormat, max_line_bytes: int = MAX_LINE_BYTES) -> RowSource:
    """Return the rows of the file at ``path``."""
    lines = read_lines(path, form, max_line_bytes)
    if file_format == "csv":
        return CsvRows(lines, max_line_bytes)
    return JsonlRows(lines, max_line_bytes)


def language_hint(source: RowSource) -> LanguageHint | None:
    """Return the language of the rows that were read, by script."""
    return source.language.hint()


class JsonlRows:
    """One JSON object a line; blank lines are passed over."""

    def __init__(self, lines: Iterator[Line], max_line_bytes: int) -> None:
        self._lines = lines
        self._max_line_bytes = max_line_bytes
        self.problems = ProblemList()
        self.columns: dict[str, None] = {}
        self.language = LanguageSense()

    def __iter__(self) -> Iterator[bytes]:
        for line in self._lines:
            if line.fault:
                self.problems.add(line.number, line.fault, _kilobytes(line.fault, self._max_line_bytes))
                continue
            data = line.data.strip()
            if not data:
                continue
            row = self._decoded(line.number, data)
            if row is None:
                continue
            if not row.keys() <= self.columns.keys():
                for key in row:
                    if len(self.columns) <= MAX_COLUMNS:
                        self.columns.setdefault(key)
            self.language.see(row)
            yield data

    def _decoded(self, number: int, data: bytes) -> dict[str, Any] | None:
        try:
            row = msgspec.json.decode(data)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            code = "encoding" if isinstance(error, UnicodeDecodeError) else "not_json"
            self.problems.add(number, code, str(error)[:200])
            return None
        if not isinstance(row, dict):
            self.problems.add(number, "not_object")
            return None
        if not row:
            self.problems.add(number, "no_fields")
            return None
        return row  # pyright: ignore[reportUnknownVariableType] - JSON objects have text keys


class CsvRows:
    """A header line, then records (RFC 4180); quoted fields may hold line breaks."""

    def __init__(self, lines: Iterator[Line], max_line_bytes: int) -> None:
        self._max_line_bytes = max_line_bytes
        self.problems = ProblemList()
        self.columns: dict[str, None] = {}
        self.language = LanguageSense()
        self._feed = _Feed(lines, max_line_bytes, self.problems)
        self._refeed_left = _REFEED_BYTES
        # The module's own limit is process-wide and small (128 KB); the feed stops a record well before this one.
        csv.field_size_limit(max(csv.field_size_limit(), 2 * max_line_bytes, 4 << 20))

    def __iter__(self) -> Iterator[bytes]:
        first = self._feed.peek()
        if first is None:
            return
        reader = csv.reader(self._feed, delimiter=_delimiter(first), strict=True)
        names: list[str] | None = None
        encode = msgspec.json.Encoder().encode
        while True:
            try:
                record = self._next_record(reader)
            except StopIteration:
                return
            if record is None:
                if names is None:
                    raise HeaderUnreadable
                continue
            number, fields = record
            if names is None:
                names = self._header(number, fields)
            elif len(names) > 1 and len(fields) == 1 and not fields[0].strip():
                continue  # a line of blanks
            elif len(fields) != len(names):
                self.problems.add(number, "field_count", f"{len(fields)}/{len(names)}")
            else:
                row = dict(zip(names, fields, strict=True))
                self.language.see(row)
                yield encode(row)

    def _next_record(self, reader: Iterator[list[str]]) -> tuple[int, list[str]] | None:
        """Return the next record with the number of its first line; None when it was bad."""
        feed = self._feed
        while True:
            feed.begin_record()
            try:
                fields = next(reader)
            except (csv.Error, _RecordTooLong) as error:
                self.problems.add(feed.first_line, "bad_quotes", str(error))
                # An unbalanced quote swallows good lines after it: they are read again, within a budget that keeps
                # a hostile file from costing the square of its size.
                if feed.taken_bytes <= self._refeed_left:
                    self._refeed_left -= feed.taken_bytes
                    feed.give_back()
                return None
            if feed.damaged:
                return None
            if fields:
                return feed.first_line, fields

    def _header(self, number: int, fields: list[str]) -> list[str]:
        if not any(field.strip() for field in fields) or len(fields) > MAX_COLUMNS:
            raise HeaderUnreadable
        if fields[0].lstrip().startswith("{") and any(":" in field for field in fields):
            raise FormatUnknown
        names: list[str] = []
        for position, field in enumerate(fields, 1):
            wanted = field.strip() or f"column_{position}"
            name, copy = wanted, 2
            while name in names:
                name, copy = f"{wanted}_{copy}", copy + 1
            if name != field.strip():
                self.problems.add(number, "header_renamed", name)
            names.append(name)
        self.columns = dict.fromkeys(names)
        return names


class _RecordTooLong(Exception):
    """A record that never closes its quote."""


class _Feed:
    """The lines that csv.reader pulls, remembered while a record is open so that they can be given back."""

    def __init__(self, lines: Iterator[Line], max_bytes: int, problems: ProblemList) -> None:
        self._lines = lines
        self._again: deque[Line] = deque()
        self._taken: list[Line] = []
        self._max_bytes = max_bytes
        self._problems = problems
        self.taken_bytes = 0
        self.damaged = False

    def begin_record(self) -> None:
        self._taken.clear()
        self.taken_bytes = 0
        self.damaged = False

    def give_back(self) -> None:
        """Let the lines after the record's first be read again."""
        self._again.extendleft(reversed(self._taken[1:]))

    @property
    def first_line(self) -> int:
        return self._taken[0].number

    def peek(self) -> str | None:
        """Return the first usable line without taking it."""
        for line in self._lines:
            text = self._text(line)
            if text is not None and text.strip():
                self._again.append(line)
                return text
        return None

    def __iter__(self) -> "_Feed":
        return self

    def __next__(self) -> str:
        while True:
            line = self._again.popleft() if self._again else next(self._lines)
            text = self._text(line)
            if text is None:
                self.damaged = bool(self._taken)
                continue
            if not self._taken and not text.strip("\r\n"):
                continue
            self._taken.append(line)
            self.taken_bytes += len(line.data)
            if self.taken_bytes > self._max_bytes:
                raise _RecordTooLong(f"no closing quote within {self._max_bytes // 1024} KB")
            return text

    def _text(self, line: Line) -> str | None:
        fault = line.fault
        if fault is None:
            try:
                return line.data.decode()
            except UnicodeDecodeError:
                fault = "encoding"
        self._problems.add(line.number, fault, _kilobytes(fault, self._max_bytes))
        return None


def _delimiter(header: str) -> str:
    """Return the separator of a header line: the comma unless there is none and another one is there."""
    return next((mark for mark in (",", "\t", ";", "|") if mark in header), ",")


def _kilobytes(fault: str, max_line_bytes: int) -> str:
    return str(max_line_bytes // 1024) if fault == "too_long" else ""
