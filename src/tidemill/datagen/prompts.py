"""Build the prompt for one row.

What never changes (the type's instructions, the user's own wish) stands first and the sample last, so that a service
with a prefix cache reads the front once. The sample is material: its texts are quoted as prose and what would be the
answer is left out or reduced to names, because small models copy whatever looks like a finished row.
"""

from collections.abc import Mapping, Sequence
from typing import Any, cast

import msgspec
from msgspec import Struct

from tidemill.datagen.fields import leaves
from tidemill.datagen.rules_context import known_labels
from tidemill.datagen.rules_profile import LengthProfile
from tidemill.datagen.task_types import InputField, TaskType
from tidemill.kernel.lang import Lang

_MATERIAL_CHARS = 4_000  # about 2,700 tokens of Chinese: leaves room for the answer in a context of 4,096
_AVOID_CHARS = 120
_LABELS_SHOWN = 64

_WORDS: Mapping[Lang, Mapping[str, str]] = {
    "zh": {
        "extra": "额外要求",
        "direction": "方向",
        "persona": "说话人",
        "style": "文体",
        "difficulty": "难度",
        "variation": "变化编号",
        "variation_note": "（只用来区分请求，不要写进内容）",
        "labels": "可选标签",
        "label": "本条标签",
        "types": "实体类型",
        "taken": "已经有的，请写不一样的",
        "avoid": "不要与下面的内容重复",
        "reasons": "上一次没有通过，请改正",
        "material": "素材（只作背景）",
        "colon": "：",
    },
    "en": {
        "extra": "Further wishes",
        "direction": "Direction",
        "persona": "Speaker",
        "style": "Style",
        "difficulty": "Difficulty",
        "variation": "Variation",
        "variation_note": " (only tells requests apart; do not write it)",
        "labels": "Labels",
        "label": "Label of this row",
        "types": "Entity types",
        "taken": "There already, so write something different",
        "avoid": "Do not repeat any of these",
        "reasons": "The last attempt was refused; mend this",
        "material": "Material (background only)",
        "colon": ": ",
    },
}


class Draw(Struct, frozen=True):
    """What chance decided for one attempt; drawn by the plan from the task's seed and the item's number."""

    direction: str | None
    persona: str
    style: str
    difficulty: str
    temperature: float
    seed: int


def generation_messages(
    t: TaskType,
    lang: Lang,
    draw: Draw,
    sample: Mapping[str, Any],
    *,
    special_prompt: str = "",
    avoid: Sequence[str] = (),
    reasons: Sequence[str] = (),
    profile: LengthProfile | None = None,
) -> list[dict[str, Any]]:
    """Return the messages that ask for one row.

    ``avoid``: texts not to repeat. ``reasons``: why the last attempt failed. ``profile``: what all samples look like;
    with it the label of the row is drawn among all labels, else the sample's own is kept.
    """
    words = _WORDS[lang]
    system = f"task: {t.name}\nlanguage: {lang}\n\n{t.prompts[lang]}"
    if special_prompt.strip():
        system += f"\n\n{words['extra']}{words['colon']}{special_prompt.strip()}"
    lines = [
        f"{words[name]}{words['colon']}{value}"
        for name, value in (
            ("direction", _line(draw.direction or "")),
            ("persona", draw.persona),
            ("style", draw.style),
            ("difficulty", draw.difficulty),
            ("variation", f"{draw.seed % 10_000}{words['variation_note']}"),
            *_names(t, draw, sample, profile),
        )
        if value
    ]
    for name, items in (("taken", _taken(t, sample)), ("avoid", avoid), ("reasons", reasons)):
        shown = [f"- {_line(item)[:_AVOID_CHARS]}" for item in items if item.strip()]
        if shown:
            lines += [f"{words[name]}{words['colon'].rstrip()}", *shown]
    lines += [
        "",
        f"{words['material']}{words['colon'].rstrip()}",
        "<material>",
        material(t, sample) or "-",
        "</material>",
    ]
    return [{"role": "system", "content": system}, {"role": "user", "content": "\n".join(lines)}]


