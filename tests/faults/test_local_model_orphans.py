"""No llama-server outlives the process that started it, however that one ends."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.localmodels import gguf_files
from tests.localmodels.conftest import make_fake_binary
from tests.localmodels.waiting import wait_until_gone

GONE_WITHIN_S = 3.0
START_S = 30.0
PARENT = """
import asyncio, sys
from pathlib import Path
from tidemill.localmodels.facade import LocalModels
from tidemill.platform.settings import Settings
from tidemill.platform.settings.groups.local_models import LocalModels as Options
from tidemill.platform.settings.groups.server import ServerSettings

async def main(data_dir, binary):
    options = Options(server_binary=binary, port_min=0, memory_check=False)
    models = LocalModels(Settings(server=ServerSettings(data_dir=Path(data_dir)), local_models=options))
    await models.start_up()
    await models.start("one")
    while models.get("one").pid is None:
        await asyncio.sleep(0.01)
    print(models.get("one").pid, flush=True)
    await models.start("one", wait=True)
    print("ready", flush=True)
    await asyncio.sleep(600)

if sys.argv[3] == "uvloop":
    import uvloop
    uvloop.run(main(sys.argv[1], sys.argv[2]))
else:
    asyncio.run(main(sys.argv[1], sys.argv[2]))
"""


class Parent:
    """A program that runs one local model."""

    def __init__(self, folder: Path, loop: str, **orders: object) -> None:
        data_dir = folder / "data"
        model = gguf_files.write(data_dir / "models" / "one.gguf")
        model.with_name("one.gguf.json").write_text(json.dumps(orders))
        binary = make_fake_binary(folder)
        self.process = subprocess.Popen(
            [sys.executable, "-c", PARENT, str(data_dir), str(binary), loop], stdout=subprocess.PIPE, text=True
        )
        self.child = int(self.line())

    def line(self) -> str:
        assert self.process.stdout is not None
        while (line := self.process.stdout.readline()) and "local_model" in line:
            continue
        return line

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_kill_9_of_the_parent_ends_a_ready_child(tmp_path: Path, loop: str) -> None:
    parent = Parent(tmp_path, loop)
    assert parent.line() == "ready\n"
    parent.kill()
    wait_until_gone(parent.child, GONE_WITHIN_S)


def test_kill_9_of_the_parent_ends_a_loading_child(tmp_path: Path) -> None:
    parent = Parent(tmp_path, "asyncio", load_s=60)
    parent.kill()
    wait_until_gone(parent.child, GONE_WITHIN_S)


def test_kill_9_of_the_parent_ends_a_child_that_ignores_sigterm(tmp_path: Path) -> None:
    parent = Parent(tmp_path, "asyncio", ignore_term=True)
    assert parent.line() == "ready\n"
    parent.kill()
    wait_until_gone(parent.child, GONE_WITHIN_S)


def test_a_parent_that_died_before_the_pact_is_noticed(tmp_path: Path) -> None:
    pact = Path(__file__).parents[2] / "src" / "tidemill" / "localmodels" / "death_pact.py"
    mark = tmp_path / "ran"
    done = subprocess.run(
        [sys.executable, "-I", "-S", str(pact), "1", sys.executable, "-c", f"open({str(mark)!r}, 'w')"],
        check=False,
        timeout=START_S,
    )
    assert done.returncode != 0
    assert not mark.exists()


def test_where_the_kernel_keeps_no_pact_a_process_in_between_does() -> None:
    pact = Path(__file__).parents[2] / "src" / "tidemill" / "localmodels" / "death_pact.py"
    words = "import os, time; print(os.getpid(), flush=True); time.sleep(600)"
    elsewhere = "import runpy, sys; sys.platform = 'darwin'; sys.argv = sys.argv[1:]"
    stay = f"{elsewhere}; runpy.run_path({str(pact)!r}, run_name='__main__')"
    between = subprocess.Popen(
        [sys.executable, "-c", stay, str(pact), str(os.getpid()), sys.executable, "-c", words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert between.stdin is not None
    assert between.stdout is not None
    child = int(between.stdout.readline())
    between.stdin.close()  # what the parent's death does
    wait_until_gone(child, GONE_WITHIN_S)
    assert between.wait(GONE_WITHIN_S) == 128 + signal.SIGTERM
    between.stdout.close()
