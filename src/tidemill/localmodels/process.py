"""One llama-server process: started under the death pact, its output kept, ended by a ladder of signals."""

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from tidemill.platform.tasks import TaskOwner

_PACT: Final = Path(__file__).with_name("death_pact.py")
# Measured: with a ping every second a SIGTERM while streaming takes 2.2 s; a second SIGTERM ends it at once.
LADDER: Final = ((signal.SIGTERM, 3.0), (signal.SIGTERM, 1.0), (signal.SIGKILL, 5.0))
_CHUNK_BYTES: Final = 64 * 1024
_SIGNAL_BASE: Final = 128
_LAST_WORDS_S: Final = 1.0


class ServerProcess:
    """A started child. ``ended`` completes with its exit code (negative: the signal that ended it)."""

    def __init__(self, process: asyncio.subprocess.Process, ended: asyncio.Task[int]) -> None:
        self._process = process
        self.pid = process.pid
        self.ended = ended

    def send(self, number: signal.Signals) -> None:
        """Signal the child and whatever it started; nothing happens when it has ended."""
        if not self.ended.done():
            try:
                os.killpg(self.pid, number)
            except ProcessLookupError:
                return

    async def end(self, ladder: Sequence[tuple[signal.Signals, float]] = LADDER) -> int:
        """Climb the ladder until the child has ended; returns its exit code."""
        for number, patience_s in ladder:
            self.send(number)
            done, _ = await asyncio.wait({self.ended}, timeout=patience_s)
            if done:
                break
        return await asyncio.shield(self.ended)


async def launch(
    command: Sequence[str], environment: dict[str, str], on_line: Callable[[str], None], tasks: TaskOwner
) -> ServerProcess:
    """Start ``command``; every line it prints goes to ``on_line``.

    Must be awaited on the thread that lives as long as the program, because the death pact follows that thread.
    Raises OSError when it cannot be started.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-I",
        "-S",
        str(_PACT),
        str(os.getpid()),
        *command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=environment,
        start_new_session=True,
    )
    reading = tasks.spawn(f"local model output {process.pid}", _read_lines(process.stdout, on_line))
    ended = tasks.spawn(f"local model process {process.pid}", _follow(process, reading))
    return ServerProcess(process, ended)


async def _follow(process: asyncio.subprocess.Process, reading: asyncio.Task[None]) -> int:
    try:
        code = await process.wait()
    finally:
        if process.returncode is None:  # cancelled: nobody will ask again
            os.killpg(process.pid, signal.SIGKILL)
        # Whatever the child started may still hold the pipe; its words are not waited for.
        await asyncio.wait({reading}, timeout=_LAST_WORDS_S)
        reading.cancel()
        if process.stdin is not None:
            process.stdin.close()
    if sys.platform != "linux" and code > _SIGNAL_BASE:  # the wrapper cannot die of its child's signal
        return _SIGNAL_BASE - code
    return code


async def _read_lines(output: asyncio.StreamReader | None, on_line: Callable[[str], None]) -> None:
    """Read until every writer has closed; a line without end is cut into pieces of 64 KiB."""
    rest = b""
    while output is not None and (chunk := await output.read(_CHUNK_BYTES)):
        *lines, rest = (rest + chunk).split(b"\n")
        if len(rest) > _CHUNK_BYTES:
            lines.append(rest)
            rest = b""
        for line in lines:
            on_line(line.decode("utf-8", "replace").rstrip("\r"))
    if rest:
        on_line(rest.decode("utf-8", "replace"))
