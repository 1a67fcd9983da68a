"""``tidemill channels``: ways to model services, from the machine itself."""

from pathlib import Path
from typing import Any, TextIO

import click

from tidemill.cli.output import command_options, fail, print_json, print_table, run
from tidemill.kernel.actor import SystemReason, SystemScope
from tidemill.platform.settings import Loaded, Settings
from tidemill.relay.contracts import ChannelTest, ChannelView, ChannelWish, Forecast, Question
from tidemill.relay.contracts_admin import ImportReport
from tidemill.server.wiring import open_runtime

_SCOPE = SystemScope(SystemReason.COMMAND_LINE)
# Calls from the command line belong to no account.
_NOBODY = 0


@click.group("channels")
def command() -> None:
    """Add, list, test, import or export channels, or ask who would serve a model."""


class _Models(click.ParamType[dict[str, str]]):
    """Public names with commas between; ``a=b``: the service calls it b."""

    name = "a,b=upstream-b"

    def convert(
        self, value: str | dict[str, str], param: click.Parameter | None, ctx: click.Context | None
    ) -> dict[str, str]:
        if isinstance(value, dict):
            return value
        pairs = (part.partition("=") for part in value.split(",") if part.strip())
        models = {public.strip(): (name or public).strip() for public, _, name in pairs}
        if not models or not all(models) or not all(models.values()):
            self.fail("name at least one model, as in a,b=upstream-b", param, ctx)
        return models


@command.command("add")
@click.option("--name", required=True, help="What to call it.")
@click.option("--provider", default="openai", show_default=True, help="Whose service it is: openai, vllm, …")
@click.option("--base-url", required=True, help="Where it answers, with or without a final /v1.")
@click.option("--key", "keys", multiple=True, help="Key that it wants; may be given several times.")
@click.option("--models", type=_Models(), required=True, help="Models it carries: a,b=upstream-b.")
@click.option("--weight", type=click.IntRange(0), default=1, show_default=True, help="Share of calls; 0: none.")
@click.option("--priority", type=int, default=0, show_default=True, help="Higher ones are asked first.")
@click.option("--max-concurrent", type=click.IntRange(1), default=None, help="Calls at once (the setting's default).")
@click.option("--rpm", type=click.IntRange(1), default=None, help="Calls a minute (no limit).")
@click.option(
    "--timeout",
    "timeout_s",
    type=click.FloatRange(min=0, min_open=True),
    default=600.0,
    show_default=True,
    help="Seconds a call may take.",
)
@command_options
def add(loaded: Loaded, *, as_json: bool, keys: tuple[str, ...], **fields: Any) -> None:
    """Add a channel; a running server uses it within a second."""
    view = run(_add(loaded.settings, ChannelWish(keys=list(keys), **fields)))
    if as_json:
        print_json(view)
    else:
        click.echo(f"channel {view.name} ({view.id}) carries {', '.join(view.models)}")


async def _add(settings: Settings, wish: ChannelWish) -> ChannelView:
    async with open_runtime(settings) as runtime:
        return await runtime.relay_context.channels.create(_SCOPE, wish, None)


@command.command("list")
@command_options
def list_channels(loaded: Loaded, *, as_json: bool) -> None:
    """List channels; of their keys only the ends are shown."""
    found = run(_all(loaded.settings))
    if as_json:
        print_json(found)
        return
    print_table(
        ("ID", "NAME", "PROVIDER", "BASE URL", "MODELS", "PRIORITY", "WEIGHT", "KEYS", "STATUS"),
        [
            (
                view.id,
                view.name,
                view.provider,
                view.base_url,
                ",".join(view.models),
                view.priority,
                view.weight,
                ",".join(f"…{key.last4}" for key in view.keys),
                view.status,
            )
            for view in found
        ],
    )


async def _all(settings: Settings) -> list[ChannelView]:
    async with open_runtime(settings) as runtime:
        return await runtime.relay_context.channels.all(_SCOPE)


