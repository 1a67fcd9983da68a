"""``tidemill init``: a commented settings file with fresh random secrets."""

import secrets
from pathlib import Path

import click

from tidemill.cli.output import fail
from tidemill.platform.settings.reference import settings_file


@click.command("init")
@click.argument("path", type=click.Path(path_type=Path), default=Path("tidemill.yaml"))
def command(path: Path) -> None:
    """Write a settings file to PATH (tidemill.yaml); an existing file is left alone."""
    text = settings_file({"auth.secret_key": secrets.token_urlsafe(48)})
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            path.chmod(0o600)
            file.write(text)
    except FileExistsError:
        fail(f"{path} exists already; move it away or name another file.")
    except OSError as error:
        fail(f"{path} cannot be written: {error.strerror}.")
    click.echo(f"{path} written; start with: tidemill serve --config {path}")
