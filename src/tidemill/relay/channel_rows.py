"""Between a channel's row and the words others use for it; checks what an administrator sends."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from msgspec import UNSET, Raw

from tidemill.kernel.errors import BadInput
from tidemill.platform.db import Row
from tidemill.platform.http import check_address
from tidemill.relay import overrides
from tidemill.relay.channel_state import P50, P95, ChannelState
from tidemill.relay.contracts import ChannelChange, ChannelKeyView, ChannelView, ChannelWish, Denied, Models, Price
from tidemill.relay.providers import PROVIDERS, provider_of
from tidemill.relay.snapshot import Channel, ChannelKey

# Marks a channel that the file of channels owns (``relay.channels_file``).
FILE_TAG = "channels-file"
MAX_NAME = 200
MAX_MODELS = 2000
MAX_KEYS = 100
MAX_KEY = 4096
MAX_TAGS = 50
_SHORT = 50
_MAX_MODEL_NAME = 500
_MOST = 1_000_000_000
MAX_TIMEOUT_S = 86_400.0


def given(change: ChannelWish | ChannelChange) -> dict[str, Any]:
    """Return the fields that were sent."""
    fields = {name: getattr(change, name) for name in change.__struct_fields__}
    return {name: value for name, value in fields.items() if value is not UNSET}


def checked_columns(fields: Mapping[str, Any], *, allow_private: bool) -> dict[str, Any]:
    """Return the columns for ``fields`` (``keys`` left out); raises BadInput naming the field that is wrong."""
    columns = {name: value for name, value in fields.items() if name != "keys"}
    if "name" in columns:
        columns["name"] = _text("name", columns["name"], MAX_NAME)
    if "provider" in columns:
        columns["provider"] = _text("provider", columns["provider"], _SHORT)
        if columns["provider"] == "local":
            raise BadInput.of("provider", "`local` is kept for local models, which become channels by themselves")
    if "base_url" in columns:
        columns["base_url"] = columns["base_url"].strip() or _presets_own(columns.get("provider", ""))
        check_address(columns["base_url"], allow_private=allow_private, field="base_url")
    if "models" in columns:
        columns["models"] = _models(columns["models"])
    for name in ("tags", "groups"):
        if name in columns:
            columns[name] = [_text(name, tag, _SHORT) for tag in _most(name, columns[name], MAX_TAGS)]
    for name, most in (("region", _SHORT), ("probe_model", _MAX_MODEL_NAME)):
        if columns.get(name) is not None:
            columns[name] = _text(name, columns[name], most) if columns[name].strip() else None
    check_numbers(columns)
    return {**columns, **overrides.checked(columns)}


def _presets_own(provider: str) -> str:
    """Return where a provider is to be found when nobody says; only names that we know have such a place."""
    preset = PROVIDERS.get(provider)
    if preset is None or preset.base_url is None:
        raise BadInput.of("base_url", "is missing; only well-known providers have an address of their own")
    return preset.base_url


def check_numbers(columns: Mapping[str, Any]) -> None:
    """Raise BadInput for a number that nothing can be held to."""
    if "priority" in columns and not -_MOST <= columns["priority"] <= _MOST:
        raise BadInput.of("priority", f"must lie between -{_MOST} and {_MOST}")
    if "weight" in columns and not 0 <= columns["weight"] <= _MOST:
        raise BadInput.of("weight", "must be 0 (no traffic) or more")
    for name in ("max_concurrent", "rpm", "tpm"):
        value = columns.get(name)
        if value is not None and not 1 <= value <= _MOST:
            raise BadInput.of(name, "must be 1 or more; leave it out for no limit of its own")
    if "timeout_s" in columns and not 0 < columns["timeout_s"] <= MAX_TIMEOUT_S:
        raise BadInput.of("timeout_s", f"must be more than 0 and at most {MAX_TIMEOUT_S:.0f} seconds")


def _text(field: str, value: str, most: int) -> str:
    text = value.strip()
    if not 0 < len(text) <= most or not text.isprintable():
        raise BadInput.of(field, f"must be 1 to {most} printable characters")
    return text


def _most(field: str, items: list[str], most: int) -> list[str]:
    if len(items) > most:
        raise BadInput.of(field, f"may hold at most {most} entries")
    return items


def _models(models: Models) -> dict[str, str]:
    pairs = models.items() if isinstance(models, dict) else ((name, name) for name in models)
    checked = {
        _text("models", public, _MAX_MODEL_NAME): _text("models", name, _MAX_MODEL_NAME) for public, name in pairs
    }
    if not 0 < len(checked) <= MAX_MODELS:
        raise BadInput.of("models", f"must name 1 to {MAX_MODELS} models")
    return checked


def checked_keys(keys: list[str]) -> list[str]:
    """Return the keys without blanks; raises BadInput for one that no header can carry."""
    clean = [key.strip() for key in _most("keys", keys, MAX_KEYS) if key.strip()]
    if any(len(key) > MAX_KEY or not key.isascii() or not key.isprintable() for key in clean):
        raise BadInput.of("keys", f"must be printable ASCII, at most {MAX_KEY} characters each")
    return clean


def channel_of(row: Row, keys: Sequence[ChannelKey], *, default_max_concurrent: int | None) -> Channel:
    """Make the relay's channel of a row and its opened keys."""
    return Channel(
        id=row["id"],
        name=row["name"],
        provider=row["provider"],
        root=provider_of(row["provider"]).root_of(row["base_url"]),
        models=row["models"],
        keys=tuple(keys),
        priority=row["priority"],
        weight=row["weight"],
        max_concurrent=row["max_concurrent"] or default_max_concurrent,
        rpm=row["rpm"],
        timeout_s=row["timeout_s"],
        defaults={name: Raw(msgspec.json.encode(value)) for name, value in row["defaults"].items()},
        forward_trace=row["forward_trace"],
        config_id=row["config_id"],
        groups=frozenset(row["groups"]),
        region=row["region"],
        tpm=row["tpm"],
        denied=msgspec.convert(row["denied"], Denied),
        prices=msgspec.convert(row["prices"], dict[str, Price]),
        header_overrides=tuple((name.lower(), value) for name, value in row["header_overrides"].items()),
        param_overrides={name: Raw(msgspec.json.encode(value)) for name, value in row["param_overrides"].items()},
        probe_model=row["probe_model"],
    )


