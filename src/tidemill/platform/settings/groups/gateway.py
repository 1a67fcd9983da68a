"""Settings of the gateway."""

from typing import Annotated

from msgspec import Struct

from tidemill.platform.settings.doc import Doc


class GatewaySettings(Struct, frozen=True, kw_only=True):
    """How calls travel to model services."""

    allow_private_upstreams: Annotated[
        bool,
        Doc(
            zh="管理员可使用内网地址作为上游", en="Administrators may name loopback and private addresses as upstreams."
        ),
    ] = True
    max_wait_s: Annotated[
        float, Doc(zh="/api/model-call 等待空位的最长秒数", en="Longest wait of /api/model-call for a slot, seconds.")
    ] = 300.0
    default_max_concurrent: Annotated[
        int, Doc(zh="渠道默认并发上限", en="Calls at once on a channel that sets no limit of its own.")
    ] = 16
