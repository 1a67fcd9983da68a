"""The word check sees what must not be committed, and nothing else."""

import pytest

from scripts.check_words import is_private, problems

# Put together from parts, or this file could not be committed itself.
FORBIDDEN = [
    "see https://pypi." + "org/simple",
    "cp x " + "/ro" + "ot/data/y",
    "cd " + "/wo" + "rk/main",
    "-----BEGIN RSA PRIVATE" + " KEY-----",
    "# TO" + "DO: later",
]
ALLOWED = ["docs/work/plan", "$HOME/work/x", "https://example.org/work/x", "network/root", "/v1/models", "the /root"]


@pytest.mark.parametrize("line", FORBIDDEN)
def test_what_must_not_be_committed_is_named_with_its_line(line: str) -> None:
    found = problems("a.md", f"fine\n{line}\n")
    assert [problem.split(": ")[0] for problem in found] == ["a.md:2"]


@pytest.mark.parametrize("line", ALLOWED)
def test_innocent_lines_pass(line: str) -> None:
    assert problems("a.md", line) == []


def test_a_package_lock_holds_no_registry() -> None:
    assert problems("console/package-lock.json", '"resolved": "https://registry.example/x.tgz"') != []
    assert problems("console/package-lock.json", '"version": "1.0.0"') == []


@pytest.mark.parametrize("name", ["console/data/secrets/data.key", ".env", "deploy/.env", "x/tidemill.db", "a.gguf"])
def test_what_belongs_to_one_installation_is_refused(name: str) -> None:
    assert is_private(name)


@pytest.mark.parametrize("name", ["src/tidemill/platform/secrets/box.py", ".env.example", "docs/keys.md", "a.env.md"])
def test_its_namesakes_pass(name: str) -> None:
    assert not is_private(name)
