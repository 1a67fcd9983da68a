"""What the administration of channels shares: built once, next to the pipeline that uses the same board."""

from msgspec import Struct

from tidemill.platform.db import Database
from tidemill.relay.ports import LocalLeases, Meter
from tidemill.relay.switchboard import Switchboard
from tidemill.relay.upstreams.port import Upstreams
from tidemill.relay.vault import Vault


class House(Struct, frozen=True, kw_only=True):
    """One relay. ``allow_private``: administrators may name private addresses.

    ``default_max_concurrent`` holds for a channel that sets none; ``local_slots`` is what a local model is taken to
    serve at once until it says so itself.
    """

    db: Database
    vault: Vault
    board: Switchboard
    upstreams: Upstreams
    meter: Meter
    leases: LocalLeases | None
    allow_private: bool
    default_max_concurrent: int | None
    local_slots: int = 4
    local_timeout_s: float = 600.0
