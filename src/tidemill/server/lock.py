"""One server a data directory, one worker a SQLite database: locks on files, let go by the kernel at the end."""

import fcntl
import os
from pathlib import Path
from typing import ClassVar

from tidemill.kernel.errors import Conflict


class AlreadyServed(Conflict):
    """Another server holds this data directory."""

    code = "already_served"
    zh = "该数据目录已有服务在运行；请先停止它，或改用其他 --data-dir。"
    en = "A server already runs on this data directory. Stop it, or name another --data-dir."


class AlreadyWorked(Conflict):
    """Another worker runs the jobs of this SQLite database."""

    code = "already_worked"
    zh = "该数据目录已有进程在处理任务，而 SQLite 只支持一个；请先停止它，或改用 PostgreSQL（database.url）。"
    en = "A worker already runs on this data directory, and SQLite serves one. Stop it, or move to PostgreSQL."


class _Lock:
    """Holds a part in a data directory for as long as the process lives."""

    name: ClassVar[str]
    refusal: ClassVar[type[Conflict]]

    def __init__(self, data_dir: Path) -> None:
        self._path = data_dir / self.name
        self._descriptor: int | None = None

    def take(self) -> None:
        """Lock it; raises the class's refusal when another process holds it."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(descriptor)
            raise self.refusal(str(self._path.parent)) from error
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode())
        self._descriptor = descriptor

    def release(self) -> None:
        """Let the directory go."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


class ServerLock(_Lock):
    """The one server of a data directory."""

    name = "server.lock"
    refusal = AlreadyServed


class WorkerLock(_Lock):
    """The one process that runs the jobs of a SQLite database: whatever else is marked as running is an orphan."""

    name = "worker.lock"
    refusal = AlreadyWorked


def is_served(data_dir: Path) -> bool:
    """Tell whether a server holds this data directory."""
    try:
        descriptor = os.open(data_dir / ServerLock.name, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
