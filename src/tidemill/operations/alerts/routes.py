"""Alerts over HTTP, for administrators."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, QueryParameter
from litestar.types import ControllerRouterHandler

from tidemill.kernel.actor import Actor
from tidemill.kernel.lang import Lang
from tidemill.kernel.pages import PageRequest
from tidemill.operations.alerts.contracts import AlertFilter, AlertKind, AlertStatus, AlertView, DeliveryTest
from tidemill.operations.alerts.sending import AlertSender
from tidemill.operations.alerts.service import Alerts
from tidemill.platform.web import RestList, administrator, rest_list
from tidemill.platform.web.inputs import Cursor, PageSize

Book = NamedDependency[Alerts]
Sender = NamedDependency[AlertSender]
Caller = NamedDependency[Actor]
Language = NamedDependency[Lang]

_ADMIN: dict[str, Any] = {"guards": [administrator], "tags": ["alerts"]}
_PATH = "/api/v1/admin/alerts"
Status = Annotated[
    AlertStatus | Literal["active"] | None, QueryParameter(description="`active`: open or acknowledged.")
]
Kind = Annotated[AlertKind | None, QueryParameter(description="Alerts of this kind only.")]


@get(_PATH, operation_id="listAlerts", **_ADMIN)
async def list_alerts(
    actor: Caller,
    alerts: Book,
    lang: Language,
    status: Status = None,
    kind: Kind = None,
    page_size: PageSize = 50,
    cursor: Cursor = None,
) -> RestList[AlertView]:
    """Alerts, newest first, in the caller's language; pages by `cursor`."""
    wanted = AlertFilter(status=status, kind=kind)
    return rest_list(await alerts.page(actor.admin_scope, wanted, PageRequest.checked(1, page_size, cursor), lang))


@post(_PATH + "/test", status_code=200, operation_id="testAlerts", **_ADMIN)
async def try_alerts(alert_sender: Sender) -> DeliveryTest:
    """Send a test message by every way that is set up, and tell how each went."""
    return await alert_sender.test()


@post(_PATH + "/{alert_id:str}/acknowledge", status_code=200, operation_id="acknowledgeAlert", **_ADMIN)
async def acknowledge_alert(actor: Caller, alerts: Book, lang: Language, alert_id: FromPath[str]) -> AlertView:
    """Note that somebody knows and looks after it."""
    return await alerts.acknowledge(actor.admin_scope, alert_id, actor, lang)


HANDLERS: Sequence[ControllerRouterHandler] = (list_alerts, try_alerts, acknowledge_alert)
