"""What every HTTP surface shares: envelopes, guards, errors, pages."""

from tidemill.platform.web.envelope import Envelope, ListData, RestList, list_data, ok, rest_list
from tidemill.platform.web.guards import administrator, needs, signed_in

__all__ = [
    "Envelope",
    "ListData",
    "RestList",
    "administrator",
    "list_data",
    "needs",
    "ok",
    "rest_list",
    "signed_in",
]
