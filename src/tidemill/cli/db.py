"""``tidemill db``: migrations."""

import click

from tidemill.cli.output import command_options, print_json
from tidemill.platform.db import migrate
from tidemill.platform.settings import Loaded


@click.group("db")
def command() -> None:
    """Bring the database's schema up or down, or tell where it stands."""


@command.command("upgrade")
@click.argument("revision", default="head")
@command_options
def upgrade(revision: str, loaded: Loaded, *, as_json: bool) -> None:
    """Bring the schema up to REVISION (the newest)."""
    changed = migrate.upgrade(loaded.settings.database_url, revision)
    _answer(loaded, as_json=as_json, changed=changed)


@command.command("downgrade")
@click.argument("revision")
@command_options
def downgrade(revision: str, loaded: Loaded, *, as_json: bool) -> None:
    """Take the schema down to REVISION (``base`` empties it)."""
    migrate.downgrade(loaded.settings.database_url, revision)
    _answer(loaded, as_json=as_json, changed=True)


@command.command("current")
@command_options
def current(loaded: Loaded, *, as_json: bool) -> None:
    """Tell which revision the schema stands at, and the newest there is."""
    _answer(loaded, as_json=as_json, changed=False)


def _answer(loaded: Loaded, *, as_json: bool, changed: bool) -> None:
    revision, head = migrate.current(loaded.settings.database_url), migrate.head()
    if as_json:
        print_json({"revision": revision, "head": head, "changed": changed})
    else:
        click.echo(f"{revision or 'empty'} (newest: {head})")
