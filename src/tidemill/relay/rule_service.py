"""Administration of routing rules. Every change is one transaction with its audit entry, and holds when it returns."""

from collections.abc import Mapping
from typing import Any, get_args

from msgspec import UNSET

from tidemill.audit.facade import record
from tidemill.kernel import clock
from tidemill.kernel.actor import Actor
from tidemill.kernel.errors import BadInput
from tidemill.platform.db import Database, Reader, Writer
from tidemill.relay import repository, repository_rules
from tidemill.relay.channel_rows import check_numbers
from tidemill.relay.contracts import Forecast, Question, RuleView, RuleWish
from tidemill.relay.contracts_admin import RuleChange
from tidemill.relay.errors import RuleNotFound, RuleTaken
from tidemill.relay.providers import Scene
from tidemill.relay.repository import OwnerScope
from tidemill.relay.rule_rows import rule_view
from tidemill.relay.switchboard import Switchboard
from tidemill.relay.sync import Sync

_SAYS = ("strategy", "region", "continues", "rpm", "tpm", "max_concurrent")
_SCENES: tuple[str, ...] = get_args(Scene)
_MAX_SHORT = 50
_MAX_NAME: Mapping[str, int] = {"group": _MAX_SHORT, "model": 500}
_MAX_USER_ID = 2**31 - 1


class RuleService:
    """Every method takes the scope first; ``actor`` is who the audit log names."""

    def __init__(self, db: Database, sync: Sync, board: Switchboard) -> None:
        self._db = db
        self._sync = sync
        self._board = board

    def forecast(self, question: Question, user_id: int, group: str) -> Forecast:
        """Tell who would serve a call of that user now, and why; raises BadInput for a scene that there is not."""
        if question.scene not in _SCENES:
            raise BadInput.of("scene", "must be one of " + ", ".join(_SCENES))
        return self._board.forecast(question, user_id, group)

    async def all(self, scope: OwnerScope) -> list[RuleView]:
        """Return every rule by id."""
        async with self._db.read() as r:
            return [rule_view(row) for row in await repository_rules.all_rules(r, scope)]

    async def get(self, scope: OwnerScope, rule_id: int) -> RuleView:
        """Return one rule; raises RuleNotFound."""
        async with self._db.read() as r:
            return await self._view(r, scope, rule_id)

    async def create(self, scope: OwnerScope, wish: RuleWish, actor: Actor | None) -> RuleView:
        """Make a rule; raises BadInput naming the field, RuleTaken when there is one for the same already."""
        name = _name(wish)
        columns = _checked({field: getattr(wish, field) for field in _SAYS})
        _refuse_empty(columns)
        now = clock.now()
        async with self._db.write() as w:
            if await repository_rules.rule_for(w, scope, wish.kind, name) is not None:
                raise RuleTaken(kind=wish.kind, name=name)
            values = {"kind": wish.kind, "name": name, **columns, "created_at": now, "updated_at": now}
            view = await self._view(w, scope, await repository_rules.add_rule(w, scope, values))
            await self._audit(w, actor, "route_rule.create", view.id, {"after": _told(view)})
        await self._sync.load()
        return view

    async def change(self, scope: OwnerScope, rule_id: int, wanted: RuleChange, actor: Actor | None) -> RuleView:
        """Change a rule; raises RuleNotFound, BadInput."""
        sent = {field: value for field in _SAYS if (value := getattr(wanted, field)) is not UNSET}
        columns = _checked(sent)
        async with self._db.write() as w:
            before = await self._view(w, scope, rule_id)
            _refuse_empty({**{field: getattr(before, field) for field in _SAYS}, **columns})
            await repository_rules.change_rule(w, scope, rule_id, {**columns, "updated_at": clock.now()})
            view = await self._view(w, scope, rule_id)
            details = {"before": _told(before), "after": _told(view)}
            await self._audit(w, actor, "route_rule.change", rule_id, details)
        await self._sync.load()
        return view

    async def delete(self, scope: OwnerScope, rule_id: int, actor: Actor | None) -> None:
        """Delete a rule; raises RuleNotFound."""
        async with self._db.write() as w:
            view = await self._view(w, scope, rule_id)
            await repository_rules.drop_rule(w, scope, rule_id)
            await self._audit(w, actor, "route_rule.delete", rule_id, {"before": _told(view)})
        await self._sync.load()

    async def _view(self, r: Reader, scope: OwnerScope, rule_id: int) -> RuleView:
        row = await repository_rules.rule(r, scope, rule_id)
        if row is None:
            raise RuleNotFound(id=rule_id)
        return rule_view(row)

    async def _audit(
        self, w: Writer, actor: Actor | None, action: str, rule_id: int, details: Mapping[str, Any]
    ) -> None:
        await record(w, actor=actor, action=action, object_type="route_rule", object_id=rule_id, details=details)
        w.changed(repository.TOPIC)


def _name(wish: RuleWish) -> str:
    name = wish.name.strip()
    if wish.kind == "global":
        if name:
            raise BadInput.of("name", "must be empty: this rule is for everybody")
        return name
    if wish.kind == "user":
        if not (name.isascii() and name.isdigit() and 1 <= int(name) <= _MAX_USER_ID):
            raise BadInput.of("name", "must be the id of a user")
        return str(int(name))
    return _text("name", name, _MAX_NAME[wish.kind])


def _checked(columns: Mapping[str, Any]) -> dict[str, Any]:
    checked = dict(columns)
    if checked.get("region") is not None:
        checked["region"] = _text("region", checked["region"], _MAX_SHORT)
    check_numbers(checked)
    return checked


def _refuse_empty(columns: Mapping[str, Any]) -> None:
    if all(columns[field] is None for field in _SAYS):
        raise BadInput.of("strategy", "is missing: a rule sets a strategy, a region, a limit or what broken streams do")


def _text(field: str, value: str, most: int) -> str:
    text = value.strip()
    if not 0 < len(text) <= most or not text.isprintable():
        raise BadInput.of(field, f"must be 1 to {most} printable characters")
    return text


def _told(view: RuleView) -> dict[str, Any]:
    return {field: getattr(view, field) for field in ("kind", "name", *_SAYS)}
