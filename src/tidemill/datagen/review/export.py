"""Generated rows as a file, streamed in slices by id: no transaction stays open and memory stays flat.

CSV: a text cell that begins with ``= + - @``, a tab or a carriage return gets an apostrophe in front, because
spreadsheets would run it as a formula; ``raw`` leaves it as it is.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from typing import Any

import msgspec
from msgspec import Struct

from tidemill.datagen.review import repository
from tidemill.datagen.review.contracts import EXPORT_FORMATS, ExportFormat, RowFilter
from tidemill.datagen.review.errors import FormatRefused
from tidemill.datagen.review.shapes import Shape, conversation, shaped
from tidemill.kernel.actor import Scope
from tidemill.kernel.csv_lines import csv_lines, safe_cell
from tidemill.platform.db import Database, Row

SLICE_ROWS = 500
_MARK = b"\xef\xbb\xbf"
_FIGURES = ("_id", "_task_id", "_model_score", "_rule_score", "_final_score")
_SHAPES: dict[str, Shape] = {"alpaca": "alpaca", "sharegpt": "sharegpt", "openai": "openai"}
_JSONL_TYPE = "application/x-jsonlines; charset=utf-8"
_JSON_TYPE = "application/json"


class Export(Struct, frozen=True):
    """A file on its way out."""

    filename: str
    media_type: str
    parts: AsyncIterator[bytes]


class ExportOptions(Struct, frozen=True, kw_only=True):
    """How to write it: ``meta`` adds ``_meta`` to JSON rows, ``raw`` leaves formulas alone, ``mark`` is for Excel."""

    format: ExportFormat
    meta: bool = False
    raw: bool = False
    mark: bool = False


def format_of(text: str) -> ExportFormat:
    """Read ``format``; raises FormatRefused naming those that exist."""
    word = text.strip().lower()
    if word in EXPORT_FORMATS:
        return word
    raise FormatRefused.because(word, "not a format of this export")


class Exporter:
    """Writes rows out."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def export(self, scope: Scope, wanted: RowFilter, options: ExportOptions) -> Export:
        """Return the rows that ``wanted`` lets through as a file, by id.

        Raises FormatRefused when a conversation format is asked of rows that are none.
        """
        name = wanted.task_id or "generated_data"
        if options.format == "csv":
            columns = await self._columns(scope, wanted)
            parts = self._csv(scope, wanted, columns, options)
            return Export(f"{name}.csv", "text/csv", parts)
        shape = _SHAPES.get(options.format)
        if shape is not None:
            await self._check_shapes(scope, wanted, options.format)
        if options.format in {"jsonl", "openai"}:
            ending = "jsonl" if shape is None else f"{shape}.jsonl"
            return Export(f"{name}.{ending}", _JSONL_TYPE, self._lines(scope, wanted, options, shape))
        ending = "json" if shape is None else f"{shape}.json"
        return Export(f"{name}.{ending}", _JSON_TYPE, self._array(scope, wanted, options, shape))

    async def _slices(
        self, scope: Scope, wanted: RowFilter, *, contents_only: bool = False
    ) -> AsyncGenerator[Sequence[Row]]:
        after = 0
        while True:
            async with self._db.read() as r:
                rows = await repository.slice_after(r, scope, wanted, after, SLICE_ROWS, contents_only=contents_only)
            if rows:
                yield rows
                after = rows[-1]["id"]
            if len(rows) < SLICE_ROWS:
                return

    async def _records(
        self, scope: Scope, wanted: RowFilter, options: ExportOptions, shape: Shape | None
    ) -> AsyncGenerator[list[bytes]]:
        slices = self._slices(scope, wanted, contents_only=not options.meta)
        async with aclosing(slices):
            async for rows in slices:
                yield await asyncio.to_thread(_encoded, rows, shape, meta=options.meta)

    async def _lines(
        self, scope: Scope, wanted: RowFilter, options: ExportOptions, shape: Shape | None
    ) -> AsyncGenerator[bytes]:
        slices = self._records(scope, wanted, options, shape)
        async with aclosing(slices):
            async for records in slices:
                yield b"".join(record + b"\n" for record in records)

    async def _array(
        self, scope: Scope, wanted: RowFilter, options: ExportOptions, shape: Shape | None
    ) -> AsyncGenerator[bytes]:
        before = b"[\n"
        slices = self._records(scope, wanted, options, shape)
        async with aclosing(slices):
            async for records in slices:
                if records:
                    yield before + b",\n".join(records)
                    before = b",\n"
        yield b"\n]\n" if before == b",\n" else b"[]\n"

    async def _csv(
        self, scope: Scope, wanted: RowFilter, columns: Sequence[str], options: ExportOptions
    ) -> AsyncGenerator[bytes]:
        if options.mark:
            yield _MARK
        yield csv_lines([[*columns, *_FIGURES]])
        slices = self._slices(scope, wanted)
        async with aclosing(slices):
            async for rows in slices:
                yield await asyncio.to_thread(_csv_rows, rows, columns, raw=options.raw)

    async def _columns(self, scope: Scope, wanted: RowFilter) -> list[str]:
        """Read the rows through once for their keys: a CSV file names its columns before the first row."""
        columns: dict[str, None] = {}
        slices = self._slices(scope, wanted, contents_only=True)
        async with aclosing(slices):
            async for rows in slices:
                columns.update(await asyncio.to_thread(_keys, rows))
        return list(columns)

    async def _check_shapes(self, scope: Scope, wanted: RowFilter, asked: str) -> None:
        """Look at one row of each task type: all rows of a type have its fields."""
        async with self._db.read() as r:
            for name in await repository.types_of(r, scope, wanted):
                narrowed = msgspec.structs.replace(wanted, task_type=name)
                rows = await repository.slice_after(r, scope, narrowed, 0, 1, contents_only=True)
                if rows and conversation(msgspec.json.decode(rows[0]["data_content"])) is None:
                    raise FormatRefused.because(asked, f"rows of type {name} are no conversation")


