"""Which models there are: GGUF files of the models folder joined with declared ones.

A scan looks at names, sizes and times; a header is read again only when one of them changed, so looking every two
seconds costs microseconds. Scans run off the loop; the result is an immutable snapshot that replaces the last.
"""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from msgspec import Struct

from tidemill.kernel.errors import TidemillError
from tidemill.localmodels import names
from tidemill.localmodels.errors import ModelFileMissing, NotGguf
from tidemill.localmodels.gguf import GgufFacts, read_facts
from tidemill.localmodels.spec import ModelSpec, resolve
from tidemill.platform.settings.groups.local_models import LocalModels

_MAX_FILES: Final = 2000  # a folder with more is surely not a models folder; the rest is left out
_MAX_DEPTH: Final = 3  # publisher/repository/file, as download tools lay them out
_NOT_SERVABLE: Final = frozenset({"clip", "adapter"})  # projectors and adapters help a model, they are none

Stamp = tuple[int, int]


class _File(Struct, frozen=True):
    path: Path
    stamp: Stamp
    size_bytes: int
    missing_parts: int = 0


class Catalogue:
    """Scans the folder; keeps headers by (path, size, mtime)."""

    def __init__(self, folder: Path, settings: LocalModels) -> None:
        self._folder = folder
        self._settings = settings
        self._headers: dict[Path, tuple[Stamp, GgufFacts | TidemillError]] = {}

    def scan(self) -> dict[str, ModelSpec]:
        """Look at the folder and return every model by name. Blocks: call it off the loop."""
        specs: dict[str, ModelSpec] = {}
        declared = self._settings.models
        elsewhere = {Path(model.path) for model in declared.values() if model.path}
        seen: set[Path] = set()
        taken = {name for name, model in declared.items() if model.path}
        for file in _models_in(self._folder):
            seen.add(file.path)
            found = self._header(file)
            if isinstance(found, GgufFacts) and found.architecture in _NOT_SERVABLE:
                continue
            if file.path in elsewhere:
                continue
            name = names.distinct(names.from_stem(_stem(file.path)), taken)
            taken.add(name)
            specs[name] = resolve(name, file.path, file.size_bytes, found, declared.get(name), self._settings)
        for name, model in declared.items():
            if name in specs:
                continue
            path = Path(model.path) if model.path else self._folder / f"{name}.gguf"
            seen.add(path)
            specs[name] = self._declared(name, path)
        self._headers = {path: entry for path, entry in self._headers.items() if path in seen}
        return dict(sorted(specs.items()))

    def _declared(self, name: str, path: Path) -> ModelSpec:
        model = self._settings.models[name]
        file = _look(path)
        found = ModelFileMissing(name=name, path=str(path)) if file is None else self._header(file)
        return resolve(name, path, file.size_bytes if file else 0, found, model, self._settings)

    def _header(self, file: _File) -> GgufFacts | TidemillError:
        if file.missing_parts:
            return NotGguf(name=file.path.name, reason=f"{file.missing_parts} of its parts are missing")
        known = self._headers.get(file.path)
        if known is not None and known[0] == file.stamp:
            return known[1]
        try:
            found: GgufFacts | TidemillError = read_facts(file.path)
        except NotGguf as problem:
            found = problem
        except OSError as problem:
            found = NotGguf(name=file.path.name, reason=problem.strerror or type(problem).__name__)
        self._headers[file.path] = (file.stamp, found)
        return found


def fingerprint(specs: Mapping[str, ModelSpec]) -> tuple[object, ...]:
    """Return what must differ for two scans to count as different."""
    return tuple((spec.name, spec.path, spec.size_bytes, spec.facts, type(spec.problem)) for spec in specs.values())


def _stem(path: Path) -> str:
    part = names.part_of(path.stem)
    return part[0] if part else path.stem


def _models_in(folder: Path) -> Iterator[_File]:
    """Yield whole models in the order of their paths; a split model is its first part with the sum of the sizes."""
    paths = sorted(_gguf_paths(folder, _MAX_DEPTH))[:_MAX_FILES]
    for path in paths:
        part = names.part_of(path.stem)
        if part is None:
            file = _look(path)
        elif part[1] == 1:
            file = _split(path, part[0], part[2])
        else:
            continue
        if file is not None:
            yield file


def _gguf_paths(folder: Path, depth: int) -> Iterator[Path]:
    try:
        entries = list(os.scandir(folder))
    except OSError:  # absent, not a folder or not readable: no models, which the list shows by being empty
        return
    for entry in entries:
        if entry.name.startswith("."):
            continue
        if entry.name.lower().endswith(".gguf"):
            yield Path(entry.path)
        elif depth > 1 and entry.is_dir():
            yield from _gguf_paths(Path(entry.path), depth - 1)


def _look(path: Path) -> _File | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return _File(path, (status.st_size, status.st_mtime_ns), status.st_size)


def _split(first: Path, stem: str, count: int) -> _File:
    parts = [_look(first.with_name(f"{stem}-{number:05d}-of-{count:05d}.gguf")) for number in range(1, count + 1)]
    here = [part for part in parts if part is not None]
    size = sum(part.size_bytes for part in here)
    newest = max((part.stamp[1] for part in here), default=0)
    return _File(first, (size, newest), size, count - len(here))