@command.command("test")
@click.argument("channel")
@click.option("--model", default=None, help="Which of its models to call (its first).")
@command_options
def test_channel(channel: str, loaded: Loaded, *, model: str | None, as_json: bool) -> None:
    """Call CHANNEL (a name or id) once and say how it went; exit 1 when it failed."""
    outcome = run(_test(loaded.settings, channel, model))
    if as_json:
        print_json(outcome)
    elif outcome.ok:
        click.echo(f"{channel} answered for {outcome.model} in {outcome.latency_ms:.0f} ms")
    if not outcome.ok:
        fail(f"{channel} did not answer for {outcome.model}: {outcome.error}")


async def _test(settings: Settings, channel: str, model: str | None) -> ChannelTest:
    async with open_runtime(settings) as runtime:
        context = runtime.relay_context
        try:
            views = await context.channels.all(_SCOPE)
            found = next((view for view in views if channel in {view.name, str(view.id)}), None)
            if found is None:
                fail(f"There is no channel {channel}; `tidemill channels list` shows them.")
            return await context.channels.test(_SCOPE, found.id, model, _NOBODY)
        finally:
            await context.close()
            await runtime.meter.close()


@command.command("who")
@click.argument("model")
@click.option("--group", default="default", show_default=True, help="Group of the caller.")
@click.option("--region", default=None, help="Where the call shall stay.")
@command_options
def who(model: str, loaded: Loaded, *, group: str, region: str | None, as_json: bool) -> None:
    """Tell which channels would serve MODEL, in which order, and why others would not.

    It tells what the configuration says; the state of a running server (breakers, limits) is in its console.
    """
    found = run(_who(loaded.settings, Question(model=model, group=group, region=region)))
    if as_json:
        print_json(found)
        return
    click.echo(f"strategy: {found.strategy} (from {found.strategy_from})")
    print_table(
        ("RANK", "CHANNEL", "TIER", "VERDICT", "WHY"),
        [(one.rank or "-", one.channel, one.tier or "-", one.verdict, one.why) for one in found.candidates],
    )
    if found.would_serve is None:
        fail(f"No channel would serve {model}.")


async def _who(settings: Settings, question: Question) -> Forecast:
    async with open_runtime(settings) as runtime:
        return runtime.relay_context.rules.forecast(question, _NOBODY, question.group or "default")


@command.command("export")
@click.option("--out", type=click.File("w", encoding="utf-8"), default="-", help="Where to write (standard output).")
@command_options
def export(out: TextIO, loaded: Loaded, *, as_json: bool) -> None:
    """Write every channel as YAML, without keys; what model configurations make is not part of it."""
    if as_json:
        print_json({"channels": run(_export(loaded.settings))})
    else:
        out.write(run(_export_yaml(loaded.settings)))


async def _export(settings: Settings) -> list[dict[str, Any]]:
    async with open_runtime(settings) as runtime:
        return await runtime.relay_context.imports.export(_SCOPE)


async def _export_yaml(settings: Settings) -> str:
    async with open_runtime(settings) as runtime:
        return await runtime.relay_context.imports.export_yaml(_SCOPE)


@command.command("import")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--dry-run", is_flag=True, help="Tell what would change; change nothing.")
@command_options
def import_channels(file: Path, loaded: Loaded, *, dry_run: bool, as_json: bool) -> None:
    """Make or change the channels of FILE (YAML, as export writes it), by name; all of them or none.

    What an entry leaves out stays; `keys: [...]` in an entry replaces that channel's keys.
    """
    report = run(_import(loaded.settings, file.read_bytes(), dry_run=dry_run))
    if as_json:
        print_json(report)
        return
    would = "would be " if dry_run else ""
    click.echo(f"{len(report.created)} {would}created, {len(report.changed)} {would}changed")
    for changed in report.differences if dry_run else ():
        for field in changed.fields:
            click.echo(f"  {changed.name}: {field.field}: {field.before!r} -> {field.after!r}")


async def _import(settings: Settings, content: bytes, *, dry_run: bool) -> ImportReport:
    async with open_runtime(settings) as runtime:
        return await runtime.relay_context.imports.take(_SCOPE, content, None, dry_run=dry_run)
