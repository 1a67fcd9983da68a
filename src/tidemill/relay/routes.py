"""The relay's routes of the application API; ``/v1`` is ``relay.asgi``."""

from collections.abc import Sequence

from litestar.types import ControllerRouterHandler

from tidemill.relay.routes_calls import HANDLERS as CALLS
from tidemill.relay.routes_channels import HANDLERS as CHANNELS
from tidemill.relay.routes_configs import HANDLERS as CONFIGS
from tidemill.relay.routes_import import HANDLERS as IMPORTS
from tidemill.relay.routes_rules import HANDLERS as RULES

HANDLERS: Sequence[ControllerRouterHandler] = (*CALLS, *CHANNELS, *CONFIGS, *IMPORTS, *RULES)
