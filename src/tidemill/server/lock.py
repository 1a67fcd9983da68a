"""One server a data directory: a lock on a file, let go by the kernel however the process ends."""

import fcntl
import os
from pathlib import Path

from tidemill.kernel.errors import Conflict

NAME = "server.lock"


class AlreadyServed(Conflict):
    """Another server holds this data directory."""

    code = "already_served"
    zh = "该数据目录已有服务在运行；请先停止它，或改用其他 --data-dir。"
    en = "A server already runs on this data directory. Stop it, or name another --data-dir."


class ServerLock:
    """Holds the data directory for as long as the process lives."""

    def __init__(self, data_dir: Path) -> None:
        self._path = data_dir / NAME
        self._descriptor: int | None = None

    def take(self) -> None:
        """Lock the directory; raises AlreadyServed when another process holds it."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(descriptor)
            raise AlreadyServed(str(self._path.parent)) from error
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode())
        self._descriptor = descriptor

    def release(self) -> None:
        """Let the directory go."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def is_served(data_dir: Path) -> bool:
    """Tell whether a server holds this data directory."""
    try:
        descriptor = os.open(data_dir / NAME, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
