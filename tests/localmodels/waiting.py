"""Wait for a process that is not ours to end."""

import os
import signal
import time

import pytest

from tests.localmodels.conftest import is_alive


def wait_until_gone(pid: int, within_s: float) -> float:
    """Return the seconds it took; ends the process and fails the test when it takes longer."""
    began = time.monotonic()
    while is_alive(pid):
        if time.monotonic() - began > within_s:
            os.kill(pid, signal.SIGKILL)
            pytest.fail(f"the child outlived its parent by more than {within_s} s")
        time.sleep(0.01)
    return time.monotonic() - began
