"""Run a program so that it cannot outlive the process that wanted it. Started as a script, never imported.

Where Linux's prctl exists the kernel keeps the pact: the program takes this script's place and is killed in the moment
its parent dies. SIGKILL rather than SIGTERM, because a server that hangs on SIGTERM would live on and nobody is left
to ask twice. The signal is tied to the parent's *thread*, so the parent spawns from the thread of its main loop.
Elsewhere this script stays between the two: it ends the program when its own standard input, a pipe held by the
parent, reaches its end, and passes SIGTERM on.

    python -I -S death_pact.py PARENT_PID PROGRAM ARGUMENT…
"""

import os
import signal
import subprocess
import sys
import threading

_PR_SET_PDEATHSIG = 1
_PARENT_GONE = 76
_GRACE_S = 3.0


def main(parent: int, command: list[str]) -> int:
    """Enter the pact and run ``command``; returns only where the script has to stay."""
    if sys.platform == "linux":
        import ctypes  # noqa: PLC0415 - Linux only; absent from some slim builds of Python elsewhere

        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        # The parent may have died before prctl; its death then sends nothing.
        if os.getppid() != parent:
            return _PARENT_GONE
        os.execv(command[0], command)  # noqa: S606 - the supervisor's own command, no shell
    return _stay(command)


def _stay(command: list[str]) -> int:
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL)  # noqa: S603 - the supervisor's own command, no shell

    def pass_on(_number: int, _frame: object) -> None:
        child.terminate()

    def watch() -> None:
        while os.read(0, 4096):
            continue
        child.terminate()
        try:
            child.wait(_GRACE_S)
        except subprocess.TimeoutExpired:
            child.kill()

    signal.signal(signal.SIGTERM, pass_on)
    threading.Thread(target=watch, daemon=True).start()
    code = child.wait()
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2:]))
