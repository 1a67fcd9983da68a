"""``tidemill config``: what is in force, and where each value came from."""

from typing import Any

import click
import msgspec

from tidemill.cli.output import command_options, print_json, print_table
from tidemill.platform.settings import Loaded
from tidemill.platform.settings.fields import Field, all_fields

MASK = "***"


@click.group("config")
def command() -> None:
    """Check the settings, or show what is in force."""


@command.command("check")
@command_options
def check(loaded: Loaded, *, as_json: bool) -> None:
    """Validate every source; show what differs from the defaults and where it was set."""
    _show(loaded, as_json=as_json, only_set=True)


@command.command("show")
@command_options
def show(loaded: Loaded, *, as_json: bool) -> None:
    """Show every setting, its value (secrets masked) and its source."""
    _show(loaded, as_json=as_json, only_set=False)


def _show(loaded: Loaded, *, as_json: bool, only_set: bool) -> None:
    rows = [
        (field, _value(loaded, field), loaded.sources[path])
        for path, field in all_fields().items()
        if not only_set or loaded.sources[path] != "default"
    ]
    if as_json:
        print_json({field.path: {"value": value, "source": source} for field, value, source in rows})
        return
    print_table(["setting", "value", "source"], [[field.path, value, source] for field, value, source in rows])
    click.echo("settings are valid")


def _value(loaded: Loaded, field: Field) -> Any:
    group, name = field.path.split(".")
    value = getattr(getattr(loaded.settings, group), name)
    if value is not None and field.doc.secret:
        return MASK
    return msgspec.to_builtins(value, enc_hook=str)