def response_format(t: TaskType, profile: LengthProfile | None = None) -> dict[str, Any]:
    """Return the answer's form for services with guided decoding (OpenAI ``response_format``).

    With a ``profile`` the labels or entity types of the samples become the only ones a model can write; where each
    sample brings its own set of labels the form stays open.
    """
    schema = t.ask_schema
    for show, path in (("label", ("label",)), ("label", ("intent",)), ("types", ("entities", "type"))):
        names = known_labels(t, {}, profile, show=show)[:_LABELS_SHOWN]
        if names and not (show == "label" and _own_sets(t, profile)):
            schema = _closed(schema, path, list(names))
    return {"type": "json_schema", "json_schema": {"name": t.name, "strict": True, "schema": schema}}


def _own_sets(t: TaskType, profile: LengthProfile | None) -> bool:
    columns = (
        [t.column(field.name, profile.labels) for field in t.input_fields if field.show == "label_set"]
        if profile
        else []
    )
    return any(column is not None for column in columns)


def _closed(schema: dict[str, Any], path: tuple[str, ...], names: list[str]) -> dict[str, Any]:
    """Return ``schema`` with the property at ``path`` limited to ``names``; unchanged when there is none."""
    properties = schema.get("properties", {})
    if path[0] not in properties:
        return schema
    part = properties[path[0]]
    inner = {"enum": names} if len(path) == 1 else {**part, "items": _closed(part["items"], path[1:], names)}
    return {**schema, "properties": {**properties, path[0]: inner}}


def material(t: TaskType, sample: Mapping[str, Any]) -> str:
    """Return the sample's prose, one ``- name: text`` a column; a sample without any known column is shown whole."""
    parts: list[str] = []
    known: set[str] = set()
    for field in t.input_fields:
        column = t.column(field.name, sample)
        if column is None:
            continue
        known.add(column)
        text = _shown(field, sample[column])
        if text:
            parts.append(f"- {field.name}: {text}")
    if not known:
        parts = [f"- {column}: {_plain(value)}" for column, value in sample.items() if _plain(value)]
    return "\n".join(parts)[:_MATERIAL_CHARS]


def _shown(field: InputField, value: Any) -> str:
    if field.show == "text":
        return _plain(value)
    if field.show == "speakers":
        return " / ".join(_user_turns(value))
    return ""


def _user_turns(value: Any) -> list[str]:
    """Return what the users in a dialogue said, so that the concerns are known and the replies are not."""
    if isinstance(value, str):
        try:
            value = msgspec.json.decode(value)
        except msgspec.DecodeError:
            return [_line(value)]
    turns: list[str] = []
    for item in cast("list[Any]", value) if isinstance(value, list) else []:
        if isinstance(item, Mapping):
            message = cast("Mapping[str, Any]", item)
            if message.get("role", message.get("from", "user")) in {"user", "human"}:
                turns.append(_line(str(message.get("content", message.get("value", "")))))
    return [turn for turn in turns if turn]


def _plain(value: Any) -> str:
    if isinstance(value, str):
        return _line(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    return _line(" ".join(leaves(value)))


def _names(t: TaskType, draw: Draw, sample: Mapping[str, Any], profile: LengthProfile | None) -> list[tuple[str, str]]:
    """Return the lines that name labels and entity types, as far as the type has them."""
    shows = {field.show for field in t.input_fields}
    found: list[tuple[str, str]] = []
    if "label" in shows:
        labels = known_labels(t, sample, profile)[:_LABELS_SHOWN]
        if labels:
            found += [("labels", ", ".join(labels)), ("label", labels[draw.seed % len(labels)])]
    if "types" in shows:
        found.append(("types", ", ".join(known_labels(t, sample, profile, show="types")[:_LABELS_SHOWN])))
    return found


def _taken(t: TaskType, sample: Mapping[str, Any]) -> list[str]:
    columns = [t.column(field.name, sample) for field in t.input_fields if field.show == "taken"]
    return [_plain(sample[column]) for column in columns if column is not None]


def _line(text: str) -> str:
    """Put a text on one line and take the marks out that close the material."""
    return " ".join(text.split()).replace("<material>", "").replace("</material>", "")
