"""Run the server: from settings to a listening socket, and in order back to nothing.

On SIGTERM or SIGINT the listener closes, long answers (SSE) are told to end, calls in flight may finish within
``server.drain_s``, jobs are handed back at a checkpoint, and local models end with us.
"""

import asyncio
import contextlib
import gc
import signal
import socket
import sys
from collections.abc import Callable, Generator
from types import FrameType
from typing import TYPE_CHECKING, Any, cast

import uvicorn

from tidemill.kernel.errors import BadInput, Unavailable
from tidemill.platform.settings import Settings
from tidemill.platform.tasks import TaskOwner
from tidemill.platform.telemetry import configure_logs, get_logger
from tidemill.server.entry import App, Entry
from tidemill.server.listening import Listener
from tidemill.server.live.bounds import MAX_FRAME_BYTES, PING_S
from tidemill.server.lock import ServerLock, WorkerLock

if TYPE_CHECKING:
    from tidemill.server.wiring import Runtime

log = get_logger(__name__)

ROLES = frozenset({"api", "worker", "scheduler"})
BACKLOG = 2048
OPEN_FILES = 65_536
KEEP_ALIVE_S = 75


class PortTaken(Unavailable):
    """The address to listen on is in use or not ours."""

    code = "port_taken"
    zh = "无法监听该地址；请用 --port 换一个端口，或停止占用它的程序。"
    en = "Cannot listen on that address. Name another one with --port, or stop what uses it."


class _Server(uvicorn.Server):
    """Tells the product that the end has begun, before uvicorn waits for open answers.

    uvicorn raises a signal again after it has shut down, which would skip what we still have to put away.
    """

    def __init__(self, config: uvicorn.Config, on_exit: Callable[[], object]) -> None:
        super().__init__(config)
        self.on_exit = on_exit

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self.handle_exit, number, None)
        yield
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        try:
            self.on_exit()
        finally:
            super().handle_exit(sig, frame)


def serve(settings: Settings) -> None:
    """Serve until a signal ends it."""
    configure_logs(settings.log.level, settings.log.format, settings.log.file)
    if settings.server.production_mode and not settings.auth.secret_key:
        raise BadInput.of("auth.secret_key", "must be set in production mode; `tidemill init` makes one")
    _allow_open_files()
    locks = _locks(settings)
    for lock in locks:
        lock.take()
    gc.disable()  # imports leave next to nothing to collect; looking for it took a tenth of their time
    serves = "api" in settings.server.roles
    port = settings.server.port if serves else settings.server.health_port
    listener = None if port is None else _listen(settings.server.host, port)
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(_work(settings) if listener is None else _serve(settings, listener))
    for lock in locks:
        lock.release()


def _locks(settings: Settings) -> list[ServerLock | WorkerLock]:
    roles, data_dir = settings.server.roles, settings.data_dir
    unknown = sorted({*roles} - ROLES)
    if unknown or not roles:
        raise BadInput.of("server.roles", f"takes {', '.join(sorted(ROLES))}; not {', '.join(unknown) or 'none'}")
    locks: list[ServerLock | WorkerLock] = [ServerLock(data_dir)] if "api" in roles else []
    if "worker" in roles and settings.database_url.startswith("sqlite"):
        locks.append(WorkerLock(data_dir))
    return locks


async def _work(settings: Settings) -> None:
    """Run without a listener until a signal comes: a worker or a scheduler that nobody asks anything."""
    stop, owner = asyncio.Event(), TaskOwner()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    starting, stopping = owner.spawn("server.start", _started(settings)), owner.spawn("server.stop", stop.wait())
    await asyncio.wait([starting, stopping], return_when=asyncio.FIRST_COMPLETED)
    if not starting.done():
        starting.cancel()
        await asyncio.wait([starting])
        return
    runtime = starting.result()
    _say(f"tidemill is ready: {' and '.join(settings.server.roles)}")
    log.info("server.started", roles=settings.server.roles, data_dir=str(settings.data_dir.absolute()))
    await stopping
    await runtime.stop()
    log.info("server.stopped")


async def _serve(settings: Settings, listener: socket.socket) -> None:
    """Answer for being alive from the first moment, and for everything else once the parts have started."""
    entry, owner = Entry(), TaskOwner()
    starting = owner.spawn("server.start", _started(settings))
    server = _Server(listening_config(entry, settings), on_exit=starting.cancel)
    serving = owner.spawn("server.serve", server.serve(sockets=[listener]))
    await asyncio.wait([starting])
    if starting.cancelled() or starting.exception() is not None:
        server.should_exit = True
        await serving
        with contextlib.suppress(asyncio.CancelledError):  # a signal came during the start: that is an end in order
            starting.result()
        return
    runtime = starting.result()
    server.on_exit = runtime.begin_drain
    entry.open(runtime.application)
    _announce(settings, listener)
    try:
        await serving
    finally:
        await runtime.stop()
    log.info("server.stopped")


async def _started(settings: Settings) -> "Runtime":
    """Return the product, built and started; what was started of one that cannot be is put away again."""
    runtime = await asyncio.to_thread(_build, settings)
    try:
        await runtime.start()
    except BaseException:
        await runtime.stop()
        raise
    _spare_the_collector()
    return runtime


def _spare_the_collector() -> None:
    """Keep what lives as long as the server out of garbage collections.

    Measured under load: full collections walked the whole program for 100-160 ms at a time, seen as p99, and took a
    fifth of a relayed call's processor time; with this they walk what came since.
    """
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)
    gc.enable()


def _build(settings: Settings) -> "Runtime":
    """Import the product and bring the schema up, beside the loop; both take their time."""
    from tidemill.platform.db import migrate  # noqa: PLC0415 - loaded while the loop already answers
    from tidemill.server.wiring import Runtime  # noqa: PLC0415 - as above

    migrate.upgrade(settings.database_url)
    return Runtime(settings)


def listening_config(entry: App, settings: Settings) -> uvicorn.Config:
    """Return how ``entry`` is served to the network."""
    return uvicorn.Config(
        entry,
        http=Listener,
        # Loaded with the first WebSocket. uvicorn's own limit would hold a 16 MB frame in memory; compressing would
        # cost each idle watcher more than everything else of it.
        ws=cast("type[asyncio.Protocol]", _websocket),
        ws_max_size=MAX_FRAME_BYTES,
        ws_ping_interval=PING_S,
        ws_ping_timeout=PING_S,
        ws_per_message_deflate=False,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=True,
        proxy_headers=False,
        backlog=BACKLOG,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=max(1, round(settings.server.drain_s)),
    )


def _websocket(**parts: Any) -> asyncio.Protocol:
    """Make the protocol of one WebSocket connection."""
    from tidemill.server.live.protocol import LiveProtocol  # noqa: PLC0415 - 4 MB that a server without one saves

    return LiveProtocol(**parts)


def _allow_open_files() -> None:
    """Let the process open as many files as the system lets it: each watcher is one, and the usual 1,024 are few."""
    if sys.platform == "win32":
        return
    import resource  # noqa: PLC0415 - not on Windows

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, OPEN_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _announce(settings: Settings, listener: socket.socket) -> None:
    host, port = listener.getsockname()[:2]
    address = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    _say(f"tidemill is ready: {address}")
    log.info("server.started", address=address, data_dir=str(settings.data_dir.absolute()))


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise PortTaken(f"{host}:{port}: {error.strerror or error}") from error
    return listener


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    if sys.platform == "win32":
        return asyncio.new_event_loop
    import uvloop  # noqa: PLC0415 - not on Windows

    return uvloop.new_event_loop
