"""``tidemill generate``: samples in, scored training data out, in this process and without a server."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, NoReturn

import click
import msgspec

from tidemill.cli.output import command_options, fail, print_json, run
from tidemill.datagen.contracts import StartRequest
from tidemill.datagen.facade import FileOnDisk, Standalone, StandaloneState, load_types
from tidemill.identity.tables import users
from tidemill.kernel import clock
from tidemill.kernel.errors import TidemillError
from tidemill.localmodels.facade import LocalModels
from tidemill.platform.db import Database, migrate, open_database
from tidemill.platform.settings import Loaded, Settings
from tidemill.platform.telemetry import configure_logs
from tidemill.relay.app import RelayContext
from tidemill.server.wiring import open_runtime

# The owner of everything in a state file; calls made from the command line belong to no account.
_NOBODY = 0
_REFRESH_S = 0.25
_BAR_CHARS = 30
_NEEDS_THE_OWNER = frozenset({"budget_spent", "mostly_failing"})


class _Ended(msgspec.Struct, frozen=True, kw_only=True):
    """What the command did, as ``--json`` prints it."""

    status: str
    out: str
    state: str
    resumed: bool
    seconds: float
    total: int
    current: int
    accepted: int
    below_threshold: int
    needs_review: int
    failed: int
    retried: int
    input_tokens: int
    output_tokens: int
    cost: str
    problem_lines: int
    error: str | None


@click.command("generate")
@click.option("--file", "file", type=click.Path(path_type=Path, exists=True, dir_okay=False), required=True)
@click.option("--task-type", required=True, help="Kind of row to make, e.g. entity_extraction.")
@click.option("--model", "models", multiple=True, help="Model to generate with; several share the work.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), required=True, help="Output, JSON Lines.")
@click.option("--directions", help="Topics, with commas between.")
@click.option("--variants", type=int, default=None, help="Variants of each sample and round.  [default: 3]")
@click.option("--rounds", type=int, default=None, help="Rounds over the samples.  [default: 3]")
@click.option("--min-score", type=float, default=None, help="Least final score of an accepted row, 0-10.  [default: 8]")
@click.option("--batch-size", type=int, default=None, help="Samples taken at a time.  [default: 5]")
@click.option("--max-concurrent", type=int, default=None, help="Calls in flight at most.  [default: 5]")
@click.option("--max-retries", type=int, default=None, help="Attempts after the first.  [default: 2]")
@click.option("--language", type=click.Choice(["auto", "zh", "en"]), default=None, help="[default: auto]")
@click.option("--dedup", type=click.Choice(["off", "exact", "near"]), default=None, help="[default: exact]")
@click.option("--evaluator", help="Model that scores the rows; unset, the one that made them.")
@click.option("--no-judge", is_flag=True, help="Score by rules alone.")
@click.option("--special-prompt", help="Further wishes, told to the model.")
@click.option("--sample-limit", type=int, default=None, help="Use the first so many samples only.")
@click.option("--seed", type=int, default=None, help="Seed of chance; unset, it follows from the file.")
@click.option("--budget", help="Stop before spending more credits than this.")
@command_options
def command(loaded: Loaded, *, file: Path, out: Path, as_json: bool, **options: Any) -> None:
    """Generate training data from the samples in FILE into OUT.

    The state is kept beside the output, in OUT.state.db: the same command goes on where the last one ended. Models
    are those of the data directory's channels and its local models.
    """
    if options["no_judge"] and options["evaluator"]:
        raise click.UsageError("--evaluator and --no-judge exclude each other.")
    if not out.absolute().parent.is_dir():
        raise click.UsageError(f"The folder of --out does not exist: {out.absolute().parent}")
    if out.exists() and out.samefile(file):
        raise click.UsageError("--out would overwrite --file.")
    # One sentence says what went wrong; log.level debug shows the rest.
    configure_logs("debug" if loaded.settings.log.level == "debug" else "critical", "text")
    try:
        ended = run(_generate(loaded.settings, file, out, _request(options), as_json=as_json))
    except TidemillError as error:
        _refuse(error)
    if as_json:
        print_json(ended)
    else:
        _report(ended)
    if ended.error:
        fail(ended.error)


def _refuse(error: TidemillError) -> NoReturn:
    """Wrong options are wrong usage (2); everything else that is expected is a failure (1)."""
    sentence = error.message("en")
    if error.fields:
        raise click.UsageError("; ".join(f"{problem.field}: {problem.message}" for problem in error.fields))
    fail(f"{sentence} {error.detail}".strip())


def _request(options: dict[str, Any]) -> StartRequest:
    directions = options["directions"]
    return StartRequest(
        file_id=1,
        task_type=options["task_type"],
        models=[name.strip() for given in options["models"] for name in given.split(",") if name.strip()] or None,
        batch_size=options["batch_size"],
        max_concurrent=options["max_concurrent"],
        min_score=options["min_score"],
        variants_per_sample=options["variants"],
        data_rounds=options["rounds"],
        directions=[part for part in directions.replace("，", ",").split(",") if part.strip()] if directions else None,
        special_prompt=options["special_prompt"],
        evaluator_model="none" if options["no_judge"] else options["evaluator"],
        max_retries=options["max_retries"],
        budget=options["budget"],
        dedup=options["dedup"],
        language=options["language"],
        seed=options["seed"],
        sample_limit=options["sample_limit"],
    )


@asynccontextmanager
async def _models(settings: Settings) -> AsyncGenerator[RelayContext]:
    """Open the way to the models: the channels of the data directory, and local models borrowed or of our own."""
    async with open_runtime(settings) as runtime:
        local = LocalModels(settings, borrow=True)
        relay = RelayContext(
            db=runtime.db,
            secrets=runtime.secrets,
            meter=runtime.meter,
            settings=settings.gateway,
            leases=local,
            local_slots=settings.local_models.slots,
        )
        await local.start_up()
        try:
            await relay.start()
            await relay.adopt_environment(os.environ)
            yield relay
        finally:
            await relay.close()
            await local.shut_down()
            await runtime.meter.close()


@asynccontextmanager
async def _state_file(path: Path) -> AsyncGenerator[Database]:
    """Open the state beside the output, with its one owner in it."""
    url = f"sqlite:///{path}"
    await asyncio.to_thread(migrate.upgrade, url)
    db = open_database(url)
    try:
        async with db.write() as w:
            if await w.first(users.select().where(users.c.id == _NOBODY)) is None:
                now = clock.now()
                owner = {"id": _NOBODY, "username": "nobody", "username_key": "nobody", "password_hash": "none"}
                await w.run(users.insert(), {**owner, "created_at": now, "updated_at": now})
        yield db
    finally:
        await db.close()


async def _generate(settings: Settings, file: Path, out: Path, request: StartRequest, *, as_json: bool) -> _Ended:
    state_path = _state_path(out)
    began = clock.monotonic()
    async with AsyncExitStack() as stack:
        samples = await FileOnDisk.open(file)
        stack.callback(samples.close)
        relay = await stack.enter_async_context(_models(settings))
        fresh = not await asyncio.to_thread(state_path.exists)
        db = await stack.enter_async_context(_state_file(state_path))
        job = Standalone(
            db=db,
            samples=samples,
            calls=relay.relay,
            task_types=load_types(settings.data_dir / "task-types"),
            settings=settings.datagen,
            user_id=_NOBODY,
        )
        try:
            resumed = await job.prepare(request, "en")
        except TidemillError:
            if fresh:
                # Nothing was begun, so nothing is left behind.
                stack.callback(_forget, state_path)
            raise
        _say(f"{samples.known().rows} samples; {'going on with' if resumed else 'state in'} {state_path.name}", as_json)
        if samples.problems:
            _say(f"{samples.problems} lines of {file.name} could not be read and were left out", as_json)
        await _make(job, out, as_json=as_json)
        state = await job.state()
        await _write_whole(job, out)
        return _Ended(
            status=state.status if state.status != "running" else "stopped",
            out=str(out),
            state=str(state_path),
            resumed=resumed,
            seconds=round(clock.monotonic() - began, 3),
            problem_lines=samples.problems,
            error=_unfinished(state),
            **{name: getattr(state, name) for name in _COUNTS},
        )


_COUNTS = (
    "total",
    "current",
    "accepted",
    "below_threshold",
    "needs_review",
    "failed",
    "retried",
    "input_tokens",
    "output_tokens",
    "cost",
)


def _unfinished(state: StandaloneState) -> str | None:
    if state.status == "finished":
        return None
    if state.status == "failed":
        return f"The run failed: {state.error}. Mend that and give the same command again; it goes on from here."
    if state.paused:
        return f"{state.paused} Give the same command again to go on."
    return "Stopped before the end; give the same command again to go on."


async def _make(job: Standalone, out: Path, *, as_json: bool) -> None:
    """Run to the end, showing progress and writing rows as they are accepted; Ctrl-C ends it in good order."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    try:
        async with asyncio.TaskGroup() as group:
            running = group.create_task(job.run(stop))
            group.create_task(_follow(job, out, running, stop, as_json=as_json))
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)


