"""Pick the HTTP client that carries calls to model services; only the one that is picked is loaded."""

from tidemill.platform.settings.groups.gateway import GatewaySettings
from tidemill.relay.upstreams.port import Upstreams


def open_upstreams(settings: GatewaySettings) -> Upstreams:
    """Return the client that the settings name."""
    allow_private, connect_timeout_s = settings.allow_private_upstreams, settings.connect_timeout_s
    if settings.http_client == "aiohttp":
        from tidemill.relay.upstreams.aiohttp_client import AiohttpUpstreams  # noqa: PLC0415 - only when picked

        return AiohttpUpstreams(allow_private=allow_private, connect_timeout_s=connect_timeout_s)
    from tidemill.relay.upstreams.http1 import Http1Upstreams  # noqa: PLC0415 - only when picked

    return Http1Upstreams(allow_private=allow_private, connect_timeout_s=connect_timeout_s)
