"""The words of sample files that the rest of the program may use."""

from datetime import datetime
from typing import Any, Literal

from msgspec import UNSET, Struct, UnsetType

FileFormat = Literal["jsonl", "csv"]
LanguageHint = Literal["zh", "en"]

CONTENT_TYPES: dict[FileFormat, str] = {"jsonl": "application/x-jsonlines", "csv": "text/csv"}


class LineProblem(Struct, frozen=True):
    """One line that was left out, and why; ``line`` counts from 1."""

    line: int
    reason: str


class SampleFile(Struct, frozen=True, kw_only=True):
    """A sample file as its owner sees it.

    ``file_size`` is in bytes: what was uploaded, moved by what edits added or took. ``problems`` holds the first 100
    of ``problem_count``. ``version`` goes up by one with every edit.
    """

    id: int
    filename: str
    file_size: int
    content_type: str
    encoding: str
    rows: int
    columns: list[str]
    problems: list[LineProblem]
    problem_count: int
    version: int
    user_id: int
    created_at: datetime
    updated_at: datetime
    language_hint: LanguageHint | None = None


class SampleRow(Struct, frozen=True):
    """One row of a file at its position, counted from 0 when it was read."""

    index: int
    data: dict[str, Any]


class FileFacts(Struct, frozen=True, kw_only=True):
    """What a task must know of its sample file when it starts; ``version`` is the one it reads for its whole life."""

    file_id: int
    filename: str
    rows: int
    columns: list[str]
    version: int
    language_hint: LanguageHint | None


class FileTrouble(Struct, frozen=True, kw_only=True):
    """Why one of several uploaded files, or one of several files to convert, was refused."""

    code: int
    message: str
    filename: str | None = None
    id: int | None = None


class FilesAnswer(Struct, frozen=True):
    """What became of several files at once: one bad file does not fail the others."""

    files: list[SampleFile]
    errors: list[FileTrouble]


class Changed(Struct, frozen=True, kw_only=True):
    """What an append or a batch delete did; ``rows`` is the count of rows afterwards."""

    rows: int
    version: int
    added: int | UnsetType = UNSET
    deleted: int | UnsetType = UNSET
