"""What commands share: their common options, how they run and how they answer."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from functools import wraps
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import click
import msgspec

from tidemill.platform.settings import Loaded, load

T = TypeVar("T")


def command_options(function: Callable[..., T]) -> Callable[..., T]:
    """Add ``--config``, ``--data-dir`` and ``--json``; the command receives ``loaded`` and ``as_json``."""

    @click.option("--config", type=click.Path(path_type=Path), help="Settings file (tidemill.yaml).")
    @click.option("--data-dir", type=click.Path(path_type=Path), help="Folder that holds everything the product keeps.")
    @click.option("--json", "as_json", is_flag=True, help="Answer as JSON, for scripts.")
    @wraps(function)
    def with_settings(*args: Any, config: Path | None, data_dir: Path | None, **kwargs: Any) -> T:
        loaded = load_settings(config, data_dir)
        return function(*args, loaded=loaded, **kwargs)

    return with_settings


def load_settings(config: Path | None, data_dir: Path | None, **overrides: Any) -> Loaded:
    """Read the settings as ``serve`` does and print what the reader should know on stderr."""
    loaded = load({"server.data_dir": data_dir, **overrides}, config=config)
    for warning in loaded.warnings:
        click.echo(f"tidemill: {warning}", err=True)
    return loaded


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run a command's work on an event loop of its own."""
    return asyncio.run(work)


def fail(sentence: str) -> NoReturn:
    """End with exit code 1 and one sentence on stderr."""
    raise click.exceptions.ClickException(sentence)


def print_json(value: Any) -> None:
    """Print one JSON value."""
    click.echo(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())


def print_table(heads: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Print rows in columns that line up; an empty table still shows its heads."""
    texts = [[str("" if cell is None else cell) for cell in row] for row in [heads, *rows]]
    widths = [max(len(row[column]) for row in texts) for column in range(len(heads))]
    for row in texts:
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        click.echo(line.rstrip())
