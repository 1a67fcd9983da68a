import json
import subprocess
import sys
import urllib.request

import pytest
from click.testing import CliRunner

from tidemill.cli.simulate import command


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
