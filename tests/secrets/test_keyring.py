import stat
import threading
from pathlib import Path

import pytest

from tidemill.platform.secrets import KeyFileUnreadable, SecretRefused, load_keyring
from tidemill.platform.secrets.keyring import KEY_BYTES

GOOD = "pQ7-unguessable-Zr41kd0wX"


def test_makes_three_different_keys_that_only_the_owner_can_read(tmp_path: Path) -> None:
    ring = load_keyring(tmp_path / "secrets")
    keys = [ring.signing[0], ring.data[0], ring.pepper[0]]
    assert len(set(keys)) == 3
    assert {len(key) for key in keys} == {KEY_BYTES}
    assert stat.S_IMODE((tmp_path / "secrets").stat().st_mode) == 0o700
    files = sorted((tmp_path / "secrets").iterdir())
    assert [file.name for file in files] == ["data.key", "pepper.key", "signing.key"]
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


def test_finds_the_same_keys_again(tmp_path: Path) -> None:
    first = load_keyring(tmp_path)
    second = load_keyring(tmp_path)
    assert (first.signing, first.data, first.pepper) == (second.signing, second.data, second.pepper)


def test_processes_that_start_at_once_agree(tmp_path: Path) -> None:
    rings: list[bytes] = []
    gate = threading.Barrier(8)

    def start() -> None:
        gate.wait()
        rings.append(load_keyring(tmp_path).signing[0])

    threads = [threading.Thread(target=start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(rings) == 8
    assert len(set(rings)) == 1
    assert not [file.name for file in tmp_path.iterdir() if file.name.startswith(".")]


def test_a_line_on_top_rotates_and_keeps_the_old_key(tmp_path: Path) -> None:
    old = load_keyring(tmp_path).data[0]
    newer = load_keyring(tmp_path / "other").data[0]
    path = tmp_path / "data.key"
    path.write_text("# newest first\n" + (tmp_path / "other" / "data.key").read_text() + path.read_text())
    assert load_keyring(tmp_path).data == (newer, old)


def test_a_configured_secret_comes_first_and_makes_no_file(tmp_path: Path) -> None:
    ring = load_keyring(tmp_path, {"signing": GOOD})
    assert ring.signing == (GOOD.encode(),)
    assert not (tmp_path / "signing.key").exists()


def test_a_secret_configured_later_keeps_what_the_file_made_readable(tmp_path: Path) -> None:
    before = load_keyring(tmp_path).data
    assert load_keyring(tmp_path, {"data": GOOD}).data == (GOOD.encode(), *before)


@pytest.mark.parametrize(
    "guessable",
    [
        "change-me",
        "CHANGE_ME_PLEASE_NOW",
        "your-secret-key-here",
        "your_secret_key_here_2024",
        "please change this value",
        "a-super-secret-value-for-jwt",
        "xxxxxxxxxxxxxxxxxxxxxxxx",
        "s3cr3t-0ne",
        "abababababababababab",
    ],
)
def test_refuses_a_secret_that_anybody_could_guess(tmp_path: Path, guessable: str) -> None:
    with pytest.raises(SecretRefused) as refused:
        load_keyring(tmp_path, {"signing": guessable})
    assert "auth.secret_key" in refused.value.message("en")
    assert "auth.secret_key" in refused.value.message("zh")
    assert guessable not in str(refused.value)


@pytest.mark.parametrize("content", ["", "# nothing\n", "hello\n", "base64:AAAA\n", "base64:***\n", "base64:\xff"])
def test_a_damaged_key_file_stops_the_start_instead_of_being_replaced(tmp_path: Path, content: str) -> None:
    load_keyring(tmp_path)
    path = tmp_path / "pepper.key"
    path.write_text(content, encoding="latin-1")
    with pytest.raises(KeyFileUnreadable) as refused:
        load_keyring(tmp_path)
    assert str(path) in refused.value.message("en")
    assert path.read_text(encoding="latin-1") == content


def test_a_keyring_does_not_show_its_keys(tmp_path: Path) -> None:
    ring = load_keyring(tmp_path, {"signing": GOOD})
    assert GOOD not in repr(ring)
    assert "1" in repr(ring)
