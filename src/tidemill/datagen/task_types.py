"""Task types: what one kind of training row is, read from a folder of plain files.

A folder holds ``type.yaml`` (names, input fields, rules, rubric), ``schema.json`` (the stored row), optionally
``ask.json`` (what the model is asked for, where that is less or simpler), ``prompt.zh.md`` and ``prompt.en.md``, and
``example.json`` (one row per language, shown to people and never to a model). docs/guide/task-types.md explains each.
"""

import hashlib
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import msgspec
from msgspec import Struct

from tidemill.datagen.errors_types import BrokenTaskType, UnknownTaskType
from tidemill.kernel.errors import FieldProblem
from tidemill.kernel.lang import LANGS, Lang

_SHIPPED = Path(__file__).parent / "types"

Show = Literal["text", "taken", "label", "label_set", "types", "speakers", "hidden"]
"""How a sample's column enters the prompt: as prose; as something already there, to differ from; as the label; as the
set of labels; as the entity types in it; as what the users in it said; not at all."""


class InputField(Struct, frozen=True):
    """A column that samples of this type have; ``aliases`` are other names it goes by, in any case of letters."""

    name: str
    title: dict[Lang, str]
    show: Show
    required: bool = False
    aliases: list[str] = []


class Criterion(Struct, frozen=True):
    """One thing the judge scores from 0 to 10; ``weight`` is its share, ``zh`` and ``en`` say what to look at."""

    name: str
    weight: float
    zh: str
    en: str


class RuleSpec(Struct, frozen=True):
    """Which checks apply to a row.

    ``prose``: fields with written text. ``language``: those that must be in the task's language. ``lengths``: output
    field to input field whose lengths it should share. ``optional``: fields that make a row more complete. ``hard`` and
    ``soft`` name checks of ``rules_checks``; ``complete`` names a step of ``completion``.
    """

    prose: list[str]
    language: list[str]
    lengths: dict[str, str] = {}
    optional: list[str] = []
    hard: list[str] = []
    soft: list[str] = []
    complete: str | None = None


class TaskType(Struct, frozen=True):
    """One kind of training row. ``digest`` names the exact files, for the lineage of rows."""

    name: str
    version: str
    digest: str
    title: dict[Lang, str]
    description: dict[Lang, str]
    input_fields: list[InputField]
    rules: RuleSpec
    rubric: list[Criterion]
    max_tokens: int
    schema: dict[str, Any]
    ask_schema: dict[str, Any]
    prompts: dict[Lang, str]
    example: dict[str, Any]

    @property
    def prompt_version(self) -> str:
        """Return version and digest, as kept with each row."""
        return f"{self.version}-{self.digest}"

    def column(self, name: str, columns: Mapping[str, Any]) -> str | None:
        """Return which of ``columns`` holds input field ``name``, None when none does."""
        field = next((field for field in self.input_fields if field.name == name), None)
        if field is None:
            return None
        by_folded = {column.casefold().strip(): column for column in columns}
        return next(
            (by_folded[key] for key in (field.name, *map(str.casefold, field.aliases)) if key in by_folded), None
        )


class _Manifest(Struct, forbid_unknown_fields=True):
    name: str
    version: str
    title: dict[Lang, str]
    description: dict[Lang, str]
    input_fields: list[InputField]
    rules: RuleSpec
    rubric: list[Criterion]
    max_tokens: int = 800


@cache
def load_types(*extra_dirs: Path) -> Mapping[str, TaskType]:
    """Return every task type by name; a type in ``extra_dirs`` replaces a shipped one of the same name.

    Raises BrokenTaskType for a folder whose files do not fit together.
    """
    found = {
        folder.name: _load(folder)
        for root in (_SHIPPED, *extra_dirs)
        if root.is_dir()
        for folder in sorted(root.iterdir())
        if (folder / "type.yaml").is_file()
    }
    return MappingProxyType(found)


def find_type(name: str, types: Mapping[str, TaskType] | None = None) -> TaskType:
    """Return the task type called ``name``; raises UnknownTaskType, which names the known ones."""
    known = load_types() if types is None else types
    if name in known:
        return known[name]
    names = ", ".join(sorted(known))
    raise UnknownTaskType(fields=[FieldProblem("task_type", f"one of: {names}")], name=name, known=names)


def _load(folder: Path) -> TaskType:
    import yaml  # noqa: PLC0415 - loaded on first use

    files = {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.is_file()}
    for needed in ("type.yaml", "schema.json", "example.json", *(f"prompt.{lang}.md" for lang in LANGS)):
        if needed not in files:
            raise BrokenTaskType(file=str(folder / needed), problem="it is missing")
    try:
        manifest = msgspec.convert(yaml.safe_load(files["type.yaml"]), _Manifest)
    except (msgspec.ValidationError, yaml.YAMLError) as problem:
        raise BrokenTaskType(file=str(folder / "type.yaml"), problem=str(problem)) from None
    if manifest.name != folder.name:
        raise BrokenTaskType(file=str(folder / "type.yaml"), problem=f"its name must be {folder.name}")
    _check_languages(folder, manifest)
    schema = _object(folder, "schema.json", files)
    return TaskType(
        name=manifest.name,
        version=manifest.version,
        digest=_digest(files),
        title=manifest.title,
        description=manifest.description,
        input_fields=manifest.input_fields,
        rules=manifest.rules,
        rubric=manifest.rubric,
        max_tokens=manifest.max_tokens,
        schema=schema,
        ask_schema=_object(folder, "ask.json", files) if "ask.json" in files else schema,
        prompts={lang: files[f"prompt.{lang}.md"].decode().strip() for lang in LANGS},
        example=_object(folder, "example.json", files),
    )


def _check_languages(folder: Path, manifest: _Manifest) -> None:
    texts: Sequence[dict[Lang, str]] = [
        manifest.title,
        manifest.description,
        *(field.title for field in manifest.input_fields),
    ]
    if any(not text.get(lang) for text in texts for lang in LANGS):
        raise BrokenTaskType(file=str(folder / "type.yaml"), problem="a title or description lacks zh or en")
    total = sum(criterion.weight for criterion in manifest.rubric)
    if not manifest.rubric or abs(total - 1.0) > 1e-6:  # noqa: PLR2004 - forgives float addition
        raise BrokenTaskType(file=str(folder / "type.yaml"), problem=f"the rubric's weights add up to {total:g}, not 1")


def _object(folder: Path, name: str, files: Mapping[str, bytes]) -> dict[str, Any]:
    try:
        return msgspec.json.decode(files[name], type=dict[str, Any])
    except msgspec.DecodeError as problem:
        raise BrokenTaskType(file=str(folder / name), problem=str(problem)) from None


def _digest(files: Mapping[str, bytes]) -> str:
    digest = hashlib.blake2b(digest_size=4)
    for name, data in files.items():
        digest.update(f"{name}\0{len(data)}\0".encode() + data)
    return digest.hexdigest()
