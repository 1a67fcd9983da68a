"""SQL of channels and model configurations; they belong to the installation, so only administrators and we ask."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import delete, func, insert, or_, select, update

from tidemill.kernel.actor import AdminScope, SystemScope
from tidemill.platform.db import Reader, Row, Writer
from tidemill.platform.db.bells import change_seq
from tidemill.relay.tables import channel_keys, channels, model_configs

OwnerScope = AdminScope | SystemScope

# The notice that goes with every change of a channel or a model configuration.
TOPIC = "channels"


async def all_channels(r: Reader, scope: OwnerScope) -> Sequence[Row]:
    """Return every channel by id; there are hundreds at most, and the relay holds all of them in memory anyway."""
    del scope
    return await r.all(select(channels).order_by(channels.c.id))


async def channels_ever_changed(r: Reader, scope: OwnerScope) -> bool:
    """Tell whether a channel was ever made, by the change notices that every write leaves."""
    del scope
    return await r.scalar(select(change_seq.c.seq).where(change_seq.c.topic == TOPIC)) is not None


async def channel(r: Reader, scope: OwnerScope, channel_id: int) -> Row | None:
    """Return one channel."""
    del scope
    return await r.first(select(channels).where(channels.c.id == channel_id))


async def channel_named(r: Reader, scope: OwnerScope, name: str) -> Row | None:
    """Return the channel of that name."""
    del scope
    return await r.first(select(channels).where(channels.c.name == name))


async def channels_of_config(r: Reader, scope: OwnerScope, config_id: int) -> Sequence[Row]:
    """Return a configuration's channels, in the order of its ports."""
    del scope
    return await r.all(select(channels).where(channels.c.config_id == config_id).order_by(channels.c.id))


async def add_channel(w: Writer, scope: OwnerScope, values: Mapping[str, Any]) -> int:
    """Insert a channel; returns its id."""
    del scope
    return await w.scalar(insert(channels).values(**values).returning(channels.c.id))


async def change_channel(w: Writer, scope: OwnerScope, channel_id: int, values: Mapping[str, Any]) -> bool:
    """Set columns of a channel; False when there is none."""
    del scope
    return await w.run(update(channels).where(channels.c.id == channel_id).values(**values)) == 1


async def drop_channels(w: Writer, scope: OwnerScope, ids: Sequence[int]) -> int:
    """Delete channels, and their keys with them; returns how many there were."""
    del scope
    return await w.run(delete(channels).where(channels.c.id.in_(ids)))


async def all_keys(r: Reader, scope: OwnerScope) -> Sequence[Row]:
    """Return the keys of every channel, each channel's in its order."""
    del scope
    return await r.all(select(channel_keys).order_by(channel_keys.c.channel_id, channel_keys.c.position))


async def replace_keys(w: Writer, scope: OwnerScope, channel_id: int, rows: Sequence[Mapping[str, Any]]) -> None:
    """Give a channel these keys and no others."""
    del scope
    await w.run(delete(channel_keys).where(channel_keys.c.channel_id == channel_id))
    await w.run(insert(channel_keys), list(rows))


async def give_keys_back(w: Writer, scope: OwnerScope, channel_id: int, at: datetime) -> None:
    """Use the keys again that were disabled because their service refused them (they alone have a reason)."""
    del scope
    refused = (channel_keys.c.channel_id == channel_id) & channel_keys.c.reason.is_not(None)
    await w.run(update(channel_keys).where(refused).values(status="active", reason=None, changed_at=at))


async def change_key(w: Writer, scope: OwnerScope, key_id: str, values: Mapping[str, Any]) -> None:
    """Set columns of a channel's key."""
    del scope
    await w.run(update(channel_keys).where(channel_keys.c.id == key_id).values(**values))


async def all_configs(r: Reader, scope: OwnerScope) -> Sequence[Row]:
    """Return every model configuration by id."""
    del scope
    return await r.all(select(model_configs).order_by(model_configs.c.id))


async def configs_page(
    r: Reader, scope: OwnerScope, *, q: str | None, offset: int, limit: int
) -> tuple[Sequence[Row], int]:
    """Return a page of configurations whose name, path or description holds ``q``, and how many there are in all."""
    del scope
    statement, count = select(model_configs), select(func.count()).select_from(model_configs)
    if q:
        like = or_(
            model_configs.c.name.icontains(q, autoescape=True),
            model_configs.c.model_path.icontains(q, autoescape=True),
            model_configs.c.description.icontains(q, autoescape=True),
        )
        statement, count = statement.where(like), count.where(like)
    rows = await r.all(statement.order_by(model_configs.c.id).offset(offset).limit(limit))
    return rows, await r.scalar(count)


async def config(r: Reader, scope: OwnerScope, config_id: int) -> Row | None:
    """Return one configuration."""
    del scope
    return await r.first(select(model_configs).where(model_configs.c.id == config_id))


async def config_named(r: Reader, scope: OwnerScope, name: str) -> Row | None:
    """Return the configuration of that name."""
    del scope
    return await r.first(select(model_configs).where(model_configs.c.name == name))


async def add_config(w: Writer, scope: OwnerScope, values: Mapping[str, Any]) -> int:
    """Insert a configuration; returns its id."""
    del scope
    return await w.scalar(insert(model_configs).values(**values).returning(model_configs.c.id))


async def change_config(w: Writer, scope: OwnerScope, config_id: int, values: Mapping[str, Any]) -> None:
    """Set columns of a configuration."""
    del scope
    await w.run(update(model_configs).where(model_configs.c.id == config_id).values(**values))


async def drop_config(w: Writer, scope: OwnerScope, config_id: int) -> None:
    """Delete a configuration."""
    del scope
    await w.run(delete(model_configs).where(model_configs.c.id == config_id))
