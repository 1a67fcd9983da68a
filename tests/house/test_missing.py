"""What is missing is skipped and named on a developer's machine, and a failure on the build machine."""

import pytest

pytest_plugins = ["pytester"]

SUITE = """
from tests.fixtures.needs import requires_program

def test_one():
    requires_program("no-such-program", remedy="Install it.")

def test_two():
    requires_program("no-such-program", remedy="Install it.")

def test_there():
    assert requires_program("sh", remedy="")
"""
CONFTEST = 'pytest_plugins = ["tests.fixtures.needs"]'


@pytest.fixture
def suite(pytester: pytest.Pytester, request: pytest.FixtureRequest) -> pytest.Pytester:
    pytester.makepyfile(SUITE)
    pytester.makeconftest(CONFTEST)
    pytester.makepyprojecttoml(f"[tool.pytest.ini_options]\npythonpath = ['{request.config.rootpath}']\n")
    return pytester


def test_a_developer_sees_what_was_missing(suite: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    result = suite.runpytest_subprocess("-p", "no:cacheprovider")
    result.assert_outcomes(passed=1, skipped=2)
    result.stdout.fnmatch_lines(["*could not be brought up*", "no-such-program. Install it. (2 tests)"])


def test_the_build_machine_fails(suite: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    result = suite.runpytest_subprocess("-p", "no:cacheprovider")
    result.assert_outcomes(passed=1, failed=2)
    result.stdout.fnmatch_lines(["*could not be brought up*", "no-such-program. Install it. (2 tests)"])
