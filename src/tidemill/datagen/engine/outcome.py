"""What became of one item, attempt by attempt; what the commit stores and the lineage tells."""

from typing import Any, Literal

import msgspec
from msgspec import Struct

from tidemill.datagen.plan import Item

RowStatus = Literal["accepted", "below_threshold", "needs_review"]
OutcomeStatus = Literal["accepted", "below_threshold", "needs_review", "failed"]


class Attempt(Struct, omit_defaults=True):
    """One generation call and what was found about its answer. Scores are 0 to 10; times in milliseconds."""

    attempt: int
    model: str
    channel: str
    temperature: float
    seed: int
    latency_ms: float
    input_tokens: int
    output_tokens: int
    rule_score: float | None = None
    model_score: float | None = None
    final_score: float | None = None
    failed_gates: list[str] = msgspec.field(default_factory=list[str])
    checks: dict[str, float] = msgspec.field(default_factory=dict[str, float])
    criteria: dict[str, float] = msgspec.field(default_factory=dict[str, float])
    reasons: list[str] = msgspec.field(default_factory=list[str])
    repaired: bool = False
    problem: str | None = None
    judge_model: str | None = None
    judge_channel: str | None = None


class Course(Struct):
    """How far the attempts at an item have come: what the next one is told, and the best usable answer so far."""

    avoid: list[str]
    reasons: list[str] = msgspec.field(default_factory=list[str])
    warmer: float = 0.0
    best: tuple[dict[str, Any], Attempt] | None = None


class Outcome(Struct, kw_only=True):
    """The end of one item. ``output`` is None for a failed one; ``kind`` and ``reason`` then say what it died of.

    ``fingerprint`` is that of an accepted text where duplicates are refused: the commit looks for its twin among what
    others have stored, and an outcome that has one goes back to where ``course`` says it stood.
    """

    item: Item
    status: OutcomeStatus
    direction: str | None
    persona: str
    style: str
    difficulty: str
    sample: dict[str, Any]
    attempts: list[Attempt]
    output: dict[str, Any] | None = None
    model: str | None = None
    channel: str | None = None
    rule_score: float | None = None
    model_score: float | None = None
    final_score: float | None = None
    kind: str | None = None
    reason: str | None = None
    input_tokens: int = 0
    output_tokens: int = 0
    cost_nano: int = 0
    fingerprint: str | None = None
    course: Course

    @property
    def retries(self) -> int:
        """Attempts after the first."""
        return max(0, len(self.attempts) - 1)


def lineage(outcome: Outcome, prompt_version: str) -> str:
    """Return where a row came from, as JSON text."""
    kept = _kept_attempt(outcome)
    return msgspec.json.encode(
        {
            "sample": {"index": outcome.item.sample, "data": outcome.sample},
            "direction": outcome.direction,
            "round": outcome.item.round,
            "variant": outcome.item.variant,
            "persona": outcome.persona,
            "style": outcome.style,
            "difficulty": outcome.difficulty,
            "prompt_version": prompt_version,
            "model": outcome.model,
            "channel": outcome.channel,
            "parameters": {"temperature": kept.temperature, "seed": kept.seed} if kept else {},
            "scores": {"rule": outcome.rule_score, "model": outcome.model_score, "final": outcome.final_score},
            "tokens": {"input": outcome.input_tokens, "output": outcome.output_tokens},
            "cost_nano": outcome.cost_nano,
            "latency_ms": round(sum(attempt.latency_ms for attempt in outcome.attempts), 1),
            "attempts": outcome.attempts,
        }
    ).decode()


def _kept_attempt(outcome: Outcome) -> Attempt | None:
    for attempt in outcome.attempts:
        if outcome.output is not None and attempt.final_score == outcome.final_score and attempt.problem is None:
            return attempt
    return outcome.attempts[-1] if outcome.attempts else None
