"""What administrators may ask of rules and of files of channels, and what they hear back."""

from typing import Any

from msgspec import UNSET, Struct, UnsetType

from tidemill.relay.contracts import Strategy


class RuleChange(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to change of a rule; what is absent stays, null takes it away. Whom it is for never changes."""

    strategy: Strategy | UnsetType | None = UNSET
    region: str | UnsetType | None = UNSET
    rpm: int | UnsetType | None = UNSET
    tpm: int | UnsetType | None = UNSET
    max_concurrent: int | UnsetType | None = UNSET
    continues: bool | UnsetType | None = UNSET


class Difference(Struct, frozen=True):
    """One field of a channel before and after an import. Keys are told as how many there are, never as such."""

    field: str
    before: Any
    after: Any


class ChannelDifferences(Struct, frozen=True):
    """What an import changes of one channel."""

    name: str
    fields: list[Difference]


class ImportReport(Struct, frozen=True):
    """What an import did, or would do, by channel name; ``differences`` tells each changed channel's fields."""

    created: list[str]
    changed: list[str]
    unchanged: list[str]
    differences: list[ChannelDifferences]
    dry_run: bool = False
