"""Outgoing HTTP: which addresses may be called, and sessions that obey it."""

from tidemill.platform.http.addresses import address_allowed, check_address
from tidemill.platform.http.sessions import KEEP_ALIVE_S, open_session

__all__ = ["KEEP_ALIVE_S", "address_allowed", "check_address", "open_session"]
