"""SQL of routing rules: what holds for everybody, a group, a user or a model. There are tens of them at most."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import delete, insert, select, update

from tidemill.platform.db import Reader, Row, Writer
from tidemill.relay.repository import OwnerScope
from tidemill.relay.tables import route_rules


async def all_rules(r: Reader, scope: OwnerScope) -> Sequence[Row]:
    """Return every rule by id; the relay holds all of them in memory."""
    del scope
    return await r.all(select(route_rules).order_by(route_rules.c.id))


async def rule(r: Reader, scope: OwnerScope, rule_id: int) -> Row | None:
    """Return one rule."""
    del scope
    return await r.first(select(route_rules).where(route_rules.c.id == rule_id))


async def rule_for(r: Reader, scope: OwnerScope, kind: str, name: str) -> Row | None:
    """Return the rule that holds for exactly this. Uses index: uq_route_rules_kind_name."""
    del scope
    return await r.first(select(route_rules).where(route_rules.c.kind == kind, route_rules.c.name == name))


async def add_rule(w: Writer, scope: OwnerScope, values: Mapping[str, Any]) -> int:
    """Insert a rule; returns its id."""
    del scope
    return await w.scalar(insert(route_rules).values(**values).returning(route_rules.c.id))


async def change_rule(w: Writer, scope: OwnerScope, rule_id: int, values: Mapping[str, Any]) -> None:
    """Set columns of a rule."""
    del scope
    await w.run(update(route_rules).where(route_rules.c.id == rule_id).values(**values))


async def drop_rule(w: Writer, scope: OwnerScope, rule_id: int) -> None:
    """Delete a rule."""
    del scope
    await w.run(delete(route_rules).where(route_rules.c.id == rule_id))
