"""How fast and how patient the transport is; tests are quicker."""

from msgspec import Struct


class Pace(Struct, frozen=True, kw_only=True):
    """All in seconds."""

    # How long one question waits for tickets; an idle process asks that often.
    block_s: float = 5.0
    # After a look that failed, until the tickets are looked at again.
    retry_s: float = 5.0
    # Tickets that somebody has held for so long without an acknowledgement are taken over, looked for this often.
    take_over_after_s: float = 60.0
    take_over_every_s: float = 30.0
    # A consumer that holds nothing and has not asked for so long is removed.
    forget_after_s: float = 300.0
    # How often what is due is moved from the delayed tickets to the waiting ones.
    move_every_s: float = 1.0
    # How long a look under way may go on when receiving stops, before it is given up.
    stop_s: float = 5.0
    # How long markers of dead jobs are kept at most: as long as the dead jobs themselves.
    dead_kept_s: float = 30 * 24 * 3600.0
