"""The lock check sees a lock that no longer answers pyproject.toml."""

import pytest

from scripts.check_locks import main, problems_of

HASH = " \\\n    --hash=sha256:" + "0" * 64 + "\n"


def problems(lock: str, *wanted: str) -> list[str]:
    return list(problems_of("x.lock", lock, list(wanted)))


def test_the_locks_answer_pyproject() -> None:
    assert main() == 0


@pytest.mark.parametrize(
    "wanted", ["Some.Package>=1.4", "some-package", "some_package[extra]>=1,<2; python_version>'3'"]
)
def test_a_pin_within_its_limits_is_accepted(wanted: str) -> None:
    assert problems("some-package==1.5" + HASH, wanted) == []


def test_a_dependency_without_a_pin_is_named() -> None:
    assert problems("other==1" + HASH, "some-package") == ["x.lock does not pin some-package"]


def test_a_pin_out_of_its_limits_is_named() -> None:
    found = problems("some-package==1.3 ; sys_platform == 'linux'" + HASH, "some-package>=1.4")
    assert found == ["x.lock pins some-package 1.3, and pyproject.toml wants >=1.4"]


def test_a_pin_without_a_hash_is_named() -> None:
    assert problems("some-package==1.5\n", "some-package") == ["x.lock pins some-package without a hash"]


@pytest.mark.parametrize("address", ["some-package @ file:///tmp/x.whl", "--index-url https://example.org/simple"])
def test_an_address_is_refused(address: str) -> None:
    assert "x.lock holds an address or a path" in problems(address + "\n")
