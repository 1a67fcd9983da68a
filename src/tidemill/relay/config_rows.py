"""Model configurations: the envelope API's words for channels. Pure: checks, port ranges, masks, columns."""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from msgspec import Struct

from tidemill.kernel.errors import BadInput
from tidemill.platform.db import Row
from tidemill.platform.http import check_address

MASK = "sk-xxxxx"
MAX_NAME = 100
MAX_URL = 255
MAX_PATH = 500
MAX_DESCRIPTION = 10_000
MAX_PORTS = 64
MAX_KEY = 4096
_MOST = 1_000_000_000
_MAX_TIMEOUT_S = 86_400
_MAX_TEMPERATURE = 2.0
_PORTS = re.compile(
    r"^(?P<before>https?://(?:\[[^\]/]+\]|[^/:@]+)):(?P<first>\d{1,5})-(?P<last>\d{1,5})(?P<after>/.*)?$"
)
_KEY_SHOWN = 4
_KEY_LONG_ENOUGH = 8


class ModelConfigWish(Struct, frozen=True, kw_only=True):
    """A model configuration as it is sent. ``api_url`` may hold a port range: one channel each.

    ``api_key`` absent, or the mask it was shown with: the stored one stays; empty: none. ``timeout`` in seconds.
    """

    name: str
    api_url: str
    model_path: str
    api_key: str | None = None
    max_concurrent: int = 16
    temperature: float = 1.0
    top_p: float = 1.0
    max_tokens: int = 2048
    is_vllm: bool = True
    timeout: int = 600
    description: str = ""
    is_active: bool = True


class ModelConfigChange(Struct, frozen=True, kw_only=True):
    """What to change of a configuration; what is absent or null stays."""

    name: str | None = None
    api_url: str | None = None
    model_path: str | None = None
    api_key: str | None = None
    max_concurrent: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    is_vllm: bool | None = None
    timeout: int | None = None
    description: str | None = None
    is_active: bool | None = None


class ModelConfigView(Struct, frozen=True, kw_only=True):
    """A configuration as administrators see it; ``api_key`` is masked."""

    id: int
    name: str
    api_url: str
    api_key: str
    model_path: str
    max_concurrent: int
    temperature: float
    top_p: float
    max_tokens: int
    is_vllm: bool
    timeout: int
    description: str
    is_active: bool
    channel_id: int | None
    created_at: datetime | None
    updated_at: datetime | None


# Rows that an earlier system left without a value read as its defaults.
_DEFAULTS: Mapping[str, Any] = {
    "max_concurrent": 16,
    "temperature": 1.0,
    "top_p": 1.0,
    "max_tokens": 2048,
    "is_vllm": True,
    "timeout": 600,
    "description": "",
    "is_active": True,
}
_COLUMNS = ("name", "api_url", "model_path", *_DEFAULTS)


def wanted_columns(wish: ModelConfigWish | ModelConfigChange) -> dict[str, Any]:
    """Return what was sent as columns (the key left out)."""
    sent = {name: getattr(wish, name) for name in _COLUMNS}
    return {
        name: value.strip() if isinstance(value, str) else value for name, value in sent.items() if value is not None
    }


def stored_columns(row: Row) -> dict[str, Any]:
    """Return a row's columns with nothing missing."""
    return {name: _DEFAULTS.get(name) if row[name] is None else row[name] for name in _COLUMNS}


def check_columns(columns: Mapping[str, Any], *, allow_private: bool) -> None:
    """Raise BadInput naming the first column that is wrong."""
    for name, most in (("name", MAX_NAME), ("model_path", MAX_PATH)):
        if not 0 < len(columns[name]) <= most or not columns[name].isprintable():
            raise BadInput.of(name, f"must be 1 to {most} printable characters")
    if len(columns["api_url"]) > MAX_URL:
        raise BadInput.of("api_url", f"may be at most {MAX_URL} characters long")
    for url in addresses(columns["api_url"]):
        check_address(url, allow_private=allow_private, field="api_url")
    if len(columns["description"]) > MAX_DESCRIPTION:
        raise BadInput.of("description", f"may be at most {MAX_DESCRIPTION} characters long")
    _check_numbers(columns)


def _check_numbers(columns: Mapping[str, Any]) -> None:
    for name in ("max_concurrent", "max_tokens"):
        if not 1 <= columns[name] <= _MOST:
            raise BadInput.of(name, "must be 1 or more")
    if not 1 <= columns["timeout"] <= _MAX_TIMEOUT_S:
        raise BadInput.of("timeout", f"must be 1 to {_MAX_TIMEOUT_S} seconds")
    if not 0 <= columns["temperature"] <= _MAX_TEMPERATURE:
        raise BadInput.of("temperature", f"must be 0 to {_MAX_TEMPERATURE:g}")
    if not 0 < columns["top_p"] <= 1:
        raise BadInput.of("top_p", "must be more than 0 and at most 1")


def check_key(key: str) -> None:
    """Raise BadInput for a key that no header can carry."""
    if len(key) > MAX_KEY or not key.isascii() or not key.isprintable():
        raise BadInput.of("api_key", f"must be printable ASCII, at most {MAX_KEY} characters")


def addresses(api_url: str) -> list[str]:
    """Return the addresses that ``api_url`` stands for: one for each port of its range, else itself."""
    match = _PORTS.match(api_url)
    if match is None:
        return [api_url]
    first, last = int(match["first"]), int(match["last"])
    if not first <= last:
        raise BadInput.of("api_url", "has a port range that ends before it begins")
    if last - first >= MAX_PORTS:
        raise BadInput.of("api_url", f"has a range of more than {MAX_PORTS} ports")
    return [f"{match['before']}:{port}{match['after'] or ''}" for port in range(first, last + 1)]


def channel_columns(columns: Mapping[str, Any], config_id: int) -> list[dict[str, Any]]:
    """Return the columns of the channels that a configuration makes, in the order of its ports."""
    urls = addresses(columns["api_url"])
    name, path = columns["name"], columns["model_path"]
    return [
        {
            "name": name if len(urls) == 1 else f"{name} #{number}",
            "provider": "vllm" if columns["is_vllm"] else "openai",
            "base_url": url,
            "models": {name: path, path: path},
            "max_concurrent": columns["max_concurrent"],
            "timeout_s": float(columns["timeout"]),
            "defaults": {key: columns[key] for key in ("temperature", "top_p", "max_tokens")},
            "status": "enabled" if columns["is_active"] else "disabled",
            "config_id": config_id,
        }
        for number, url in enumerate(urls, 1)
    ]


def masked(key: str | None) -> str:
    """Return a key as it may be shown."""
    if key is None:
        return MASK
    return f"sk-****{key[-_KEY_SHOWN:]}" if len(key) >= _KEY_LONG_ENOUGH else "sk-****"


def config_view(row: Row, key: str | None) -> ModelConfigView:
    """Show a row."""
    return ModelConfigView(
        id=row["id"],
        api_key=masked(key),
        channel_id=row["channel_id"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        **stored_columns(row),
    )
