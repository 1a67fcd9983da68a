"""``tidemill channels`` on a data directory of its own."""

import asyncio
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from tests.relay.upstream import upstream
from tidemill.cli import root


@pytest.fixture
def service() -> Iterator[str]:
    """Give the address of a service that outlives the command's own event loops."""
    ready, done = threading.Event(), threading.Event()
    address: list[str] = []

    async def run() -> None:
        async with upstream() as running:
            address.append(running.url)
            ready.set()
            await asyncio.to_thread(done.wait)

    thread = threading.Thread(target=asyncio.run, args=(run(),))
    thread.start()
    assert ready.wait(10)
    yield address[0]
    done.set()
    thread.join()


class Shell:
    """Runs commands on one data directory."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __call__(self, *arguments: str) -> Result:
        return CliRunner().invoke(root, ["channels", *arguments, "--data-dir", str(self._folder)])


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path / "data")


def add(shell: Shell, address: str, *more: str) -> Result:
    return shell("add", "--name", "one", "--base-url", address, "--key", "sk-secret-1234", "--models", "a,b=c", *more)


def test_a_channel_is_added_listed_and_tried(shell: Shell, service: str) -> None:
    added = add(shell, service, "--weight", "2", "--priority", "3", "--json")
    assert added.exit_code == 0, added.output
    view = json.loads(added.stdout)
    assert (view["models"], view["weight"], view["priority"]) == ({"a": "a", "b": "c"}, 2, 3)
    listed = shell("list")
    assert "one" in listed.stdout
    assert "…1234" in listed.stdout
    assert "secret" not in listed.stdout
    tried = shell("test", "one", "--model", "b")
    assert tried.exit_code == 0, tried.output
    assert "answered for b" in tried.stdout


def test_a_failed_test_says_why_and_exits_1(shell: Shell) -> None:
    add(shell, "http://127.0.0.1:1")
    failed = shell("test", "one")
    assert failed.exit_code == 1
    assert "did not answer for a" in failed.stderr
    unknown = shell("test", "two")
    assert unknown.exit_code == 1
    assert "There is no channel two" in unknown.stderr


def test_wrong_usage_exits_2(shell: Shell) -> None:
    assert shell("add", "--name", "x", "--base-url", "http://h").exit_code == 2
    assert shell("add", "--name", "x", "--base-url", "http://h", "--models", "=").exit_code == 2


def test_export_and_import_go_round(shell: Shell, tmp_path: Path) -> None:
    add(shell, "http://127.0.0.1:1")
    exported = yaml.safe_load(shell("export").stdout)
    assert [entry["name"] for entry in exported["channels"]] == ["one"]
    assert "keys" not in exported["channels"][0]
    exported["channels"][0]["rpm"] = 5
    exported["channels"].append(
        {"name": "two", "base_url": "http://127.0.0.1:2", "models": ["x"], "keys": ["sk-two-56789"]}
    )
    file = tmp_path / "channels.yaml"
    file.write_text(yaml.safe_dump(exported), encoding="utf-8")
    done = shell("import", str(file))
    assert done.exit_code == 0, done.output
    assert done.stdout == "1 created, 1 changed\n"
    views = {view["name"]: view for view in json.loads(shell("list", "--json").stdout)}
    assert (views["one"]["rpm"], views["one"]["keys"][0]["last4"]) == (5, "1234")
    assert views["two"]["keys"][0]["last4"] == "6789"


def test_an_import_can_be_looked_at_first(shell: Shell, tmp_path: Path) -> None:
    add(shell, "http://127.0.0.1:1")
    file = tmp_path / "channels.yaml"
    file.write_text("channels: [{name: one, rpm: 5}]", encoding="utf-8")
    told = shell("import", str(file), "--dry-run")
    assert told.stdout == "0 would be created, 1 would be changed\n  one: rpm: None -> 5\n"
    assert json.loads(shell("list", "--json").stdout)[0]["rpm"] is None


def test_who_would_serve_a_model(shell: Shell) -> None:
    add(shell, "http://127.0.0.1:1")
    model = next(iter(json.loads(shell("list", "--json").stdout)[0]["models"]))
    told = shell("who", model)
    assert told.exit_code == 0, told.output
    assert "strategy: weighted" in told.stdout
    assert "serves" in told.stdout
    found = json.loads(shell("who", model, "--json").stdout)
    assert [(one["channel"], one["rank"]) for one in found["candidates"]] == [("one", 1)]
    nobody = shell("who", "unknown")
    assert nobody.exit_code == 1


@pytest.mark.parametrize(
    "text",
    ["- 1", "channels: [{name: a, colour: red}]", "channels: [{name: new}]", "channels: [", "channels: [{rpm: 1}]"],
)
def test_a_file_that_is_wrong_changes_nothing(shell: Shell, tmp_path: Path, text: str) -> None:
    file = tmp_path / "channels.yaml"
    file.write_text(text, encoding="utf-8")
    failed = shell("import", str(file))
    assert failed.exit_code == 1 or failed.exception is not None
    assert json.loads(shell("list", "--json").stdout) == []
