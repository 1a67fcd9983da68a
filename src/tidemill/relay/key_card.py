"""What ``GET /v1/key`` answers: what the caller is held to, and how much of it is left now over all processes."""

from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec
from msgspec import Struct

from tidemill.kernel.actor import Actor
from tidemill.relay.limits.contracts import Standing, What
from tidemill.relay.ports import CallerFacts, CallerUsage


class Numbers(Struct, frozen=True):
    """One number for each kind of limit; None: no such limit."""

    rpm: int | None = None
    tpm: int | None = None
    concurrent: int | None = None


class Resets(Struct, frozen=True):
    """Seconds until the whole limit is free again if no call comes; None: no such limit."""

    rpm: float | None = None
    tpm: float | None = None


class HeldTo(Struct, frozen=True):
    """One bound of several: ``of`` says whose, ``key`` or ``user``."""

    of: str
    limits: Numbers
    remaining: Numbers
    resets: Resets


_NOTHING = HeldTo("", Numbers(), Numbers(), Resets())


class KeyCard(Struct, frozen=True):
    """The caller as the limits see it.

    ``limits``, ``remaining`` and ``resets`` are those of the tightest bound, kind by kind; ``bounds`` has each by
    itself. ``scopes`` and ``models`` None are all. ``budget`` is in credits, as decimal text.
    """

    label: str
    key_id: str | None
    user_id: int
    username: str
    scopes: list[str] | None
    models: list[str] | None
    expires_at: datetime | None
    limits: Numbers
    remaining: Numbers
    resets: Resets
    bounds: list[HeldTo]
    budget: str | None
    usage: CallerUsage | None


def key_card(actor: Actor, standings: Sequence[Standing], facts: CallerFacts) -> bytes:
    """Return the body for ``actor``, of whose bounds ``standings`` tell."""
    bounds = [_held_to(standing) for standing in standings]
    rpm, tpm, concurrent = _tightest(bounds, "rpm"), _tightest(bounds, "tpm"), _tightest(bounds, "concurrent")
    card = KeyCard(
        label=facts.label or actor.username,
        key_id=actor.key_id,
        user_id=actor.user_id,
        username=actor.username,
        scopes=sorted(actor.scopes) if actor.via == "key" else None,
        models=None if actor.models is None else sorted(actor.models),
        expires_at=None if actor.expires_at_s is None else datetime.fromtimestamp(actor.expires_at_s, UTC),
        limits=Numbers(rpm.limits.rpm, tpm.limits.tpm, concurrent.limits.concurrent),
        remaining=Numbers(rpm.remaining.rpm, tpm.remaining.tpm, concurrent.remaining.concurrent),
        resets=Resets(rpm.resets.rpm, tpm.resets.tpm),
        bounds=bounds,
        budget=facts.budget,
        usage=facts.usage,
    )
    return msgspec.json.encode({"data": card})


def _held_to(standing: Standing) -> HeldTo:
    most = standing.concurrent
    return HeldTo(
        of=standing.bound.partition(":")[0],
        limits=Numbers(standing.rpm, standing.tpm, most),
        remaining=Numbers(
            standing.rpm_remaining, standing.tpm_remaining, None if most is None else max(0, most - standing.in_flight)
        ),
        resets=Resets(standing.rpm_reset_s, standing.tpm_reset_s),
    )


def _tightest(bounds: Sequence[HeldTo], what: What) -> HeldTo:
    """Return the bound that has least left of ``what``; one without limits where nothing bounds it."""
    held = [bound for bound in bounds if getattr(bound.limits, what) is not None]
    return min(held, key=lambda bound: getattr(bound.remaining, what), default=_NOTHING)
