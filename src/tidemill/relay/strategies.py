"""How one of several equally good channels is chosen.

Each strategy looks at the channels of one tier that admit the call and names one. Pure but for ``Turns``, what the two
that rotate remember of a tier.

- random: a draw by weight. - round_robin: each in turn. - weighted: in turn by weight, evenly spread (smooth).
- least_errors: the smallest share of failures of late. - lowest_latency: the smallest peak latency times the calls in
  flight. - least_in_flight: the fewest calls for its weight. - lowest_price: the cheapest for the model.
- consistent_hash: the same one for the same user or conversation, so that a service's prompt cache is hit; a channel
  that comes or goes moves only its own share (weighted rendezvous hashing).
"""

import math
from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b

from msgspec import Struct

from tidemill.relay.channel_state import ChannelState
from tidemill.relay.contracts import Price, Strategy

# Tokens asked for each token answered in usual traffic; a price is compared in this mixture.
_INPUT_SHARE, _OUTPUT_SHARE = 3.0, 1.0
_HASH_BYTES = 8
_HASH_SPAN = float(1 << (8 * _HASH_BYTES))


class Turns:
    """Whose turn it is in one tier."""

    __slots__ = ("credit", "last")

    def __init__(self) -> None:
        self.last = 0  # the id of the channel served last
        self.credit: dict[int, float] = {}


class Choice(Struct, frozen=True):
    """What a choice is made with. ``draw`` gives a number in [0, 1); ``affinity`` is what belongs together."""

    model: str
    now: float
    turns: Turns
    draw: Callable[[], float]
    affinity: str = ""


Pick = Callable[[Sequence[ChannelState], Choice], ChannelState]
# Lower is better; what ``forecast`` shows as the score.
Score = Callable[[ChannelState, Choice], tuple[float, ...]]


def pick(strategy: Strategy, free: Sequence[ChannelState], choice: Choice) -> ChannelState:
    """Return the channel to use of ``free`` (at least one)."""
    if len(free) == 1:
        return free[0]
    turn = _TURNS.get(strategy)
    if turn is not None:
        return turn(free, choice)
    score = SCORES[strategy]
    return min(free, key=lambda state: score(state, choice))


def _random(free: Sequence[ChannelState], choice: Choice) -> ChannelState:
    point = choice.draw() * sum(state.channel.weight for state in free)
    for state in free:
        point -= state.channel.weight
        if point < 0:
            return state
    return free[-1]


def _round_robin(free: Sequence[ChannelState], choice: Choice) -> ChannelState:
    later = [state for state in free if state.channel.id > choice.turns.last]
    chosen = min(later or free, key=lambda state: state.channel.id)
    choice.turns.last = chosen.channel.id
    return chosen


def _weighted(free: Sequence[ChannelState], choice: Choice) -> ChannelState:
    """Nginx's smooth weighted round robin: everyone earns its weight, the richest serves and pays the sum."""
    credit = choice.turns.credit
    best, total = free[0], 0
    for state in free:
        identifier, weight = state.channel.id, state.channel.weight
        total += weight
        credit[identifier] = credit.get(identifier, 0.0) + weight
        if credit[identifier] > credit[best.channel.id]:
            best = state
    credit[best.channel.id] -= total
    return best


def _load(state: ChannelState) -> float:
    return (state.in_flight + 1) / max(state.channel.weight, 1)


def _least_errors(state: ChannelState, choice: Choice) -> tuple[float, ...]:
    return round(state.failing.share(choice.now) or 0.0, 2), _load(state)


def _lowest_latency(state: ChannelState, choice: Choice) -> tuple[float, ...]:
    del choice
    return state.latency.ms * (state.in_flight + 1), _load(state)


def _least_in_flight(state: ChannelState, choice: Choice) -> tuple[float, ...]:
    del choice
    return (_load(state),)


def _lowest_price(state: ChannelState, choice: Choice) -> tuple[float, ...]:
    return _mixed(state.channel.prices, choice.model), _load(state)


def _mixed(prices: Mapping[str, Price], model: str) -> float:
    price = prices.get(model) or prices.get("*")
    return math.inf if price is None else _INPUT_SHARE * price.input + _OUTPUT_SHARE * price.output


def _consistent_hash(state: ChannelState, choice: Choice) -> tuple[float, ...]:
    digest = blake2b(f"{state.channel.id}\x00{choice.affinity}".encode(), digest_size=_HASH_BYTES).digest()
    share = (int.from_bytes(digest) + 1) / (_HASH_SPAN + 1)  # in (0, 1)
    return (-math.log(share) / max(state.channel.weight, 1),)


_TURNS: Mapping[Strategy, Pick] = {"random": _random, "round_robin": _round_robin, "weighted": _weighted}
SCORES: Mapping[Strategy, Score] = {
    "least_errors": _least_errors,
    "lowest_latency": _lowest_latency,
    "least_in_flight": _least_in_flight,
    "lowest_price": _lowest_price,
    "consistent_hash": _consistent_hash,
}
