"""Who would serve a call, and why the others would not: the same questions as for a real one, with nothing counted."""

from collections.abc import Sequence
from typing import cast

from tidemill.kernel import clock
from tidemill.relay.channel_state import Block, ChannelState
from tidemill.relay.contracts import Candidate, Forecast, Question, Strategy
from tidemill.relay.limits.contracts import Refusal
from tidemill.relay.limits.engines import Limits
from tidemill.relay.plan import States, Wish, obstacle
from tidemill.relay.providers import Scene
from tidemill.relay.snapshot import Channel, Snapshot
from tidemill.relay.strategies import SCORES, Choice, Turns

_WHY = {
    "scene": "the provider serves no calls of this kind",
    "group": "it serves other groups only",
    "region": "it stands in another region",
    "denied": "its deny list names this user, group or model",
    "excluded": "it was excluded in the question",
    "no_weight": "its weight is 0",
    "resting": "it is {status}",
    "slot": "all its places are taken",
    "pause": "the service asked for a pause of {wait_s:.0f} s more: {reason}",
    "breaker": "its breaker is open for {wait_s:.0f} s more: {reason}",
    "key": "no key of it is accepted at the moment: {reason}",
    "limit": "its limit of {limit} is reached for {wait_s:.0f} s more",
    "serves": "it would serve the call",
    "next": "it would be asked next",
    "later": "a higher priority comes first",
}
_NEVER = 1_000_000.0


def forecast(
    snapshot: Snapshot, states: States, limits: Limits, question: Question, user_id: int, group: str
) -> Forecast:
    """Answer ``question`` for ``user_id`` of ``group`` as things stand."""
    rules = snapshot.rules
    region = rules.region(question.model, user_id, group) or question.region
    wish = Wish(
        model=question.model,
        caller="",
        wait_s=0.0,
        scene=cast("Scene", question.scene),
        excluded=frozenset(question.exclude),
        user_id=user_id,
        group=group,
        region=region,
        affinity=question.affinity or f"user:{user_id}",
    )
    strategy = rules.strategy(question.model, user_id, group)
    candidates = _in_tiers(snapshot, states, limits, wish, strategy)
    for channel in snapshot.channels.values():
        if channel.weight <= 0 and question.model in channel.models:
            candidates.append(_out(channel, "no_weight"))
    candidates.extend(
        Candidate(
            channel_id=resting.id,
            channel=resting.name,
            tier=None,
            rank=None,
            verdict="resting",
            why=_WHY["resting"].format(status=resting.status),
        )
        for resting in snapshot.resting
        if question.model in resting.models
    )
    return Forecast(
        model=question.model,
        strategy=strategy,
        strategy_from=rules.strategy_from(question.model, user_id, group),
        region=region,
        would_serve=next((one.channel_id for one in candidates if one.verdict == "serves"), None),
        candidates=candidates,
    )


def _in_tiers(snapshot: Snapshot, states: States, limits: Limits, wish: Wish, strategy: Strategy) -> list[Candidate]:
    now = clock.monotonic()
    found: list[Candidate] = []
    rank, first = 0, 0
    for number, tier in enumerate(snapshot.tiers.get(wish.model, ()), 1):
        free: list[ChannelState] = []
        kept_out: list[Candidate] = []
        for channel in tier:
            reason = obstacle(channel, wish)
            if reason is not None:
                kept_out.append(_out(channel, reason, number))
                continue
            state = states[channel.id]
            block = state.block(wish.model, now) or limits.check((state.bound,), wish.tokens, now)
            if block is None:
                free.append(state)
            else:
                kept_out.append(_blocked(channel, number, block))
        for state, score in _ranked(strategy, free, Choice(wish.model, now, Turns(), lambda: 0.0, wish.affinity)):
            rank += 1
            first = first or number
            verdict = "serves" if rank == 1 else ("next" if number == first else "later")
            found.append(
                Candidate(
                    channel_id=state.channel.id,
                    channel=state.channel.name,
                    tier=number,
                    rank=rank,
                    verdict=verdict,
                    why=_WHY[verdict],
                    score=score,
                )
            )
        found.extend(kept_out)
    return found


def _ranked(
    strategy: Strategy, free: Sequence[ChannelState], choice: Choice
) -> list[tuple[ChannelState, float | None]]:
    """Order the free channels of a tier. Those that take turns are in the order of their weights, without a score."""
    score = SCORES.get(strategy)
    if score is None:
        return [(state, None) for state in sorted(free, key=lambda state: -state.channel.weight)]
    ordered = sorted(free, key=lambda state: score(state, choice))
    return [(state, min(score(state, choice)[0], _NEVER)) for state in ordered]


def _out(channel: Channel, reason: str, tier: int | None = None) -> Candidate:
    return Candidate(
        channel_id=channel.id, channel=channel.name, tier=tier, rank=None, verdict=reason, why=_WHY[reason]
    )


def _blocked(channel: Channel, tier: int, block: Block | Refusal) -> Candidate:
    if isinstance(block, Refusal):
        verdict, why = "limit", _WHY["limit"].format(limit=f"{block.limit} {block.what}", wait_s=block.retry_after_s)
    else:
        verdict = block.by
        why = _WHY[verdict].format(wait_s=block.wait_s or 0.0, reason=block.reason or "-")
    return Candidate(channel_id=channel.id, channel=channel.name, tier=tier, rank=None, verdict=verdict, why=why)
