"""Model configurations: one service writes them and their channels, both in one transaction.

The relay reads channels alone; a configuration is how the envelope API speaks of them.
"""

from collections.abc import Mapping
from typing import Any

from tidemill.audit.facade import record
from tidemill.kernel import clock
from tidemill.kernel.actor import Actor
from tidemill.kernel.pages import Page, PageRequest
from tidemill.platform.db import Reader, Row, Writer
from tidemill.relay import repository
from tidemill.relay.config_rows import (
    MASK,
    ModelConfigChange,
    ModelConfigView,
    ModelConfigWish,
    channel_columns,
    check_columns,
    check_key,
    config_view,
    masked,
    stored_columns,
    wanted_columns,
)
from tidemill.relay.errors import ChannelNameTaken, ModelConfigNameTaken, ModelConfigNotFound
from tidemill.relay.house import House
from tidemill.relay.repository import OwnerScope
from tidemill.relay.sync import Sync

# What a new channel of a configuration begins with; later an administrator may set it on the channel itself.
_NEW_CHANNEL: Mapping[str, Any] = {
    "priority": 0,
    "weight": 1,
    "rpm": None,
    "tags": [],
    "forward_trace": True,
    "status_reason": None,
}


class ModelConfigService:
    """Every method takes the scope first; ``actor`` is who the audit log names."""

    def __init__(self, house: House, sync: Sync) -> None:
        self._house = house
        self._sync = sync

    async def page(self, scope: OwnerScope, request: PageRequest, q: str | None = None) -> Page[ModelConfigView]:
        """Return configurations by id; ``q`` looks in names, model paths and descriptions."""
        async with self._house.db.read() as r:
            rows, total = await repository.configs_page(
                r, scope, q=q or None, offset=request.offset, limit=request.page_size
            )
        return Page([self._view(row) for row in rows], total, request.page, request.page_size)

    async def get(self, scope: OwnerScope, config_id: int) -> ModelConfigView:
        """Return one; raises ModelConfigNotFound."""
        async with self._house.db.read() as r:
            return self._view(await self._must(r, scope, config_id))

    async def create(self, scope: OwnerScope, wish: ModelConfigWish, actor: Actor | None) -> ModelConfigView:
        """Make one with its channels; raises BadInput naming the field, ModelConfigNameTaken, ChannelNameTaken."""
        columns = wanted_columns(wish)
        check_columns(columns, allow_private=self._house.allow_private)
        key = _key(wish.api_key, None)
        now = clock.now()
        async with self._house.db.write() as w:
            await self._name_free(w, scope, columns["name"], None)
            values = {**columns, "created_at": now, "updated_at": now}
            config_id = await repository.add_config(w, scope, values)
            await self._write_rest(w, scope, config_id, columns, key)
            view = self._view(await self._must(w, scope, config_id))
            await self._audit(w, actor, "model_config.create", view)
        await self._sync.load()
        return view

    async def change(
        self, scope: OwnerScope, config_id: int, wanted: ModelConfigChange, actor: Actor | None
    ) -> ModelConfigView:
        """Change one and its channels; raises ModelConfigNotFound, BadInput, ModelConfigNameTaken, ChannelNameTaken."""
        async with self._house.db.write() as w:
            row = await self._must(w, scope, config_id)
            columns = {**stored_columns(row), **wanted_columns(wanted)}
            check_columns(columns, allow_private=self._house.allow_private)
            key = _key(wanted.api_key, self._house.vault.open_config(config_id, row["api_key"]))
            await self._name_free(w, scope, columns["name"], config_id)
            await repository.change_config(w, scope, config_id, {**columns, "updated_at": clock.now()})
            await self._write_rest(w, scope, config_id, columns, key)
            view = self._view(await self._must(w, scope, config_id))
            await self._audit(w, actor, "model_config.change", view)
        await self._sync.load()
        return view

    async def delete(self, scope: OwnerScope, config_id: int, actor: Actor | None) -> None:
        """Delete one and its channels; calls under way end first. Raises ModelConfigNotFound."""
        async with self._house.db.write() as w:
            view = self._view(await self._must(w, scope, config_id))
            rows = await repository.channels_of_config(w, scope, config_id)
            await repository.drop_channels(w, scope, [row["id"] for row in rows])
            await repository.drop_config(w, scope, config_id)
            await self._audit(w, actor, "model_config.delete", view)
        await self._sync.load()

    async def _write_rest(
        self, w: Writer, scope: OwnerScope, config_id: int, columns: dict[str, Any], key: str | None
    ) -> None:
        """Bring the sealed key and the channels of a configuration into line with it."""
        vault, now = self._house.vault, clock.now()
        existing = [row["id"] for row in await repository.channels_of_config(w, scope, config_id)]
        wanted = channel_columns(columns, config_id)
        await repository.drop_channels(w, scope, existing[len(wanted) :])
        ids: list[int] = []
        for number, values in enumerate(wanted):  # at most one for each port of the range
            known = existing[number] if number < len(existing) else None
            await self._channel_name_free(w, scope, values["name"], known)
            if known is None:
                row = {**_NEW_CHANNEL, **values, "created_at": now, "updated_at": now}
                known = await repository.add_channel(w, scope, row)
            else:
                await repository.change_channel(w, scope, known, {**values, "updated_at": now})
            await repository.replace_keys(w, scope, known, vault.key_rows(known, [key] if key else []))
            ids.append(known)
        sealed = None if key is None else vault.seal_config(config_id, key)
        await repository.change_config(w, scope, config_id, {"api_key": sealed, "channel_id": ids[0]})

    def _view(self, row: Row) -> ModelConfigView:
        return config_view(row, self._house.vault.open_config(row["id"], row["api_key"]))

    async def _must(self, r: Reader, scope: OwnerScope, config_id: int) -> Row:
        row = await repository.config(r, scope, config_id)
        if row is None:
            raise ModelConfigNotFound(id=config_id)
        return row

    async def _name_free(self, r: Reader, scope: OwnerScope, name: str, own_id: int | None) -> None:
        row = await repository.config_named(r, scope, name)
        if row is not None and row["id"] != own_id:
            raise ModelConfigNameTaken(name=name)

    async def _channel_name_free(self, r: Reader, scope: OwnerScope, name: str, own_id: int | None) -> None:
        row = await repository.channel_named(r, scope, name)
        if row is not None and row["id"] != own_id:
            raise ChannelNameTaken(name=name)

    async def _audit(self, w: Writer, actor: Actor | None, action: str, view: ModelConfigView) -> None:
        await record(
            w,
            actor=actor,
            action=action,
            object_type="model_config",
            object_id=view.id,
            details={
                "name": view.name,
                "api_url": view.api_url,
                "model_path": view.model_path,
                "is_active": view.is_active,
            },
        )
        w.changed(repository.TOPIC)


def _key(sent: str | None, stored: str | None) -> str | None:
    """Return the key to keep: what was sent, unless it is the mask or nothing."""
    if sent is None or sent.strip() in {MASK, masked(stored)}:
        return stored
    key = sent.strip()
    check_key(key)
    return key or None
