import json
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from click.testing import CliRunner

from tidemill.cli.simulate import command
from tidemill.simulator.fault_words import COMMON_OPTIONS, KINDS


def test_the_command_says_where_it_listens_serves_and_ends_cleanly() -> None:
    program = [sys.executable, "-c", "from tidemill.cli.simulate import command; command()", "--models", "a, b"]
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            line = json.loads(process.stdout.readline())
            with urllib.request.urlopen(f"{line['base_url']}/models", timeout=10) as answer:  # noqa: S310 - loopback
                models = json.load(answer)
        finally:
            process.terminate()
        assert process.wait(timeout=10) == 0
    assert line["protocol"] == "openai"
    assert line["models"] == ["a", "b"]
    assert [model["id"] for model in models["data"]] == ["a", "b"]


def test_the_protocol_decides_what_a_client_library_is_given() -> None:
    program = [sys.executable, "-c", "from tidemill.cli.simulate import command; command()"]
    arguments = ["--protocol", "anthropic", "--protocol", "gemini", "--api-key", "k"]
    with subprocess.Popen([*program, *arguments], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            line = json.loads(process.stdout.readline())
            with urllib.request.urlopen(f"{line['origin']}/v1beta/models?key=k", timeout=10) as answer:  # noqa: S310 - loopback
                models = json.load(answer)
        finally:
            process.terminate()
        assert process.wait(timeout=10) == 0
    assert line["base_url"] == line["origin"]
    assert line["protocols"] == ["anthropic", "gemini"]
    assert models["models"][0]["name"] == "models/simulator"


def test_the_help_and_the_guide_name_every_fault_and_option() -> None:
    shown = CliRunner().invoke(command, ["--help"], terminal_width=200).output
    guide = (Path(__file__).parents[2] / "docs/guide/simulator.md").read_text(encoding="utf-8")
    for name, kind in KINDS.items():
        assert name in shown
        assert f"`{name}`" in guide
        for option in kind.options:
            assert f"{option}=" in guide or f"`{option}`" in guide, (name, option)
    for option in COMMON_OPTIONS:
        assert option in shown
        assert f"`{option}`" in guide
    for option in command.params:
        assert option.opts[0] in shown


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--faults", "boom:1"], "'boom' is unknown"),
        (["--faults", "429:2"], "between 0 and 1"),
        (["--port", "-1"], "-1"),
    ],
)
def test_wrong_usage_exits_2_and_says_why(arguments: list[str], words: str) -> None:
    outcome = CliRunner().invoke(command, arguments)
    assert outcome.exit_code == 2
    assert words in outcome.output


def test_an_address_that_cannot_be_bound_exits_1_in_one_sentence() -> None:
    outcome = CliRunner().invoke(command, ["--host", "192.0.2.1"])
    assert outcome.exit_code == 1
    assert "Cannot listen on 192.0.2.1:0" in outcome.output
