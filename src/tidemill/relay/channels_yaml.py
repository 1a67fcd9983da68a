"""Channels as text: YAML for people (JSON is YAML, too), checked against the words of the API."""

import os
import re
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from msgspec import UNSET, Struct

from tidemill.kernel.errors import BadInput
from tidemill.relay.contracts import ChannelChange

MAX_BYTES = 4 * 1024 * 1024
_REFERENCE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


class _File(Struct, frozen=True, forbid_unknown_fields=True):
    """A file of channels."""

    channels: list[ChannelChange]


def parse(content: bytes) -> list[ChannelChange]:
    """Read a file of channels; raises BadInput saying what is wrong and where."""
    return _convert(_tree(content))


def parse_with_references(content: bytes, environment: Mapping[str, str] = os.environ) -> list[ChannelChange]:
    """Read a file of channels whose ``keys``, ``base_url`` and headers may name variables as ``${NAME}``.

    Raises BadInput, also for a variable that is not set.
    """
    return [_filled(change, environment) for change in _convert(_tree(content))]


def dump(entries: Iterable[Mapping[str, Any]]) -> str:
    """Write channels as ``parse`` reads them."""
    import yaml  # noqa: PLC0415 - loaded on first use

    return yaml.safe_dump({"channels": list(entries)}, allow_unicode=True, sort_keys=False)


def _tree(content: bytes) -> Any:
    import yaml  # noqa: PLC0415 - loaded on first use

    if len(content) > MAX_BYTES:
        raise BadInput.of("channels", f"the file may have at most {MAX_BYTES // (1024 * 1024)} MiB")
    try:
        text = content.decode("utf-8-sig")
        # An alias that stands for itself many times over would grow without bound.
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, Loader=yaml.SafeLoader)):
            raise BadInput.of("channels", "the file may not hold aliases (`*name`)")
        return yaml.safe_load(text)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise BadInput.of("channels", f"is not a file of channels: {error}") from None


def _convert(tree: Any) -> list[ChannelChange]:
    try:
        return msgspec.convert(tree, _File).channels
    except msgspec.ValidationError as error:
        raise BadInput.of("channels", f"is not a file of channels: {error}") from None


def _filled(change: ChannelChange, environment: Mapping[str, str]) -> ChannelChange:
    def filled(text: str) -> str:
        return _REFERENCE.sub(lambda found: _variable(found[1], environment), text)

    known: dict[str, Any] = {}
    if change.keys is not UNSET:
        known["keys"] = [filled(key) for key in change.keys]
    if change.base_url is not UNSET:
        known["base_url"] = filled(change.base_url)
    if change.header_overrides is not UNSET:
        known["header_overrides"] = {name: filled(value) for name, value in change.header_overrides.items()}
    return msgspec.structs.replace(change, **known)


def _variable(name: str, environment: Mapping[str, str]) -> str:
    if name not in environment:
        raise BadInput.of("channels", f"the variable {name} is not set in the server's environment")
    return environment[name]
