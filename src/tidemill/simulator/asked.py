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


def read_asked(messages: list[Mapping[str, Any]], response_format: Mapping[str, Any] | None) -> Asked:
    """Collect the facts of one chat request; absent ones stay empty."""
    system = "\n".join(content_text(m) for m in messages if m.get("role") in {"system", "developer"})
    prompt = next((content_text(m) for m in reversed(messages) if m.get("role") == "user"), "")
    schema, name = _schema_of(response_format)
    task = _TASK.search(system)
    language = _LANGUAGE.search(system)
    material = _MATERIAL.findall(prompt)
    found = {key: _first(pattern, prompt) for key, pattern in _LINES.items()}
    return Asked(
        task=task.group(1) if task else None,
        lang=cast("Lang", language.group(1)) if language else script_of(prompt or system),
        schema=schema,
        schema_name=name,
        system=system,
        prompt=prompt,
        material=_LABELLED.sub("", material[-1]).strip() if material else "",
        direction=found["direction"],
        label=found["label"],
        labels=_listed(found["labels"]),
        types=_listed(found["types"]),
        criteria=_listed(_first(_CRITERIA, system)),
    )


def content_text(message: Mapping[str, Any]) -> str:
    """Return a message's text; the text parts of a multi-part content are joined by line breaks."""
    content = message.get("content")
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        parts = cast("list[Any]", content)
        texts = [cast("Mapping[str, Any]", part).get("text") for part in parts if isinstance(part, Mapping)]
        return "\n".join(text for text in texts if isinstance(text, str))
    return ""


def script_of(text: str) -> Lang:
    """Return zh when at least a fifth of the letters are Chinese characters."""
    letters = len(_LETTER.findall(text))
    return "zh" if letters and len(_CJK.findall(text)) / letters >= _CJK_SHARE_OF_ZH else "en"


def _schema_of(response_format: Mapping[str, Any] | None) -> tuple[Mapping[str, Any] | None, str]:
    if response_format is None or response_format.get("type") != "json_schema":
        return None, ""
    holder = response_format.get("json_schema")
    if not isinstance(holder, Mapping):
        return None, ""
    named = cast("Mapping[str, Any]", holder)
    schema = named.get("schema")
    return (cast("Mapping[str, Any]", schema) if isinstance(schema, Mapping) else None), str(named.get("name", ""))


def _first(pattern: re.Pattern[str], text: str) -> str:
    match = pattern.search(text)
    return match.group(1).strip() if match else ""


def _listed(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in re.split(r"[、,，;；|]", text) if part.strip())
