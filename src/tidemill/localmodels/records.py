"""Records of running processes beside the data, so that whoever comes next can find them.

One file per process, readable by the owner alone. At boot the processes of an owner that died are ended. Another
program on the same data directory (``tidemill generate``) finds a running server's instances here and holds a shared
lock on the record while it uses one, which keeps the server from unloading it; the lock goes with its holder.
"""

import fcntl
import os
import signal
from collections.abc import Generator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

_SAME_START_S: Final = 2.0  # psutil derives start times from the boot time, which moves when the clock is set
_TERM_WAIT_S: Final = 3.0


class Record(Struct, frozen=True, kw_only=True):
    """One llama-server process and who runs it; start times are seconds since 1970."""

    pid: int
    started: float
    owner_pid: int
    owner_started: float
    name: str
    port: int
    api_key: str
    slots: int
    context: int
    ready: bool


class Records:
    """The folder of records."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def write(self, record: Record) -> None:
        """Write or replace the record of ``record.pid``; readers see the old or the new one, never half."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = self._path(record.pid)
        draft = path.with_suffix(".part")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            os.write(descriptor, msgspec.json.encode(record))
        finally:
            os.close(descriptor)
        draft.replace(path)

    def remove(self, pid: int) -> None:
        """Forget a process that has ended."""
        self._path(pid).unlink(missing_ok=True)

    def reap(self) -> list[Record]:
        """End every recorded process whose owner is gone, and return them. Blocks up to 3 s for each that hangs."""
        ended: list[Record] = []
        for path, record in self._all():
            if _is_process(record.owner_pid, record.owner_started):
                continue
            if _is_process(record.pid, record.started, alias=record.name):
                _end(record)
                ended.append(record)
            path.unlink(missing_ok=True)
        return ended

    def ready(self, name: str) -> list[Record]:
        """Return the ready instances of ``name`` that another living process runs."""
        return [record for record in self.others() if record.name == name and record.ready]

    def others(self) -> list[Record]:
        """Return the instances that other living processes run."""
        return [
            record
            for _, record in self._all()
            if record.owner_pid != os.getpid()
            and _is_process(record.owner_pid, record.owner_started)
            and _is_process(record.pid, record.started, alias=record.name)
        ]

    @contextmanager
    def using(self, pid: int) -> Generator[bool]:
        """Hold the shared lock of a process's record; yields False when the record has gone."""
        try:
            descriptor = os.open(self._path(pid), os.O_RDONLY)
        except FileNotFoundError:
            yield False
            return
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
            yield self._path(pid).exists()
        except BlockingIOError:  # the owner holds the exclusive lock: it is being unloaded at this moment
            yield False
        finally:
            os.close(descriptor)

    def claim(self, pid: int) -> bool:
        """Forget the record unless somebody else uses the process now; tells whether it is ours alone."""
        try:
            descriptor = os.open(self._path(pid), os.O_RDONLY)
        except FileNotFoundError:
            return True
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        else:
            self._path(pid).unlink(missing_ok=True)
            return True
        finally:
            os.close(descriptor)

    def _path(self, pid: int) -> Path:
        return self._folder / f"{pid}.json"

    def _all(self) -> list[tuple[Path, Record]]:
        found: list[tuple[Path, Record]] = []
        for path in sorted(self._folder.glob("*.json")):
            try:
                found.append((path, msgspec.json.decode(path.read_bytes(), type=Record)))
            except FileNotFoundError:
                continue
            except msgspec.DecodeError:  # not ours to understand, and worth nothing: a record is written whole or not
                path.unlink(missing_ok=True)
        return found


@cache
def this_process() -> tuple[int, float]:
    """Return our own id and start time."""
    return os.getpid(), started_at(os.getpid())


def started_at(pid: int) -> float:
    """Return when ``pid`` began, in seconds since 1970; 0 when there is no such process."""
    import psutil  # noqa: PLC0415 - loaded on first use

    try:
        return float(psutil.Process(pid).create_time())
    except psutil.Error:
        return 0.0


def _is_process(pid: int, started: float, alias: str | None = None) -> bool:
    """Tell whether ``pid`` is still the process that began at ``started`` (numbers are used again)."""
    import psutil  # noqa: PLC0415 - loaded on first use

    try:
        process = psutil.Process(pid)
        if abs(process.create_time() - started) > _SAME_START_S or process.status() == psutil.STATUS_ZOMBIE:
            return False
        return alias is None or alias in process.cmdline()
    except psutil.Error:
        return False


def _end(record: Record) -> None:
    import psutil  # noqa: PLC0415 - loaded on first use

    try:
        process = psutil.Process(record.pid)
        os.killpg(record.pid, signal.SIGTERM)
        process.wait(_TERM_WAIT_S)
    except (psutil.NoSuchProcess, ProcessLookupError):
        return
    except psutil.TimeoutExpired:
        os.killpg(record.pid, signal.SIGKILL)
