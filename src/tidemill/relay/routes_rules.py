"""Routing rules for administrators (``/api/v1/admin/routes``), and who would serve a call under them."""

from collections.abc import Sequence

from litestar import delete, get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from litestar.types import ControllerRouterHandler

from tidemill.identity.facade import UserAdministration
from tidemill.kernel.actor import Actor
from tidemill.platform.web import RestList, administrator
from tidemill.relay.contracts import Forecast, Question, RuleView, RuleWish
from tidemill.relay.contracts_admin import RuleChange
from tidemill.relay.rule_service import RuleService

Rules = NamedDependency[RuleService]
Users = NamedDependency[UserAdministration]
Caller = NamedDependency[Actor]

_PATH = "/api/v1/admin/routes"
_ONE = _PATH + "/{rule_id:int}"


@get(_PATH, guards=[administrator], tags=["routes"], operation_id="listRouteRules")
async def list_rules(actor: Caller, rules: Rules) -> RestList[RuleView]:
    """Every routing rule; the narrowest holds: a model's, then a user's, a group's, at last the global one."""
    found = await rules.all(actor.admin_scope)
    return RestList(found, None, len(found))


@post(_PATH, status_code=201, guards=[administrator], tags=["routes"], operation_id="createRouteRule")
async def create_rule(data: JSONBody[RuleWish], actor: Caller, rules: Rules) -> RuleView:
    """Make a rule for everybody, a group, a user (name: the id) or a model; there is one for each."""
    return await rules.create(actor.admin_scope, data, actor)


@get(_ONE, guards=[administrator], tags=["routes"], operation_id="getRouteRule")
async def get_rule(rule_id: FromPath[int], actor: Caller, rules: Rules) -> RuleView:
    """One rule."""
    return await rules.get(actor.admin_scope, rule_id)


@patch(_ONE, guards=[administrator], tags=["routes"], operation_id="patchRouteRule")
async def patch_rule(rule_id: FromPath[int], data: JSONBody[RuleChange], actor: Caller, rules: Rules) -> RuleView:
    """Change what is sent; null takes a limit, a region or the strategy away."""
    return await rules.change(actor.admin_scope, rule_id, data, actor)


@delete(_ONE, status_code=204, guards=[administrator], tags=["routes"], operation_id="deleteRouteRule")
async def delete_rule(rule_id: FromPath[int], actor: Caller, rules: Rules) -> None:
    """Delete a rule; the next wider one holds."""
    await rules.delete(actor.admin_scope, rule_id, actor)


@post(_PATH + "/dry-run", status_code=200, guards=[administrator], tags=["routes"], operation_id="dryRunRoute")
async def dry_run(data: JSONBody[Question], actor: Caller, rules: Rules, user_administration: Users) -> Forecast:
    """Tell who would serve a call now, in which order, and why the others would not; nothing is called or counted.

    ``user_id`` without ``group``: that user's own group. Neither: whoever asks.
    """
    user_id, group = data.user_id or actor.user_id, data.group
    if group is None:
        asked = data.user_id is not None and data.user_id != actor.user_id
        group = (await user_administration.get(actor.admin_scope, user_id)).group if asked else actor.group
    return rules.forecast(data, user_id, group)


HANDLERS: Sequence[ControllerRouterHandler] = (list_rules, create_rule, get_rule, patch_rule, delete_rule, dry_run)
