"""Channels as a list that leaves and enters the installation: what would change is told before it is done."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from msgspec import Struct

from tidemill.kernel.actor import Actor
from tidemill.kernel.errors import BadInput
from tidemill.platform.db import Reader, Row
from tidemill.relay import repository
from tidemill.relay.channel_rows import FILE_TAG, checked_columns, checked_keys, given
from tidemill.relay.channels_yaml import dump, parse
from tidemill.relay.contracts import ChannelChange, ChannelWish
from tidemill.relay.contracts_admin import ChannelDifferences, Difference, ImportReport
from tidemill.relay.house import House
from tidemill.relay.repository import OwnerScope
from tidemill.relay.service import ChannelService
from tidemill.relay.sync import Sync

MAX_ENTRIES = 1000
_EXPORTED = tuple(name for name in ChannelWish.__struct_fields__ if name != "keys")
# What health decided is not undone by a file that merely says `enabled`, as every export does.
_SAME_STATUS = {"auto_disabled": "enabled"}
_GONE = "no longer in the file of channels"


class _Step(Struct, frozen=True):
    """What becomes of one entry: ``known`` None: a new channel."""

    name: str
    wish: ChannelChange
    known: Row | None
    differences: list[Difference]
    reason: str | None = None


class ChannelImports:
    """Every method takes the scope first; ``actor`` is who the audit log names (None: the program itself)."""

    def __init__(self, house: House, channels: ChannelService, sync: Sync) -> None:
        self._house = house
        self._channels = channels
        self._sync = sync

    async def export(self, scope: OwnerScope) -> list[dict[str, Any]]:
        """Return what ``run`` takes, without keys; what configurations and local models own is left out."""
        async with self._house.db.read() as r:
            rows = await repository.all_channels(r, scope)
        return [_entry(row) for row in rows if row["config_id"] is None]

    async def export_yaml(self, scope: OwnerScope) -> str:
        """Return the same as the text of a file."""
        return dump(await self.export(scope))

    async def take(
        self, scope: OwnerScope, content: bytes, actor: Actor | None, *, dry_run: bool = False
    ) -> ImportReport:
        """Do with a file's content (YAML or JSON) as ``run`` does; raises BadInput also for one that cannot be read."""
        return await self.run(scope, parse(content), actor, dry_run=dry_run)

    async def run(
        self,
        scope: OwnerScope,
        wishes: Sequence[ChannelChange],
        actor: Actor | None,
        *,
        dry_run: bool = False,
        from_file: bool = False,
    ) -> ImportReport:
        """Make or change channels by name, all or none; what an entry leaves out stays as it is (keys above all).

        ``dry_run`` tells what would happen and changes nothing. ``from_file``: the list is the file of channels, whole;
        channels of that file that it no longer names are disabled. Raises BadInput naming what a new channel lacks, and
        whatever making and changing a channel raises.
        """
        if len(wishes) > MAX_ENTRIES:
            raise BadInput.of("channels", f"may hold at most {MAX_ENTRIES} entries")
        if dry_run:
            async with self._house.db.read() as r:
                steps = await self._plan(r, scope, wishes, from_file=from_file)
            return _report(steps, dry_run=True)
        async with self._house.db.write() as w:
            steps = await self._plan(w, scope, wishes, from_file=from_file)
            for step in steps:  # a file of an administrator: tens of entries
                if step.known is None:
                    await self._channels.add(w, scope, _as_new(step.wish), actor, from_file=from_file)
                elif step.differences:
                    await self._channels.alter(
                        w, scope, step.known["id"], step.wish, actor, from_file=from_file, reason=step.reason
                    )
        report = _report(steps)
        if report.created or report.changed:
            await self._sync.load()
        return report

    async def _plan(
        self, r: Reader, scope: OwnerScope, wishes: Sequence[ChannelChange], *, from_file: bool
    ) -> list[_Step]:
        known = {row["name"]: row for row in await repository.all_channels(r, scope)}
        keys: dict[int, list[Row]] = {}
        for key in await repository.all_keys(r, scope):
            keys.setdefault(key["channel_id"], []).append(key)
        steps: list[_Step] = []
        seen: set[str] = set()
        for position, wish in enumerate(wishes):
            name = wish.name.strip() if isinstance(wish.name, str) else ""
            if not name or name in seen:
                raise BadInput.of(f"channels[{position}].name", f"{name} is named twice" if name else "is missing")
            seen.add(name)
            row = known.get(name)
            steps.append(self._new(name, wish) if row is None else self._change(row, wish, keys.get(row["id"], [])))
        if from_file:
            steps += [_gone(row) for name, row in known.items() if FILE_TAG in row["tags"] and name not in seen]
        return steps

    def _new(self, name: str, wish: ChannelChange) -> _Step:
        fields = given(_as_new(wish))
        checked_columns(fields, allow_private=self._house.allow_private)
        checked_keys(fields["keys"])
        return _Step(name, wish, None, [])

    def _change(self, row: Row, wish: ChannelChange, own: Sequence[Row]) -> _Step:
        fields = given(wish)
        columns = checked_columns(fields, allow_private=self._house.allow_private)
        if row["status"] == "auto_disabled" and columns.get("status") == "enabled":
            del columns["status"]  # it is meant to serve and will, once its keys are taken again or are others
        found = list(_differences(row, columns))
        if "keys" in fields:
            wanted = checked_keys(fields["keys"])
            if self._house.vault.texts(own) != wanted:
                found.append(Difference("keys", len(own), len(wanted)))
        changed = {difference.field for difference in found}
        narrowed = ChannelChange(**{name: value for name, value in fields.items() if name in changed})
        return _Step(row["name"], narrowed, row, found)


def _gone(row: Row) -> _Step:
    is_off = row["status"] == "disabled"
    differences = [] if is_off else [Difference("status", row["status"], "disabled")]
    return _Step(row["name"], ChannelChange(status="disabled"), row, differences, _GONE)


def _differences(row: Row, columns: Mapping[str, Any]) -> Iterable[Difference]:
    for field, after in columns.items():
        before = row[field]
        if field == "status" and _SAME_STATUS.get(before) == after:
            continue
        if before != after:
            yield Difference(field, before, after)


def _report(steps: Sequence[_Step], *, dry_run: bool = False) -> ImportReport:
    changed = [step for step in steps if step.known is not None and step.differences]
    return ImportReport(
        created=[step.name for step in steps if step.known is None],
        changed=[step.name for step in changed],
        unchanged=[step.name for step in steps if step.known is not None and not step.differences],
        differences=[ChannelDifferences(step.name, step.differences) for step in changed],
        dry_run=dry_run,
    )


def _entry(row: Row) -> dict[str, Any]:
    entry = {name: row[name] for name in _EXPORTED}
    entry["tags"] = [tag for tag in entry["tags"] if tag != FILE_TAG]
    return entry


def _as_new(change: ChannelChange) -> ChannelWish:
    fields = given(change)
    for name in ("base_url", "models"):
        if name not in fields and not (name == "base_url" and "provider" in fields):
            raise BadInput.of(name, f"is missing; {fields['name']} is a new channel")
    return ChannelWish(**fields)
