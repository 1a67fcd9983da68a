"""How several runs make one task together: who may have how many calls out, what they show, when the task waits.

Pure: from what the runs have told of themselves to what the one that asks should do. Whoever asks does so under the
lock of the task's row, so two never decide from the same state.
"""

from collections.abc import Sequence
from typing import Any

from tidemill.datagen.engine.log_lines import FOR_THE_OWNER, log_line
from tidemill.datagen.repository_crew import Hand

_BREAKERS = ("closed", "half_open", "open", "gone")


def fair_share(total: int, entries: Sequence[int], mine: int) -> int:
    """Return this run's share of ``total`` calls: equal ones, and one more for the earlier runs while some are left."""
    whole, over = divmod(total, len(entries))
    return whole + (1 if sorted(entries).index(mine) < over else 0)


def slots_for(total: int, crew: Sequence[Hand], mine: int, busy: int) -> tuple[int, int]:
    """Return how many calls this run may begin to have out, and how many slots it keeps meanwhile.

    It takes only what the others have given back, and gives back only what is not busy. Invariant: when every run does
    so, the slots of all sum to at most ``total``, and no run has more calls out than it keeps slots.
    """
    room = total - sum(hand.slots for hand in crew if hand.entry != mine)
    limit = max(0, min(fair_share(total, [hand.entry for hand in crew], mine), room))
    return limit, max(limit, busy)


def is_uneven(total: int, crew: Sequence[Hand]) -> bool:
    """Tell whether some run has more or less than its share, so that the next look should be soon."""
    entries = [hand.entry for hand in crew]
    return any(hand.slots != fair_share(total, entries, hand.entry) for hand in crew)


def next_pause(
    paused: dict[str, Any] | None, parts: Sequence[dict[str, Any]]
) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
    """Return what the task waits for, and the log line when that has changed.

    The task waits when no run can call a service; each sees them with its own eyes. What waits for its owner stays so.
    """
    if paused is not None and paused["code"] in FOR_THE_OWNER:
        return paused, None
    downs = [part.get("down") for part in parts]
    down = downs[0] if downs and all(one is not None for one in downs) else None
    if down is not None and paused is None:
        return down, log_line("paused", zh=down["zh"], en=down["en"])
    if down is None and paused is not None:
        return None, log_line("unpaused")
    return paused, None


Counts = dict[tuple[str, str], tuple[int, int]]
"""Good and bad calls by channel and model."""


def merged_live(live: dict[str, Any] | None, parts: Sequence[dict[str, Any]], more: Counts) -> dict[str, Any]:
    """Return the task's figures: sums over the runs for the moment, and the totals so far with ``more`` added."""
    totals: Counts = {
        (one["channel"], one["model"]): (one["done"], one["errors"]) for one in (live or {}).get("services", [])
    }
    for key, (done, errors) in more.items():
        before = totals.get(key, (0, 0))
        totals[key] = (before[0] + done, before[1] + errors)
    moments: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for part in parts:
        for service in part["services"]:
            moments.setdefault((service["channel"], service["model"]), []).append(service)
    return {
        "rows_per_s": round(sum(part["rows_per_s"] for part in parts), 3),
        "services": [
            _service(key, totals.get(key, (0, 0)), moments.get(key, [])) for key in sorted({*totals, *moments})
        ],
    }


def _service(key: tuple[str, str], total: tuple[int, int], seen: Sequence[dict[str, Any]]) -> dict[str, Any]:
    latencies = [one["p95_ms"] for one in seen if one["p95_ms"] is not None]
    return {
        "channel": key[0],
        "model": key[1],
        "in_flight": sum(one["in_flight"] for one in seen),
        "limit": sum(one["limit"] for one in seen),
        "done": total[0],
        "errors": total[1],
        "p95_ms": max(latencies, default=None),
        "breaker": min((one["breaker"] for one in seen), key=_BREAKERS.index, default="gone"),
    }
