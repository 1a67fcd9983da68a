"""Run a command and start it anew whenever a Python file below a folder changes: ``reload.py FOLDER -- COMMAND…``.

Looks at modification times twice a second, which needs no package and works on every file system.
"""

import signal
import subprocess
import sys
import time
from pathlib import Path

INTERVAL_S = 0.5
STOP_S = 30


def newest(folder: Path) -> float:
    """Return the newest modification time of a Python file below ``folder``."""
    return max((path.stat().st_mtime for path in folder.rglob("*.py")), default=0.0)


def stop(process: subprocess.Popen[bytes]) -> None:
    """Ask the process to end, and see that it does."""
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def main(folder: Path, command: list[str]) -> int:
    """Watch until the user interrupts; a command that ends by itself is started again at the next change."""
    while True:
        seen = newest(folder)
        process = subprocess.Popen(command)  # noqa: S603 - the developer's own command
        try:
            while newest(folder) == seen:
                time.sleep(INTERVAL_S)
        except KeyboardInterrupt:
            return 0
        finally:
            stop(process)


if __name__ == "__main__":
    separator = sys.argv.index("--")
    sys.exit(main(Path(sys.argv[1]), sys.argv[separator + 1 :]))
