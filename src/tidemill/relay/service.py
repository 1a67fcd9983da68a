"""Administration of channels. Every change is one transaction with its audit entry; the relay hears of it at commit."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from tidemill.audit.facade import record
from tidemill.kernel import clock
from tidemill.kernel.actor import Actor
from tidemill.kernel.errors import BadInput
from tidemill.platform.db import Reader, Row, Writer
from tidemill.relay import repository
from tidemill.relay.channel_rows import (
    channel_of,
    channel_view,
    checked_columns,
    checked_keys,
    given,
    local_view,
)
from tidemill.relay.channel_test import try_channel
from tidemill.relay.contracts import (
    ChannelChange,
    ChannelImport,
    ChannelStatus,
    ChannelTest,
    ChannelView,
    ChannelWish,
)
from tidemill.relay.errors import ChannelManagedElsewhere, ChannelNameTaken, ChannelNotFound
from tidemill.relay.house import House
from tidemill.relay.repository import OwnerScope
from tidemill.relay.snapshot import Channel
from tidemill.relay.sync import Sync

# What an administrator may set on a channel that a model configuration owns; the rest comes from there.
_FREE_FIELDS = frozenset(
    {
        "priority",
        "weight",
        "rpm",
        "tpm",
        "tags",
        "groups",
        "region",
        "denied",
        "prices",
        "probe_model",
        "status",
        "forward_trace",
    }
)
_OWNER = "model configuration / 模型配置"
_EXPORTED = (
    "name",
    "provider",
    "base_url",
    "models",
    "priority",
    "weight",
    "max_concurrent",
    "rpm",
    "timeout_s",
    "defaults",
    "forward_trace",
    "status",
    "tags",
    "groups",
    "region",
    "tpm",
    "denied",
    "prices",
    "header_overrides",
    "param_overrides",
    "probe_model",
    "balance_floor",
)
# Of a channel's view, what the audit log does not tell: live figures; of keys only how many there are and their ends.
_UNTOLD = frozenset(
    {
        "id",
        "keys",
        "config_id",
        "read_only",
        "limit",
        "in_flight",
        "breaker",
        "lanes",
        "requests",
        "errors",
        "error_rate",
        "last_error",
        "p50_ms",
        "p95_ms",
        "balance",
        "balance_currency",
        "balance_at",
        "created_at",
        "updated_at",
    }
)


class ChannelService:
    """Every method takes the scope first; ``actor`` is who the audit log names (None: the command line)."""

    def __init__(self, house: House, sync: Sync) -> None:
        self._house = house
        self._sync = sync

    async def all(self, scope: OwnerScope, *, q: str | None = None) -> list[ChannelView]:
        """Return every channel, local models last; ``q`` looks in names, providers, models and tags."""
        now = clock.monotonic()
        async with self._house.db.read() as r:
            rows = await repository.all_channels(r, scope)
            keys = await repository.all_keys(r, scope)
        states = self._house.board.states
        views = [
            channel_view(row, [key for key in keys if key["channel_id"] == row["id"]], states.get(row["id"]), now)
            for row in rows
        ]
        views += [local_view(state, now) for state in states.values() if state.channel.is_local]
        return [view for view in views if not q or _matches(view, q.lower())]

    async def get(self, scope: OwnerScope, channel_id: int) -> ChannelView:
        """Return one channel; raises ChannelNotFound."""
        state = self._house.board.states.get(channel_id)
        if state is not None and state.channel.is_local:
            return local_view(state, clock.monotonic())
        async with self._house.db.read() as r:
            return await self._view(r, scope, channel_id)

    async def create(self, scope: OwnerScope, wish: ChannelWish, actor: Actor | None) -> ChannelView:
        """Make a channel; raises BadInput naming the field, ChannelNameTaken."""
        async with self._house.db.write() as w:
            view = await self._add(w, scope, wish, actor)
        await self._sync.load()
        return await self.get(scope, view.id)

    async def _add(self, w: Writer, scope: OwnerScope, wish: ChannelWish, actor: Actor | None) -> ChannelView:
        columns = checked_columns(given(wish), allow_private=self._house.allow_private)
        keys = checked_keys(wish.keys)
        now = clock.now()
        await self._name_free(w, scope, columns["name"], None)
        channel_id = await repository.add_channel(w, scope, {**columns, "created_at": now, "updated_at": now})
        await repository.replace_keys(w, scope, channel_id, self._house.vault.key_rows(channel_id, keys))
        view = await self._view(w, scope, channel_id)
        await self._audit(w, actor, "channel.create", channel_id, {"after": _told(view)})
        return view

    async def change(
        self, scope: OwnerScope, channel_id: int, wanted: ChannelChange, actor: Actor | None
    ) -> ChannelView:
        """Change a channel; raises ChannelNotFound, BadInput, ChannelNameTaken, ChannelManagedElsewhere."""
        self._refuse_local(channel_id)
        async with self._house.db.write() as w:
            await self._alter(w, scope, channel_id, wanted, actor)
        await self._sync.load()
        return await self.get(scope, channel_id)

    async def _alter(
        self, w: Writer, scope: OwnerScope, channel_id: int, wanted: ChannelChange, actor: Actor | None
    ) -> None:
        fields = given(wanted)
        columns = checked_columns(fields, allow_private=self._house.allow_private)
        before = await self._view(w, scope, channel_id)
        if before.config_id is not None and not fields.keys() <= _FREE_FIELDS:
            raise ChannelManagedElsewhere(owner=_OWNER)
        if "name" in columns:
            await self._name_free(w, scope, columns["name"], channel_id)
        if "status" in columns:
            columns["status_reason"] = None
        await repository.change_channel(w, scope, channel_id, {**columns, "updated_at": clock.now()})
        if "keys" in fields:
            rows = self._house.vault.key_rows(channel_id, checked_keys(fields["keys"]))
            await repository.replace_keys(w, scope, channel_id, rows)
        after = await self._view(w, scope, channel_id)
        await self._audit(w, actor, "channel.change", channel_id, {"before": _told(before), "after": _told(after)})

    async def import_all(
        self, scope: OwnerScope, wishes: Sequence[ChannelChange], actor: Actor | None
    ) -> ChannelImport:
        """Make or change channels by name, all or none; what an entry leaves out stays as it is (keys above all).

        Raises BadInput naming what a new channel lacks, and whatever ``create`` and ``change`` raise.
        """
        report = ChannelImport([], [])
        async with self._house.db.write() as w:
            for wish in wishes:  # an administrator's file: tens of entries
                if not isinstance(wish.name, str):
                    raise BadInput.of("name", "is missing")
                known = await repository.channel_named(w, scope, wish.name.strip())
                if known is None:
                    await self._add(w, scope, _as_new(wish), actor)
                    report.created.append(wish.name)
                else:
                    await self._alter(w, scope, known["id"], wish, actor)
                    report.changed.append(wish.name)
        await self._sync.load()
        return report

    async def export(self, scope: OwnerScope) -> list[dict[str, Any]]:
        """Return what ``import_all`` takes, without keys; what configurations and local models own is left out."""
        async with self._house.db.read() as r:
            rows = await repository.all_channels(r, scope)
        return [{name: row[name] for name in _EXPORTED} for row in rows if row["config_id"] is None]

    async def set_status(
        self, scope: OwnerScope, channel_id: int, status: ChannelStatus, actor: Actor | None
    ) -> ChannelView:
        """Enable, disable or drain a channel (a draining one ends its calls and takes no new ones)."""
        return await self.change(scope, channel_id, ChannelChange(status=status), actor)

    async def delete(self, scope: OwnerScope, channel_id: int, actor: Actor | None) -> None:
        """Delete a channel; its calls under way end first. Raises ChannelNotFound, ChannelManagedElsewhere."""
        self._refuse_local(channel_id)
        async with self._house.db.write() as w:
            view = await self._view(w, scope, channel_id)
            if view.config_id is not None:
                raise ChannelManagedElsewhere(owner=_OWNER)
            await repository.drop_channels(w, scope, [channel_id])
            await self._audit(w, actor, "channel.delete", channel_id, {"before": _told(view)})
        await self._sync.load()

    async def test(self, scope: OwnerScope, channel_id: int, model: str | None, user_id: int) -> ChannelTest:
        """Call the channel once; ``model`` is a public name, absent: its first. Raises ChannelNotFound, BadInput."""
        channel = await self._channel(scope, channel_id)
        wanted = model or next(iter(channel.models))
        if wanted not in channel.models:
            raise BadInput.of("model", "is not one of this channel's models")
        return await try_channel(
            channel,
            wanted,
            user_id,
            upstreams=self._house.upstreams,
            meter=self._house.meter,
            leases=self._house.leases,
        )

    async def _channel(self, scope: OwnerScope, channel_id: int) -> Channel:
        state = self._house.board.states.get(channel_id)
        if state is not None:
            return state.channel
        async with self._house.db.read() as r:
            row = await self._must(r, scope, channel_id)
            keys = [key for key in await repository.all_keys(r, scope) if key["channel_id"] == channel_id]
        opened = self._house.vault.open_keys(keys)
        return channel_of(row, opened or [], default_max_concurrent=self._house.default_max_concurrent)

    def _refuse_local(self, channel_id: int) -> None:
        if channel_id < 0:
            raise ChannelManagedElsewhere(owner="local models / 本地模型")

    async def _must(self, r: Reader, scope: OwnerScope, channel_id: int) -> Row:
        row = await repository.channel(r, scope, channel_id)
        if row is None:
            raise ChannelNotFound(id=channel_id)
        return row

    async def _view(self, r: Reader, scope: OwnerScope, channel_id: int) -> ChannelView:
        row = await self._must(r, scope, channel_id)
        keys = [key for key in await repository.all_keys(r, scope) if key["channel_id"] == channel_id]
        return channel_view(row, keys, self._house.board.states.get(channel_id), clock.monotonic())

    async def _name_free(self, r: Reader, scope: OwnerScope, name: str, own_id: int | None) -> None:
        row = await repository.channel_named(r, scope, name)
        if row is not None and row["id"] != own_id:
            raise ChannelNameTaken(name=name)

    async def _audit(
        self, w: Writer, actor: Actor | None, action: str, channel_id: int, details: Mapping[str, Any]
    ) -> None:
        await record(w, actor=actor, action=action, object_type="channel", object_id=channel_id, details=details)
        w.changed(repository.TOPIC)


def _as_new(change: ChannelChange) -> ChannelWish:
    fields = given(change)
    for name in ("base_url", "models"):
        if name not in fields and not (name == "base_url" and "provider" in fields):
            raise BadInput.of(name, f"is missing; {fields['name']} is a new channel")
    return ChannelWish(**fields)


def _matches(view: ChannelView, q: str) -> bool:
    texts: Sequence[str] = (view.name, view.provider, *view.models, *view.tags)
    return any(q in text.lower() for text in texts)


def _told(view: ChannelView) -> dict[str, Any]:
    """Return of a channel what the audit log tells; of its keys only how many there are and their ends."""
    told = {name: value for name, value in msgspec.to_builtins(view).items() if name not in _UNTOLD}
    return {**told, "last4": [key.last4 for key in view.keys]}
