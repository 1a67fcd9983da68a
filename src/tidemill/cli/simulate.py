"""``tidemill simulate``: a model provider to test against, on an address of its own."""

import asyncio
import sys
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

import click
import msgspec

from tidemill.kernel.errors import BadInput
from tidemill.simulator.config import PROTOCOLS, REASONING_FIELDS, SimulatorConfig
from tidemill.simulator.fault_words import COMMON_OPTIONS, KINDS, Fault, parse_faults

if TYPE_CHECKING:
    from tidemill.simulator.serving import Served

# Where a client library's base URL ends: OpenAI's leaves the version to the caller, the others bring it along.
_VERSIONED = frozenset({"openai", "responses"})


def _faults(_context: click.Context, _parameter: click.Parameter, value: str) -> tuple[Fault, ...]:
    try:
        return parse_faults(value)
    except BadInput as problem:
        raise click.BadParameter(problem.detail) from None


def _vocabulary() -> str:
    """Return the fault language as the end of the help text; a backspace keeps click from filling the lines."""
    width = max(len(name) for name in KINDS)
    lines = [
        f"  {name:<{width}}  {kind.about}" for name, kind in KINDS.items() if not (name.isdecimal() and name != "429")
    ]
    statuses = ", ".join(name for name in KINDS if name.isdecimal())
    return "\n".join(
        [
            "\b",
            "Faults: KIND[:SHARE][:OPTION=VALUE,…], several with commas between, such as",
            "  429:0.1,cut:after=5,times=2,delay:s=0.2",
            f"Options of all: {', '.join(COMMON_OPTIONS)}.",
            "A request orders its own by the header x-simulate, or by [simulate …] in its text.",
            f"Statuses: {statuses}.",
            *lines,
        ]
    )


@click.command("simulate", epilog=_vocabulary())
@click.option(
    "--protocol",
    "protocols",
    type=click.Choice(PROTOCOLS),
    multiple=True,
    default=["openai"],
    show_default=True,
    help="Wire protocol; give it several times to serve several at one address.",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=0, show_default=True, help="Port; 0 takes a free one.")
@click.option("--latency", type=click.FloatRange(0), default=0.0, help="Seconds before the first byte of an answer.")
@click.option("--chunk-interval", type=click.FloatRange(0), default=0.0, help="Seconds between chunks of a stream.")
@click.option("--slots", type=click.IntRange(0), default=0, help="Requests at work at once, others queue; 0: no bound.")
@click.option("--models", default="", help="Comma-separated model names; others get 404. Unset: any name.")
@click.option("--api-key", default=None, help="Key that callers must send; unset: any.")
@click.option("--faults", default="", callback=_faults, help="Faults in the language below, e.g. 429:0.1,cut:0.05.")
@click.option("--retry-after", type=click.FloatRange(0), default=1.0, show_default=True, help="Seconds told with 429.")
@click.option("--low-share", type=click.FloatRange(0, 1), default=0.0, help="Share of rows that the judge marks down.")
@click.option("--dimensions", type=click.IntRange(1, 4096), default=384, show_default=True, help="Size of embeddings.")
@click.option("--lenient", is_flag=True, help="Accept fields that the provider does not know.")
@click.option("--think", is_flag=True, help="Reason in every answer, not only when asked to.")
@click.option(
    "--reasoning-field",
    type=click.Choice(REASONING_FIELDS),
    default=REASONING_FIELDS[0],
    show_default=True,
    help="Where a chat completion shows its reasoning; OpenAI itself: none.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of content and faults.")
def command(  # noqa: PLR0913, PLR0917 - one argument for each option
    protocols: tuple[str, ...],
    host: str,
    port: int,
    latency: float,
    chunk_interval: float,
    slots: int,
    models: str,
    api_key: str | None,
    faults: tuple[Fault, ...],
    retry_after: float,
    low_share: float,
    dimensions: int,
    lenient: bool,  # noqa: FBT001 - click hands options over by name
    think: bool,  # noqa: FBT001 - as above
    reasoning_field: str,
    seed: int,
) -> None:
    """Run a simulated model provider until interrupted.

    Prints one JSON line with its base URL once it accepts connections. Controls: POST /_simulator/faults,
    GET /_simulator/stats, POST /_simulator/reset, GET /_simulator/health.
    """
    config = SimulatorConfig(
        protocols=tuple(dict.fromkeys(protocols)),
        latency_s=latency,
        chunk_interval_s=chunk_interval,
        slots=slots,
        models=tuple(name.strip() for name in models.split(",") if name.strip()),
        api_key=api_key,
        faults=faults,
        retry_after_s=retry_after,
        low_share=low_share,
        seed=seed,
        dimensions=dimensions,
        strict=not lenient,
        thinks=think,
        reasoning_field=reasoning_field,
    )
    try:
        _run(_serving(config, host, port, _announcer(config)))
    except OSError as problem:
        raise click.ClickException(f"Cannot listen on {host}:{port}: {problem.strerror or problem}.") from None


def _announcer(config: SimulatorConfig) -> "Callable[[Served], None]":
    def announce(served: "Served") -> None:
        first = config.protocols[0]
        line = {
            "protocol": first,
            "protocols": config.protocols,
            "base_url": served.base_url if first in _VERSIONED else served.origin,
            "origin": served.origin,
            "models": list(config.models) or ["simulator"],
            "slots": config.slots,
        }
        click.echo(msgspec.json.encode(line).decode())
        sys.stdout.flush()

    return announce


async def _serving(config: SimulatorConfig, host: str, port: int, announce: "Callable[[Served], None]") -> None:
    from tidemill.simulator.serving import serve  # noqa: PLC0415 - loaded on first use: --help stays quick

    await serve(config, host, port, announce)


def _run(work: Coroutine[Any, Any, None]) -> None:
    try:
        import uvloop  # noqa: PLC0415 - absent on Windows
    except ImportError:
        asyncio.run(work)
        return
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(work)
