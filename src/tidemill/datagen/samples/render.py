"""Rows written out again, as JSONL or CSV."""

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

UTF8_MARK = b"\xef\xbb\xbf"


def cell(value: Any) -> str:
    """Return a JSON value as the text of one CSV field: text as it is, null as nothing, the rest as JSON."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    return msgspec.json.encode(value).decode()


def flat(row: dict[str, Any]) -> dict[str, str]:
    """Return the row as CSV holds it: every value is text."""
    return {key: cell(value) for key, value in row.items()}


def csv_header(columns: Sequence[str]) -> bytes:
    """Return the first line of a CSV file."""
    return _records([list(columns)])


def csv_lines(rows: Iterable[bytes], columns: Sequence[str]) -> bytes:
    """Return stored rows as CSV records in the order of ``columns`` (RFC 4180: CRLF, quotes where needed)."""
    decode = msgspec.json.Decoder(dict[str, Any]).decode
    decoded = (decode(row) for row in rows)
    return _records([cell(row.get(column)) for column in columns] for row in decoded)


def _records(records: Iterable[Sequence[str]]) -> bytes:
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\r\n")
    for record in records:
        # A record of one empty field would be a blank line, which every reader passes over.
        if len(record) == 1 and not record[0]:
            out.write('""\r\n')
        else:
            writer.writerow(record)
    return out.getvalue().encode("utf-8", "replace")
