"""Write what is generated from the settings, or with ``--check`` say what is out of step.

``.env.example`` and ``docs/reference/settings.md`` come from the settings model. The OpenAPI document and the console's
client have generators of their own in ``console/scripts``.
"""

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

from tidemill.platform.settings import legacy
from tidemill.platform.settings.fields import Field, all_fields

ROOT = Path(__file__).parents[1]
WIDTH = 100


def groups() -> Iterator[tuple[str, list[Field]]]:
    """Yield each group of settings and its fields, in the order of the model."""
    fields = list(all_fields().values())
    for name in dict.fromkeys(field.path.split(".")[0] for field in fields):
        yield name, [field for field in fields if field.path.split(".")[0] == name]


def default_text(field: Field) -> str:
    """Return the default as one would write it in the environment; empty when there is none."""
    value: Any = field.default
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return ",".join(str(item) for item in value)  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType] - settings of any item type
    return json.dumps(value) if isinstance(value, dict) else str(value)


def type_text(annotation: Any) -> str:
    """Return a type as an operator reads it: ``int``, ``on | off``, ``list of str``."""
    arguments = get_args(annotation)
    if annotation is type(None):
        return "unset"
    if not arguments:
        return "path" if annotation is Path else str(getattr(annotation, "__name__", annotation))
    if all(isinstance(argument, str) for argument in arguments):
        return " | ".join(arguments)
    origin = str(getattr(annotation, "__origin__", ""))
    if "tuple" in origin:
        return f"list of {type_text(arguments[0])}"
    if "dict" in origin:
        return "JSON"
    return " | ".join(dict.fromkeys(type_text(argument) for argument in arguments))


def env_example() -> str:
    """Return the commented environment file; every line is a default, so nothing is set until it is uncommented."""
    lines = [
        "# Settings by environment. Copied to .env by scripts/setup_env.sh; made from the settings by `make openapi`.",
        "# 环境变量形式的设置，均为缺省值；去掉行首 # 并修改即生效。密钥可改用 …_FILE 从文件读取。",
        "# Each line shows the default; uncomment to change it. A secret may come from a file: NAME_FILE=/path.",
    ]
    for name, fields in groups():
        lines += ["", f"# ---- {name} " + "-" * (WIDTH - len(name) - 8)]
        for field in fields:
            lines += [f"# {field.doc.zh}", f"# {field.doc.en}", f"#{field.env}={default_text(field)}"]
    return "\n".join(lines) + "\n"


def settings_reference() -> str:
    """Return the reference of every setting and of every name of the earlier systems that is still accepted."""
    lines = [
        "# Settings",
        "",
        "Generated from the settings model by `make openapi`; do not edit. 由设置模型生成，请勿手改。",
        "",
        "Sources, the first that names a setting wins: command line, environment, `.env`, YAML file, default.",
        "In the YAML file a setting stands under its group; in the environment it is `TIDEMILL_<GROUP>__<NAME>`.",
        "A setting marked 🔒 is masked wherever settings are shown and may come from a file: `<NAME>_FILE=/path`.",
        "`tidemill config check` validates, and says where each value in force comes from.",
    ]
    for name, fields in groups():
        lines += [
            "",
            f"## {name}",
            "",
            "| setting | type | default | meaning | 说明 |",
            "| --- | --- | --- | --- | --- |",
        ]
        for field in fields:
            lock = " 🔒" if field.doc.secret else ""
            default = default_text(field)
            cells = [
                f"`{field.path}`{lock}",
                type_text(field.type),
                f"`{default}`" if default else "",
                field.doc.en,
                field.doc.zh,
            ]
            lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    lines += ["", *earlier_names()]
    return "\n".join(lines) + "\n"


def earlier_names() -> Iterator[str]:
    """Yield the table of the earlier systems' names."""
    yield "## Names of the earlier systems"
    yield ""
    yield "Accepted with one warning each; ours win. 早期系统的名称仍可使用，每个给出一次警告；同时设置时以新名称为准。"
    yield ""
    yield "| earlier name | where | setting |"
    yield "| --- | --- | --- |"
    tables: list[tuple[str, Mapping[str, str]]] = [
        ("environment", legacy.ENVIRONMENT),
        ("environment", legacy.JOINED_ENVIRONMENT),
        ("config.yaml", legacy.FILE),
        ("config.yaml", legacy.JOINED_FILE),
    ]
    for where, table in tables:
        for old, new in table.items():
            yield f"| `{old}` | {where} | `{new}` |"
    for old in sorted(legacy.IGNORED_FILE):
        yield f"| `{old}` | config.yaml | accepted, without effect |"


GENERATED: Mapping[str, Callable[[], str]] = {
    ".env.example": env_example,
    "docs/reference/settings.md": settings_reference,
}


def main(arguments: list[str]) -> int:
    """Write every file, or name those that are out of step and return 1."""
    stale: list[str] = []
    for name, make in GENERATED.items():
        path, text = ROOT / name, make()
        if path.is_file() and path.read_text(encoding="utf-8") == text:
            continue
        stale.append(name)
        if "--check" not in arguments:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    for name in stale:
        print(f"{name} is out of step" if "--check" in arguments else f"wrote {name}")
    if stale and "--check" in arguments:
        print("Run `make openapi` and commit what it writes.")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
