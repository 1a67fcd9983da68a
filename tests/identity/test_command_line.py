"""``tidemill users`` and ``tidemill keys``, on both databases."""

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from tidemill.cli import keys, users
from tidemill.identity.key_format import is_well_formed

Run = Callable[..., Result]


@pytest.fixture
def run(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TIDEMILL_DATABASE__URL", database_url)
    monkeypatch.setenv("TIDEMILL_SERVER__DATA_DIR", str(tmp_path / "data"))

    def call(*words: str, stdin: str = "") -> Result:
        group = {"users": users.command, "keys": keys.command}[words[0]]
        return CliRunner().invoke(group, words[1:], input=stdin)

    return call


def answer(result: Result) -> Any:
    assert result.exit_code == 0, (result.output, result.exception)
    return json.loads(result.stdout)


def test_users_are_made_listed_and_given_passwords(run: Run) -> None:
    made = answer(run("users", "create", "alice", "--admin", "--password-stdin", "--json", stdin="correct horse 9\n"))
    assert (made["username"], made["is_admin"], made["role"]) == ("alice", True, "admin")
    assert "password" not in made
    generated = answer(run("users", "create", "bob", "--email", "Bob@Example.com", "--json"))
    assert len(generated["password"]) >= 16
    assert [user["email"] for user in answer(run("users", "list", "--json"))] == [None, "bob@example.com"]
    table = run("users", "list").stdout.splitlines()
    assert re.split(r" +", table[1])[:2] == [str(made["id"]), "alice"]
    said = run("users", "passwd", "ALICE", "--password-stdin", stdin="another one 7\n")
    assert (said.exit_code, said.stdout) == (0, "password of alice set\n")
    token = run("users", "passwd", "alice", "--reset-token").stdout.strip()
    assert token.count(".") == 2


def test_a_key_is_printed_alone_and_only_once(run: Run) -> None:
    run("users", "create", "alice", "--password-stdin", stdin="correct horse 9\n")
    said = run("keys", "create", "--user", "alice", "--name", "laptop")
    assert said.exit_code == 0, said.output
    assert is_well_formed(said.stdout.removesuffix("\n"))
    whole = answer(
        run(
            "keys", "create", "--user", "alice", "--name", "ci", "--scopes", "relay,datagen", "--expires", "30d",
            "--models", "m1,m2", "--networks", "10.0.0.1", "--budget", "2.50", "--json",
        )
    )  # fmt: skip
    assert is_well_formed(whole["key"])
    assert (whole["scopes"], whole["models"], whole["networks"]) == (
        ["relay", "datagen"],
        ["m1", "m2"],
        ["10.0.0.1/32"],
    )
    assert whole["budget"] == "2.5"
    left = datetime.fromisoformat(whole["expires_at"]) - datetime.now(UTC)
    assert timedelta(days=29) < left <= timedelta(days=30)
    listed = run("keys", "list", "--user", "alice", "--json")
    assert [key["name"] for key in answer(listed)] == ["ci", "laptop"]
    assert whole["key"] not in listed.stdout
    assert "datagen" in run("keys", "list").stdout

    assert answer(run("keys", "revoke", whole["id"], "--json"))["status"] == "revoked"
    assert "revoked" in run("keys", "revoke", whole["id"]).stdout


WRONG = [
    ("keys", "create", "--user", "alice"),
    ("keys", "create", "--user", "alice", "--name", "k", "--expires", "soon"),
    ("keys", "create", "--user", "alice", "--name", "k", "--expires", "10000-01-01"),
    ("keys", "revoke"),
    ("users", "create"),
    ("users", "passwd", "alice", "--reset-token", "--password-stdin"),
]


def test_wrong_usage_exits_2(run: Run) -> None:
    assert [run(*words).exit_code for words in WRONG] == [2] * len(WRONG)


def test_failures_are_one_sentence_and_exit_1(run: Run) -> None:
    silent = run("users", "create", "alice", "--password-stdin", stdin="")
    assert silent.exit_code == 1
    assert len(silent.stderr.splitlines()) == 1