def _encoded(rows: Sequence[Row], shape: Shape | None, *, meta: bool) -> list[bytes]:
    if shape is None and not meta:
        # Stored text is one JSON object on one line already; decoding it would only cost.
        return [row["data_content"].replace("\n", " ").encode() for row in rows]
    records: list[bytes] = []
    for row in rows:
        content: dict[str, Any] = msgspec.json.decode(row["data_content"], type=dict[str, Any])
        if shape is not None:
            talk = conversation(content)
            if talk is None:
                continue
            content = shaped(talk, shape)
        if meta:
            content = {**content, "_meta": _meta(row)}
        records.append(msgspec.json.encode(content))
    return records


def _meta(row: Row) -> dict[str, Any]:
    kept = {
        name: row[name]
        for name in (
            "id",
            "task_id",
            "task_type",
            "item_no",
            "status",
            "is_confirmed",
            "model_score",
            "rule_score",
            "rule_score_exact",
            "final_score",
            "generation_model",
            "direction",
            "row_version",
            "review_note",
            "created_at",
            "updated_at",
        )
    }
    kept["lineage"] = msgspec.Raw(row["lineage"].encode()) if row["lineage"] else None
    return kept


def _keys(rows: Sequence[Row]) -> dict[str, None]:
    return {key: None for row in rows for key in msgspec.json.decode(row["data_content"], type=dict[str, Any])}


def _csv_rows(rows: Sequence[Row], columns: Sequence[str], *, raw: bool) -> bytes:
    records: list[list[str]] = []
    for row in rows:
        content = msgspec.json.decode(row["data_content"], type=dict[str, Any])
        figures = (row["id"], row["task_id"], row["model_score"], row["rule_score"], row["final_score"])
        records.append(
            [_cell(content.get(column), raw=raw) for column in columns]
            + ["" if figure is None else str(figure) for figure in figures]
        )
    return csv_lines(records)


def _cell(value: Any, *, raw: bool) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        return msgspec.json.encode(value).decode()
    return value if raw else safe_cell(value)
