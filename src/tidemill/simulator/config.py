"""What a simulated provider is told: speed, size, names and how often it fails."""

from collections.abc import Mapping
from typing import Annotated

from msgspec import Meta, Struct

from tidemill.kernel.errors import BadInput

STATUS_FAULTS: Mapping[str, int] = {"400": 400, "401": 401, "404": 404, "429": 429, "500": 500, "502": 502, "503": 503}
"""Faults answered as an HTTP error of that status."""

WIRE_FAULTS = frozenset({"cut", "hang"})
"""Faults of the connection: ``cut`` breaks off mid-answer, ``hang`` never answers."""

CONTENT_FAULTS = frozenset({"garbage", "think", "length"})
"""Faults of the text: prose for JSON, a reasoning block and a fence around it, stopped by the token limit."""

FAULT_KINDS = frozenset(STATUS_FAULTS) | WIRE_FAULTS | CONTENT_FAULTS

Share = Annotated[float, Meta(ge=0.0, le=1.0)]


class SimulatorConfig(Struct, frozen=True):
    """Everything a simulator can be told. Shares are probabilities 0..1; times are seconds.

    ``latency_s`` passes before the first byte of an answer, while the request holds one of ``slots`` (0 = no bound);
    requests beyond the slots wait in the order of arrival. ``models`` empty accepts any model name.
    """

    latency_s: float = 0.0
    chunk_interval_s: float = 0.0
    slots: int = 0
    models: tuple[str, ...] = ()
    api_key: str | None = None
    faults: Mapping[str, float] = {}
    retry_after_s: float = 1.0
    low_share: float = 0.0
    seed: int = 0
    dimensions: int = 384
    keep_requests: int = 20


def parse_faults(text: str) -> dict[str, float]:
    """Read ``429:0.1,500:0.05,cut:0.05``: fault kinds with their shares.

    Raises BadInput naming ``faults`` for an unknown kind, a share outside 0..1, or shares that add up to more than 1.
    """
    shares: dict[str, float] = {}
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        kind, _, share = part.partition(":")
        try:
            shares[kind.strip()] = float(share)
        except ValueError:
            raise BadInput.of("faults", f"{part!r} is not KIND:SHARE, for example 429:0.1") from None
    return check_faults(shares)


def check_faults(shares: Mapping[str, float]) -> dict[str, float]:
    """Return ``shares`` when every kind is known and the shares fit; else raise BadInput naming ``faults``."""
    for kind, share in shares.items():
        if kind not in FAULT_KINDS:
            raise BadInput.of("faults", f"{kind!r} is unknown; known are {', '.join(sorted(FAULT_KINDS))}")
        if not 0.0 <= share <= 1.0:
            raise BadInput.of("faults", f"the share of {kind} must be between 0 and 1")
    if sum(shares.values()) > 1.0 + 1e-9:  # the small term forgives float addition
        raise BadInput.of("faults", "the shares add up to more than 1")
    return dict(shares)