async def _follow(
    job: Standalone, out: Path, running: asyncio.Task[Any], stop: asyncio.Event, *, as_json: bool
) -> None:
    bar = _Bar(shown=not as_json)
    position = 0
    with out.open("wb") as target:
        while True:
            over = running.done()
            async for at, text in job.accepted(position):
                position = at
                target.write(text.encode() + b"\n")
            target.flush()
            state = await job.state()
            bar.show(state)
            if over:
                break
            if state.paused_code in _NEEDS_THE_OWNER:
                stop.set()
            await asyncio.wait({running}, timeout=_REFRESH_S)
    bar.end()


async def _write_whole(job: Standalone, out: Path) -> None:
    """Replace the output by all accepted rows in the order of their items, at once or not at all."""
    part = out.with_name(out.name + ".part")
    with part.open("wb") as target:
        async for text in job.accepted_in_order():
            target.write(text.encode() + b"\n")
        target.flush()
        os.fsync(target.fileno())
    part.replace(out)


def _state_path(out: Path) -> Path:
    return out.absolute().with_name(out.name + ".state.db")


def _forget(state_path: Path) -> None:
    for name in (state_path.name, state_path.name + "-wal", state_path.name + "-shm"):
        state_path.with_name(name).unlink(missing_ok=True)


class _Bar:
    """The progress line on stderr: redrawn on a terminal, one line each tenth elsewhere."""

    def __init__(self, *, shown: bool) -> None:
        self._shown = shown
        self._terminal = sys.stderr.isatty()
        self._last = ""
        self._tenth = -1

    def show(self, state: StandaloneState) -> None:
        """Show where the run stands."""
        if not self._shown:
            return
        share = state.current / state.total if state.total else 1.0
        filled = int(share * _BAR_CHARS)
        eta = "" if state.eta_s is None else f"  {_clock(state.eta_s)} left"
        counts = f"accepted {state.accepted}, low {state.below_threshold + state.needs_review}, failed {state.failed}"
        line = (
            f"[{'#' * filled}{'.' * (_BAR_CHARS - filled)}] {state.current}/{state.total}  {counts}"
            f"  {state.rows_per_s:.1f}/s{eta}"
        )
        if state.paused:
            line += f"  {state.paused}"
        if self._terminal:
            click.echo("\r" + line.ljust(len(self._last)), err=True, nl=False)
        elif int(share * 10) != self._tenth or (state.paused and line != self._last):
            self._tenth = int(share * 10)
            click.echo(line, err=True)
        self._last = line

    def end(self) -> None:
        """Leave the line."""
        if self._shown and self._terminal:
            click.echo("", err=True)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _say(line: str, as_json: bool) -> None:  # noqa: FBT001 - a switch of the whole command
    if not as_json:
        click.echo(line, err=True)


def _report(ended: _Ended) -> None:
    click.echo(
        f"{ended.accepted} rows in {ended.out}; below the threshold {ended.below_threshold}, "
        f"to review {ended.needs_review}, failed {ended.failed}; "
        f"{ended.input_tokens + ended.output_tokens} tokens, {ended.cost} credits, {ended.seconds:.1f} s"
    )
