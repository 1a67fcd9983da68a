"""How fast and how patient the transport is; tests are quicker."""

from msgspec import Struct


class Pace(Struct, frozen=True, kw_only=True):
    """All in seconds."""

    # How long tickets are gathered before the database is looked at for all of them.
    gather_s: float = 0.005
    # How long tickets are kept after a failed look before they go back; doubles up to half a minute.
    give_back_s: float = 5.0
    # How long a look may keep its tickets. The server closes a channel that keeps one for 30 minutes.
    hold_s: float = 600.0
    # How often the server is asked whether it knows our consumers.
    watch_every_s: float = 15.0
    # Between tries to connect: at least the first, and a random part up to the second on top.
    reconnect_min_s: float = 0.2
    reconnect_max_s: float = 10.0
