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
    FILE_TAG,
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
    ChannelStatus,
    ChannelTest,
    ChannelView,
    ChannelWish,
    KeyStatus,
)
from tidemill.relay.errors import (
    ChannelKeyNotFound,
    ChannelManagedElsewhere,
    ChannelNameTaken,
    ChannelNotFound,
)
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
_KEY_ACTS: Mapping[KeyStatus, str] = {"active": "enable", "disabled": "disable"}
_FILE = "the file of channels (gateway.channels_file) / 渠道文件"
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
            view = await self.add(w, scope, wish, actor)
        await self._sync.load()
        return await self.get(scope, view.id)

    async def add(
        self, w: Writer, scope: OwnerScope, wish: ChannelWish, actor: Actor | None, *, from_file: bool = False
    ) -> ChannelView:
        """Make a channel in the caller's transaction; ``sync.load`` is the caller's, too."""
        _refuse_mark(wish.tags, from_file=from_file)
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
            await self.alter(w, scope, channel_id, wanted, actor)
        await self._sync.load()
        return await self.get(scope, channel_id)

    async def alter(
        self,
        w: Writer,
        scope: OwnerScope,
        channel_id: int,
        wanted: ChannelChange,
        actor: Actor | None,
        *,
        from_file: bool = False,
        reason: str | None = None,
    ) -> None:
        """Change a channel in the caller's transaction; ``sync.load`` is the caller's, too."""
        fields = given(wanted)
        _refuse_mark(fields.get("tags", ()), from_file=from_file)
        columns = checked_columns(fields, allow_private=self._house.allow_private)
        before = await self._view(w, scope, channel_id)
        if before.config_id is not None and not fields.keys() <= _FREE_FIELDS:
            raise ChannelManagedElsewhere(owner=_OWNER)
        if before.read_only and not from_file:
            raise ChannelManagedElsewhere(owner=_FILE)
        if "name" in columns:
            await self._name_free(w, scope, columns["name"], channel_id)
        if "keys" in fields and before.status == "auto_disabled":
            columns.setdefault("status", "enabled")  # it was for its keys, which are others now
        if "status" in columns:
            columns["status_reason"] = reason
        if columns.get("status") == "enabled":
            await repository.give_keys_back(w, scope, channel_id, clock.now())
        await repository.change_channel(w, scope, channel_id, {**columns, "updated_at": clock.now()})
        if "keys" in fields:
            rows = self._house.vault.key_rows(channel_id, checked_keys(fields["keys"]))
            await repository.replace_keys(w, scope, channel_id, rows)
        after = await self._view(w, scope, channel_id)
        await self._audit(w, actor, "channel.change", channel_id, {"before": _told(before), "after": _told(after)})

    async def set_key_status(
        self, scope: OwnerScope, channel_id: int, key_id: str, status: KeyStatus, actor: Actor | None
    ) -> ChannelView:
        """Let a key be used again, or no longer; raises ChannelNotFound, ChannelKeyNotFound.

        A key that is used again brings a channel back that was out of service for want of one.
        """
        self._refuse_local(channel_id)
        async with self._house.db.write() as w:
            view = await self._view(w, scope, channel_id)
            key = next((key for key in view.keys if key.id == key_id), None)
            if key is None:
                raise ChannelKeyNotFound(id=key_id)
            values = {"status": status, "reason": None, "changed_at": clock.now()}
            await repository.change_key(w, scope, key_id, values)
            if status == "active" and view.status == "auto_disabled":
                await repository.change_channel(w, scope, channel_id, {"status": "enabled", "status_reason": None})
            details = {"key": key.last4, "before": key.status, "after": status}
            await self._audit(w, actor, f"channel.key_{_KEY_ACTS[status]}", channel_id, details)
        await self._sync.load()
        return await self.get(scope, channel_id)

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
            if view.read_only:
                raise ChannelManagedElsewhere(owner=_FILE)
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


def _refuse_mark(tags: Sequence[str], *, from_file: bool) -> None:
    if not from_file and any(tag.strip() == FILE_TAG for tag in tags):
        raise BadInput.of("tags", f"`{FILE_TAG}` is kept for channels of the file of channels")


def _matches(view: ChannelView, q: str) -> bool:
    texts: Sequence[str] = (view.name, view.provider, *view.models, *view.tags)
    return any(q in text.lower() for text in texts)


def _told(view: ChannelView) -> dict[str, Any]:
    """Return of a channel what the audit log tells; of its keys only how many there are and their ends."""
    told = {name: value for name, value in msgspec.to_builtins(view).items() if name not in _UNTOLD}
    return {**told, "last4": [key.last4 for key in view.keys]}
