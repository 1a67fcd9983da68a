"""Run a simulator on a socket: as a program of its own, or inside a process that tests something else."""

import asyncio
import signal
import socket
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager

import uvicorn
from msgspec import Struct
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from tidemill.simulator.app import Simulator
from tidemill.simulator.config import SimulatorConfig
from tidemill.simulator.exchange import TRANSPORT

_BACKLOG = 2048


class Served(Struct, frozen=True):
    """A simulator at work: its application, to look into and to steer, and the address to call.

    ``base_url`` ends in ``/v1``; the controls are under ``origin``.
    """

    app: Simulator
    origin: str

    @property
    def base_url(self) -> str:
        """Return what a client library takes as its base URL."""
        return f"{self.origin}/v1"


async def serve(config: SimulatorConfig, host: str, port: int, announce: Callable[[Served], None]) -> None:
    """Listen on ``host:port`` (0 = a free port), call ``announce`` once ready, return on SIGINT or SIGTERM.

    Raises OSError when the address cannot be bound.
    """
    with _listening(host, port) as listener:
        served = Served(Simulator(config), _origin(listener))
        server = _Embedded(_options(served.app))
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, _stop, server)
        announce(served)
        try:
            await server.serve(sockets=[listener])
        finally:
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)


@asynccontextmanager
async def running(config: SimulatorConfig | None = None) -> AsyncGenerator[Served, None]:
    """Serve a simulator on a free loopback port in this event loop while the block runs."""
    with _listening("127.0.0.1", 0) as listener:
        served = Served(Simulator(config), _origin(listener))
        server = _Embedded(_options(served.app))
        async with asyncio.TaskGroup() as group:
            group.create_task(server.serve(sockets=[listener]))
            try:
                yield served
            finally:
                _stop(server)


def _stop(server: uvicorn.Server) -> None:
    """End without waiting for answers under way: a provider may hang up at any moment."""
    server.should_exit = True
    server.force_exit = True


class _Embedded(uvicorn.Server):
    """A server that leaves the process's signals to us; uvicorn would end the process by the signal it got."""

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Take no signal over."""
        yield


class _Protocol(HttpToolsProtocol):
    """Hands the connection's transport to the application: ASGI has no word for hanging up without an answer."""

    def on_message_begin(self) -> None:
        """Begin a request's scope."""
        super().on_message_begin()
        self.scope["extensions"] = {TRANSPORT: self.transport}  # type: ignore[typeddict-item] - ours, no known one


@contextmanager
def _listening(host: str, port: int) -> Generator[socket.socket, None, None]:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(_BACKLOG)
        yield listener


def _origin(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if listener.family is socket.AF_INET6 else f"http://{host}:{port}"


def _options(app: Simulator) -> uvicorn.Config:
    # log_level critical: uvicorn would report every ordered cut as an error of the application.
    return uvicorn.Config(
        app,
        http=_Protocol,
        lifespan="off",
        date_header=False,
        server_header=False,
        access_log=False,
        log_level="critical",
        timeout_graceful_shutdown=1,
        backlog=_BACKLOG,
    )
