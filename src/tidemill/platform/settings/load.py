"""Gather settings from their sources: command line, environment, ``.env``, YAML file, defaults, in that order.

Every value remembers where it came from. A name that nobody knows is an error that names it: a misspelt setting that
is silently ignored costs an afternoon.
"""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from tidemill.kernel.errors import BadInput, FieldProblem
from tidemill.platform.settings import legacy
from tidemill.platform.settings.fields import Field, all_fields, from_plain
from tidemill.platform.settings.model import Settings

PREFIX = "TIDEMILL_"
# Read before the settings themselves, so not settings.
OUTSIDE = frozenset({"TIDEMILL_CONFIG"})


class Loaded(Struct, frozen=True):
    """The settings in force, where each one came from, and what the reader should know."""

    settings: Settings
    sources: Mapping[str, str]
    warnings: tuple[str, ...] = ()


def load(
    overrides: Mapping[str, Any] | None = None,
    *,
    config: Path | None = None,
    environ: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> Loaded:
    """Read every source.

    ``overrides`` are command-line values by dotted path. Raises BadInput naming each setting that is unknown or not
    of its type, and the file when it cannot be read.
    """
    environment = dict(os.environ if environ is None else environ)
    here = folder or Path.cwd()
    given = {path: value for path, value in (overrides or {}).items() if value is not None}
    values: dict[str, tuple[Any, str]] = {}
    warnings: list[str] = []
    dotenv = _dotenv(here / ".env")
    path = _config_file(config, environment, dotenv, here, given)
    if path is not None:
        _take_file(path, values, warnings)
    for variables, label in ((dotenv, ".env"), (environment, "environment")):
        _take_legacy(variables, label, values, warnings)
        _take_variables(variables, label, values)
    values.update({name: (value, "command line") for name, value in given.items()})
    return Loaded(_build(values), _sources(values), tuple(warnings))


def _config_file(
    config: Path | None, environ: Mapping[str, str], dotenv: Mapping[str, str], here: Path, given: Mapping[str, Any]
) -> Path | None:
    named = config or environ.get("TIDEMILL_CONFIG") or dotenv.get("TIDEMILL_CONFIG")
    if named:
        path = Path(named)
        if not path.is_file():
            raise BadInput.of("config", f"{path} is not a file; name an existing settings file")
        return path
    data_dir = given.get("server.data_dir") or environ.get("TIDEMILL_SERVER__DATA_DIR") or "data"
    for candidate in (here / "tidemill.yaml", here / data_dir / "tidemill.yaml"):
        if candidate.is_file():
            return candidate
    return None


def _dotenv(path: Path) -> dict[str, str]:
    if not path.is_file():
        return {}
    from dotenv import dotenv_values  # noqa: PLC0415 - loaded only where such a file exists

    return {name: value for name, value in dotenv_values(path).items() if value is not None}


def _take_file(path: Path, values: dict[str, tuple[Any, str]], warnings: list[str]) -> None:
    import yaml  # noqa: PLC0415 - loaded only where such a file exists

    try:
        tree: Any = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise BadInput.of("config", f"{path} cannot be read: {error}") from error
    if tree is None:
        return
    if not isinstance(tree, dict):
        raise BadInput.of("config", f"{path} must hold groups of settings (server:, database:, …)")
    flat = dict(_flatten(tree))  # pyright: ignore[reportUnknownArgumentType] - YAML has no types
    translated, understood = legacy.from_file(flat)
    label = str(path)
    unknown = [name for name in flat if name not in all_fields() and name not in understood]
    if unknown:
        raise BadInput(
            f"unknown settings in {path}: {', '.join(sorted(unknown))}",
            fields=[FieldProblem(name, "no such setting; see `tidemill config show`") for name in sorted(unknown)],
        )
    for name, (value, old) in translated.items():
        warnings.append(f"{old} in {path} is an earlier name; write {name} instead")
        values[name] = (value, label)
    values.update({name: (value, label) for name, value in flat.items() if name in all_fields() and value is not None})


def _flatten(tree: Mapping[Any, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in tree.items():
        path = f"{above}{key}"
        field = all_fields().get(path)
        if isinstance(value, dict) and (field is None or not field.is_mapping):
            yield from _flatten(value, f"{path}.")  # pyright: ignore[reportUnknownArgumentType] - YAML has no types
        else:
            yield path, value


def _take_legacy(
    variables: Mapping[str, str], label: str, values: dict[str, tuple[Any, str]], warnings: list[str]
) -> None:
    for path, (value, old) in legacy.from_environment(variables).items():
        warnings.append(f"{old} is an earlier name; set {all_fields()[path].env} instead")
        values[path] = (value, f"{label} {old}")


def _take_variables(variables: Mapping[str, str], label: str, values: dict[str, tuple[Any, str]]) -> None:
    known = {field.env: field for field in all_fields().values()}
    for name, given in variables.items():
        if not name.startswith(PREFIX) or name in OUTSIDE:
            continue
        field, text = known.get(name), given
        if field is None and name.endswith("_FILE"):
            field, text = known.get(name.removesuffix("_FILE")), _secret_file(name, given)
        if field is None:
            raise BadInput.of(name, "no such setting; see `tidemill config show`")
        values[field.path] = (_parse(field, text), f"{label} {name}")


def _secret_file(name: str, path: str) -> str:
    try:
        return Path(path).read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput.of(name, f"the file {path} cannot be read: {error}") from error


def _parse(field: Field, text: str) -> Any:
    if field.is_mapping or (field.is_list and text.lstrip().startswith("[")):
        try:
            return msgspec.json.decode(text)
        except msgspec.DecodeError as error:
            raise BadInput.of(field.env, f"is not JSON: {error}") from error
    if field.is_list:
        return [part.strip() for part in text.split(",") if part.strip()]
    return text


def _build(values: Mapping[str, tuple[Any, str]]) -> Settings:
    tree: dict[str, dict[str, Any]] = {}
    problems: list[FieldProblem] = []
    for path, (value, source) in values.items():
        field = all_fields().get(path)
        if field is None:
            problems.append(FieldProblem(path, "no such setting"))
            continue
        plain = str(value) if isinstance(value, Path) else value
        if plain == "" and _takes_none(field):
            plain = None
        try:
            checked = msgspec.convert(plain, field.type, strict=False, dec_hook=from_plain)
        except (msgspec.ValidationError, TypeError) as error:
            shown = "" if field.doc.secret else f" (got {value!r})"
            problems.append(FieldProblem(path, f"{error} from {source}{shown}"))
            continue
        group, name = path.split(".")
        tree.setdefault(group, {})[name] = checked
    if problems:
        raise BadInput("; ".join(f"{problem.field}: {problem.message}" for problem in problems), fields=problems)
    groups = {entry.name: entry.type for entry in msgspec.structs.fields(Settings)}
    return Settings(**{group: groups[group](**entries) for group, entries in tree.items()})


def _takes_none(field: Field) -> bool:
    try:
        msgspec.convert(None, field.type)
    except msgspec.ValidationError:
        return False
    return True


def _sources(values: Mapping[str, tuple[Any, str]]) -> dict[str, str]:
    return {path: values[path][1] if path in values else "default" for path in all_fields()}
