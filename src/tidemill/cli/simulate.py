"""``tidemill simulate``: a model provider to test against, on an address of its own."""

import asyncio
import sys
from collections.abc import Callable, Coroutine
from typing import Any

import click
import msgspec

from tidemill.kernel.errors import BadInput
from tidemill.simulator.config import SimulatorConfig, parse_faults

_LATER = ("responses", "anthropic", "gemini")


def _faults(_context: click.Context, _parameter: click.Parameter, value: str) -> dict[str, float]:
    try:
        return parse_faults(value)
    except BadInput as problem:
        raise click.BadParameter(problem.detail) from None


@click.command("simulate")
@click.option(
    "--protocol", type=click.Choice(["openai", *_LATER]), default="openai", show_default=True, help="Wire protocol."
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=0, show_default=True, help="Port; 0 takes a free one.")
@click.option("--latency", type=click.FloatRange(0), default=0.0, help="Seconds before the first byte of an answer.")
@click.option("--chunk-interval", type=click.FloatRange(0), default=0.0, help="Seconds between chunks of a stream.")
@click.option("--slots", type=click.IntRange(0), default=0, help="Requests at work at once, others queue; 0: no bound.")
@click.option("--models", default="", help="Comma-separated model names; others get 404. Unset: any name.")
@click.option("--api-key", default=None, help="Key that callers must send; unset: none.")
@click.option(
    "--faults", default="", callback=_faults, help="Shares of faults, e.g. 429:0.1,500:0.05,cut:0.05,hang:0.02."
)
@click.option("--retry-after", type=click.FloatRange(0), default=1.0, show_default=True, help="Seconds told with 429.")
@click.option("--low-share", type=click.FloatRange(0, 1), default=0.0, help="Share of rows that the judge marks down.")
@click.option("--dimensions", type=click.IntRange(1, 4096), default=384, show_default=True, help="Size of embeddings.")
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of content and faults.")
def command(  # noqa: PLR0913, PLR0917 - one argument for each option
    protocol: str,
    host: str,
    port: int,
    latency: float,
    chunk_interval: float,
    slots: int,
    models: str,
    api_key: str | None,
    faults: dict[str, float],
    retry_after: float,
    low_share: float,
    dimensions: int,
    seed: int,
) -> None:
    """Run a simulated model provider until interrupted.

    Prints one JSON line with its base URL once it accepts connections. Controls: POST /_simulator/faults,
    GET /_simulator/stats, GET /_simulator/health.
    """
    if protocol in _LATER:
        raise click.UsageError(f"The protocol {protocol} is not simulated yet; use --protocol openai.")
    config = SimulatorConfig(
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
    )
    try:
        _run(_serving(config, host, port, _announcer(protocol, config)))
    except OSError as problem:
        raise click.ClickException(f"Cannot listen on {host}:{port}: {problem.strerror or problem}.") from None


def _announcer(protocol: str, config: SimulatorConfig) -> Callable[[str], None]:
    def announce(base_url: str) -> None:
        models = list(config.models) or ["simulator"]
        line = {"protocol": protocol, "base_url": base_url, "models": models, "slots": config.slots}
        click.echo(msgspec.json.encode(line).decode())
        sys.stdout.flush()

    return announce


async def _serving(config: SimulatorConfig, host: str, port: int, announce: Callable[[str], None]) -> None:
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
