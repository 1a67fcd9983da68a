"""Read from a chat request what kind of answer it wants.

Nothing of the product is imported: what a prompt says about itself stands in it as plain lines, such as
``task: entity_extraction`` in the system message, ``Direction: …`` in the user's, and the material between
``<material>`` marks. A prompt without such lines gets plain text, or any value that fits the given JSON schema.
"""

import re
from collections.abc import Mapping
from typing import Any, cast

from msgspec import Struct

from tidemill.kernel.lang import Lang
from tidemill.simulator.ask import Ask

_TASK = re.compile(r"^task:[ \t]*([a-z][a-z0-9_]*)[ \t]*$", re.MULTILINE)
_LANGUAGE = re.compile(r"^language:[ \t]*(zh|en)\b", re.MULTILINE)
_CRITERIA = re.compile(r"^criteria:[ \t]*(.+)$", re.MULTILINE)
_MATERIAL = re.compile(r"<material>\n(.*?)\n?</material>", re.DOTALL)
_LABELLED = re.compile(r"^- [\w .-]{1,40}: ", re.MULTILINE)
_CJK = re.compile(r"[\u3400-\u9fff]")
_LETTER = re.compile(r"[A-Za-z\u3400-\u9fff]")
_CJK_SHARE_OF_ZH = 0.2

_LINES: Mapping[str, re.Pattern[str]] = {
    name: re.compile(rf"^(?:{words})[ \t]*[:：][ \t]*(.+)$", re.MULTILINE)
    for name, words in {
        "direction": "方向|Direction",
        "labels": "可选标签|Labels",
        "label": "本条标签|Label of this row",
        "types": "实体类型|Entity types",
    }.items()
}
_NO_LINES: Mapping[str, str] = dict.fromkeys(_LINES, "")


class Asked(Struct, frozen=True):
    """What one request wants: the task (None when it names none), its language, and what the prompt gave."""

    task: str | None
    lang: Lang
    schema: Mapping[str, Any] | None
    schema_name: str
    system: str
    prompt: str
    material: str = ""
    direction: str = ""
    label: str = ""
    labels: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    criteria: tuple[str, ...] = ()


def read_asked(ask: Ask) -> Asked:
    """Collect the facts of one request; absent ones stay empty."""
    system = "\n".join(turn.text for turn in ask.turns if turn.role == "system")
    prompt = ask.prompt
    task = _TASK.search(system) if system else None
    language = _LANGUAGE.search(system) if system else None
    has_lines = ":" in prompt or "：" in prompt
    found = {key: _first(pattern, prompt) for key, pattern in _LINES.items()} if has_lines else _NO_LINES
    material = _MATERIAL.findall(prompt) if "<material>" in prompt else None
    return Asked(
        task=task.group(1) if task else None,
        lang=cast("Lang", language.group(1)) if language else script_of(prompt or system),
        schema=ask.schema,
        schema_name=ask.schema_name,
        system=system,
        prompt=prompt,
        material=_LABELLED.sub("", material[-1]).strip() if material else "",
        direction=found["direction"],
        label=found["label"],
        labels=_listed(found["labels"]),
        types=_listed(found["types"]),
        criteria=_listed(_first(_CRITERIA, system)) if system else (),
    )


def script_of(text: str) -> Lang:
    """Return zh when at least a fifth of the letters are Chinese characters."""
    if text.isascii():
        return "en"
    letters = len(_LETTER.findall(text))
    return "zh" if letters and len(_CJK.findall(text)) / letters >= _CJK_SHARE_OF_ZH else "en"


def _first(pattern: re.Pattern[str], text: str) -> str:
    match = pattern.search(text)
    return match.group(1).strip() if match else ""


def _listed(text: str) -> tuple[str, ...]:
    if not text:
        return ()
    return tuple(part.strip() for part in re.split(r"[、,，;；|]", text) if part.strip())