def channel_view(row: Row, keys: Sequence[Row], state: ChannelState | None, now: float) -> ChannelView:
    """Show a row, with the figures of this process."""
    return ChannelView(
        id=row["id"],
        name=row["name"],
        provider=row["provider"],
        base_url=row["base_url"],
        keys=[ChannelKeyView(key["last4"], key["status"], key["id"], key["reason"], key["changed_at"]) for key in keys],
        models=row["models"],
        priority=row["priority"],
        weight=row["weight"],
        max_concurrent=row["max_concurrent"],
        rpm=row["rpm"],
        timeout_s=row["timeout_s"],
        defaults=row["defaults"],
        forward_trace=row["forward_trace"],
        status=row["status"],
        status_reason=row["status_reason"],
        tags=row["tags"],
        groups=row["groups"],
        region=row["region"],
        tpm=row["tpm"],
        denied=msgspec.convert(row["denied"], Denied),
        prices=msgspec.convert(row["prices"], dict[str, Price]),
        header_overrides=row["header_overrides"],
        param_overrides=row["param_overrides"],
        probe_model=row["probe_model"],
        balance=row["balance"],
        balance_currency=row["balance_currency"],
        balance_floor=row["balance_floor"],
        balance_at=row["balance_at"],
        config_id=row["config_id"],
        read_only=FILE_TAG in row["tags"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        **figures(state, now),
    )


def local_view(state: ChannelState, now: float) -> ChannelView:
    """Show the channel that a local model is."""
    channel = state.channel
    return ChannelView(
        id=channel.id,
        name=channel.name,
        provider=channel.provider,
        base_url="",
        keys=[],
        models=dict(channel.models),
        priority=channel.priority,
        weight=channel.weight,
        max_concurrent=channel.max_concurrent,
        rpm=channel.rpm,
        timeout_s=channel.timeout_s,
        defaults={},
        forward_trace=channel.forward_trace,
        status="enabled",
        status_reason=None,
        tags=["local"],
        read_only=True,
        **figures(state, now),
    )


def figures(state: ChannelState | None, now: float) -> dict[str, Any]:
    """Return the live part of a channel's view."""
    if state is None:
        return {}
    return {
        "limit": state.limit,
        "in_flight": state.in_flight,
        "breaker": state.breaker_state(now),
        "lanes": list(state.lane_views(now)),
        "requests": state.done,
        "errors": state.errors,
        "error_rate": state.failing.share(now),
        "last_error": state.last_error,
        "p50_ms": state.percentile_ms(P50),
        "p95_ms": state.percentile_ms(P95),
    }
