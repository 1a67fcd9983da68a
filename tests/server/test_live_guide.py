"""The guide's examples do what they say."""

import os
import re
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from tests.fixtures.processes import Server, Simulator
from tests.server.live_work import Work
from tidemill.server.live import closing
from tidemill.server.live.topics import TOPICS

GUIDE = (Path(__file__).parents[2] / "docs" / "guide" / "live-events.md").read_text(encoding="utf-8")


def example(language: str) -> str:
    """Return the guide's only example in a language."""
    [found] = re.findall(rf"^```{language}\n(.*?)^```", GUIDE, re.MULTILINE | re.DOTALL)
    return str(found)


def test_every_close_code_and_topic_is_told_of() -> None:
    for code in closing.REASONS.keys() - {closing.NORMAL}:
        assert f"| {code} |" in GUIDE
    for topic in TOPICS:
        assert f"| `{topic}` |" in GUIDE


@pytest.mark.journey
def test_the_examples_follow_a_task(server: Server, simulator: Simulator) -> None:
    token = server.sign_in()
    work = Work(server, simulator, token)
    key = server.post("/api/v1/keys", {"name": "watcher", "scopes": ["datagen"]}, token)["key"]
    environment = {**os.environ, "URL": server.base_url, "KEY": key, "PYTHONUNBUFFERED": "1"}
    curl = subprocess.Popen(
        ["bash", "-c", f"exec {example('sh')}"], env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    python = subprocess.Popen(
        [sys.executable, "-c", example("python")], env=environment, stdout=subprocess.PIPE, text=True
    )
    try:
        assert curl.stdout is not None
        assert python.stdout is not None
        assert curl.stdout.readline() == b"retry: 2000\n"
        # Tasks are started until the second one, which takes a moment to connect, hears of one to its end.
        while python.poll() is None:
            work.start_task(1)
            with suppress(subprocess.TimeoutExpired):
                python.wait(1)
        assert python.returncode == 0
        assert re.search(r"^task\.ended task_\S+ 2/2$", python.stdout.read(), re.MULTILINE)
        seen = b""
        while b'"type":"task.ended"' not in seen:
            seen += curl.stdout.readline()
        assert b'"type":"ready"' in seen
    finally:
        for process in (curl, python):
            process.kill()
            process.wait()
            if process.stdout is not None:
                process.stdout.close()
