"""The commands. Each one is loaded only when it is called, so that none pays for another's imports."""

import importlib
import sys

import click

from tidemill import __version__
from tidemill.kernel.errors import TidemillError

# Command -> the module that holds it (and its name there), in the order of the help page.
COMMANDS = {
    "serve": "serve",
    "worker": "worker:worker",
    "scheduler": "worker:scheduler",
    "init": "init",
    "db": "db",
    "users": "users",
    "keys": "keys",
    "channels": "channels",
    "models": "models",
    "generate": "generate",
    "simulate": "simulate",
    "config": "config",
    "openapi": "openapi",
}


class _Lazy(click.Group):
    """Finds a command by importing its module."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        del ctx
        module = COMMANDS.get(cmd_name)
        if module is None:
            return None
        file, _, name = module.partition(":")
        command = getattr(importlib.import_module(f"tidemill.cli.{file}"), name or "command")
        return command if isinstance(command, click.Command) else None


@click.command(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="tidemill")
def root() -> None:
    """tidemill: a self-hosted AI platform in one program."""


def main() -> None:
    """Run the command line: exit 0 on success, 1 on failure, 2 on wrong usage."""
    try:
        root.main(standalone_mode=True)
    except TidemillError as error:
        sentence = error.message("en")
        click.echo(f"tidemill: {sentence} {error.detail}".rstrip(), err=True)
        sys.exit(1)
