"""The settings as text: reference pages, ``.env.example``, and the file that ``tidemill init`` writes.

All of it is generated from the model, so none of it can fall behind.
"""

from collections.abc import Iterable, Mapping
from itertools import groupby
from typing import Any, cast

import msgspec

from tidemill.kernel.lang import Lang
from tidemill.platform.settings import legacy
from tidemill.platform.settings.fields import Field, all_fields

_HEADS: Mapping[Lang, str] = {
    "en": "| setting | environment | default | meaning |",
    "zh": "| 设置 | 环境变量 | 默认值 | 含义 |",
}


def markdown(lang: Lang) -> str:
    """Return the reference page of all settings."""
    lines = ["# Settings" if lang == "en" else "# 设置", ""]
    for group, fields in _groups():
        lines += [f"## {group}", "", _HEADS[lang], "| --- | --- | --- | --- |"]
        lines += [_row(field, lang) for field in fields]
        lines.append("")
    lines += _earlier_names(lang)
    return "\n".join(lines)


def dotenv() -> str:
    """Return ``.env.example``: every variable, commented out, with its default."""
    lines = ["# Settings of tidemill by environment; copy to .env and uncomment what you change.", ""]
    for group, fields in _groups():
        lines.append(f"# --- {group}")
        for field in fields:
            lines += [f"# {field.doc.en}", f"#{field.env}={_plain(field.default)}"]
        lines.append("")
    return "\n".join(lines)


def settings_file(values: Mapping[str, str]) -> str:
    """Return a commented YAML file in which only ``values`` are set."""
    lines = ["# Settings of tidemill. Uncomment what you change; `tidemill config check` validates the file.", ""]
    for group, fields in _groups():
        members = list(fields)
        chosen = any(field.path in values for field in members)
        lines.append(f"{group}:" if chosen else f"# {group}:")
        for field in members:
            name = field.path.split(".")[1]
            lines.append(f"  # {field.doc.en}")
            if field.path in values:
                lines.append(f"  {name}: {msgspec.json.encode(values[field.path]).decode()}")
            else:
                lines.append(f"  # {name}: {_json(field.default)}")
        lines.append("")
    return "\n".join(lines)


def _groups() -> Iterable[tuple[str, Iterable[Field]]]:
    return groupby(all_fields().values(), key=lambda field: field.path.split(".")[0])


def _row(field: Field, lang: Lang) -> str:
    sentence = field.doc.zh if lang == "zh" else field.doc.en
    secret = ("（机密）" if lang == "zh" else " (secret)") if field.doc.secret else ""
    default = _plain(field.default)
    return f"| `{field.path}` | `{field.env}` | {f'`{default}`' if default else ''} | {sentence}{secret} |"


def _earlier_names(lang: Lang) -> list[str]:
    head = "## Earlier names" if lang == "en" else "## 早期名称"
    note = (
        "Still accepted, ours win, one warning each."
        if lang == "en"
        else "仍可使用；与新名称并存时以新名称为准，各提示一次。"
    )
    rows = {**legacy.ENVIRONMENT, **legacy.JOINED_ENVIRONMENT, **legacy.FILE, **legacy.JOINED_FILE}
    table = [f"| `{old}` | `{path}` |" for old, path in rows.items()]
    heads = "| earlier | ours |" if lang == "en" else "| 早期 | 现在 |"
    return [head, "", note, "", heads, "| --- | --- |", *table, ""]


def _plain(value: Any) -> str:
    plain = msgspec.to_builtins(value, enc_hook=str)
    if plain is None:
        return ""
    if isinstance(plain, bool):
        return str(plain).lower()
    if isinstance(plain, list | tuple):
        return ",".join(str(entry) for entry in cast("Iterable[object]", plain))
    return _json(plain) if isinstance(plain, dict) else str(plain)  # pyright: ignore[reportUnknownArgumentType] - as above


def _json(value: Any) -> str:
    return msgspec.json.encode(msgspec.to_builtins(value, enc_hook=str)).decode()
