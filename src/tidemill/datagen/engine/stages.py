"""The way of one item: generate, parse, rules, duplicates, judge; accept, or try again with the reasons.

Attempts run one after the other, at most ``max_retries + 1``. The judge is asked only when no gate failed. What never
passes is kept at its best attempt as ``below_threshold``; an answer that the judge could not be brought to score waits
as ``needs_review``; only an item without any usable answer is ``failed``. An accepted row whose twin another process
has stored comes back here and is tried again like any other duplicate.
"""

from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from tidemill.datagen import plan as plans
from tidemill.datagen.engine.calls import Answer, Asker, GaveUp, Question
from tidemill.datagen.engine.outcome import Attempt, Course, Outcome, RowStatus
from tidemill.datagen.judge import Judgement, final_score, judge_format, judge_messages, parse_judgement
from tidemill.datagen.novelty import Novelty, NoveltyIndex, fingerprint, text_of
from tidemill.datagen.parse import parse_output
from tidemill.datagen.plan import Item, Quotas, TaskPlan
from tidemill.datagen.prompts import Draw, generation_messages, response_format
from tidemill.datagen.rules import LengthProfile, RuleVerdict, rule_score
from tidemill.datagen.task_types import TaskType

WARMER_AFTER_LOW_SCORE = 0.1
WARMER_AFTER_BROKEN_FORMAT = -0.2
JUDGE_TRIES = 2
JUDGE_TOKENS = 800
AVOID_AT_MOST = 3
LOWEST_CRITERIA = 2
REASONS_AT_MOST = 8


class Work(Struct, frozen=True, kw_only=True):
    """One item with what its prompt needs: the sample and what was already made of it.

    ``refused``: its outcome so far, when that came back from the commit as a duplicate.
    """

    item: Item
    sample: dict[str, Any]
    avoid: tuple[str, ...] = ()
    refused: Outcome | None = None


class Stages:
    """Makes rows for one task. Holds no state but the novelty index that all its items share."""

    def __init__(
        self,
        plan: TaskPlan,
        task_type: TaskType,
        lengths: LengthProfile,
        novelty: NoveltyIndex | None,
        asker: Asker,
    ) -> None:
        self._plan = plan
        self._type = task_type
        self._lengths = lengths
        self._novelty = novelty
        self._asker = asker
        self._quotas = Quotas(plan)
        self._format = response_format(task_type, lengths)
        self._judge_format = judge_format(task_type)

    def messages(self, work: Work) -> list[dict[str, Any]]:
        """Return the prompt of an item's first attempt."""
        draw = plans.draw(self._plan, self._quotas, work.item, 0)
        return self._messages(draw, work.sample, work.avoid, ())

    def _messages(
        self, draw: Draw, sample: dict[str, Any], avoid: Sequence[str], reasons: Sequence[str]
    ) -> list[dict[str, Any]]:
        return generation_messages(
            self._type,
            self._plan.language,
            draw,
            sample,
            special_prompt=self._plan.special_prompt,
            avoid=tuple(avoid),
            reasons=tuple(reasons),
            profile=self._lengths,
        )

    async def make(self, work: Work) -> Outcome:
        """Return what became of the item; waits as long as the services need, fails only for the item's own sake."""
        plan = self._plan
        first = plans.draw(plan, self._quotas, work.item, 0)
        outcome = work.refused or _unmade(work, first)
        course = outcome.course
        if work.refused is not None:
            self._take_back(outcome, first)
        for number in range(len(outcome.attempts), plan.max_retries + 1):
            draw = plans.draw(plan, self._quotas, work.item, number, warmer=course.warmer) if number else first
            try:
                answer = await self._asker.ask(
                    Question(
                        models=plan.models,
                        messages=self._messages(draw, work.sample, course.avoid, course.reasons),
                        temperature=draw.temperature,
                        seed=draw.seed,
                        response_format=self._format,
                        max_tokens=self._type.max_tokens,
                        purpose="generate",
                    )
                )
            except GaveUp as end:
                outcome.kind, outcome.reason = end.kind, end.reason
                break
            attempt = _attempt_of(number, draw, answer)
            outcome.attempts.append(attempt)
            _add_up(outcome, answer)
            parsed = parse_output(self._type, answer.completion.content, answer.completion.finish_reason)
            attempt.repaired = parsed.repaired
            if parsed.output is None:
                attempt.problem = "truncated" if answer.completion.finish_reason == "length" else "parse"
                attempt.reasons = course.reasons = list(parsed.problems)[:REASONS_AT_MOST]
                outcome.kind, outcome.reason = attempt.problem, "; ".join(course.reasons)
                course.warmer += WARMER_AFTER_BROKEN_FORMAT
                continue
            done = await self._score(outcome, attempt, answer, parsed.output, work.sample, draw)
            if done:
                return outcome
            self._fell_short(course, attempt, parsed.output)
        if course.best is not None:
            _keep(outcome, "below_threshold", *course.best)
        return outcome

    def _fell_short(self, course: Course, attempt: Attempt, output: dict[str, Any]) -> None:
        """Remember a usable answer that was not accepted, and what the next attempt should do about it."""
        if course.best is None or (attempt.final_score or 0.0) > (course.best[1].final_score or 0.0):
            course.best = (output, attempt)
        course.reasons = attempt.reasons
        course.avoid = self._to_avoid(output, course.avoid)
        course.warmer += WARMER_AFTER_LOW_SCORE

    def _take_back(self, outcome: Outcome, draw: Draw) -> None:
        """Turn an accepted outcome into one whose latest attempt was a duplicate."""
        attempt, output = outcome.attempts[-1], outcome.output
        assert output is not None  # noqa: S101 - only an accepted outcome has a twin
        twin = Novelty(exact_duplicate=True, max_jaccard=1.0)
        _refuse(attempt, self._rules(output, outcome.sample, draw, twin))
        outcome.status, outcome.output, outcome.fingerprint = "failed", None, None
        outcome.model = outcome.channel = outcome.rule_score = outcome.model_score = outcome.final_score = None
        self._fell_short(outcome.course, attempt, output)

    async def _score(
        self,
        outcome: Outcome,
        attempt: Attempt,
        answer: Answer,
        output: dict[str, Any],
        sample: dict[str, Any],
        draw: Draw,
    ) -> bool:
        """Score one parsed answer; returns True when the item is done (accepted, or waiting for a person)."""
        text = text_of(output)
        near = self._nearness(text)
        verdict = self._rules(output, sample, draw, near)
        attempt.rule_score = verdict.score
        attempt.failed_gates = list(verdict.failed_gates)
        attempt.checks = dict(verdict.checks)
        attempt.reasons = list(verdict.reasons)[:REASONS_AT_MOST]
        if verdict.failed_gates:
            attempt.final_score = 0.0
            return False
        if self._plan.judged:
            judgement = await self._judge(outcome, attempt, answer.model, sample, output, draw)
            if judgement is None:
                attempt.final_score = None
                _keep(outcome, "needs_review", output, attempt)
                return True
            attempt.model_score = judgement.model_score
            attempt.criteria = dict(judgement.criteria)
            attempt.reasons = _judged_reasons(verdict, judgement)
        attempt.final_score = final_score(attempt.model_score, verdict.score)
        if attempt.final_score < self._plan.min_score:
            return False
        if self._plan.judged and (now_near := self._nearness(text)) != near:
            # While the judge thought, another item was accepted with a text like this one.
            again = self._rules(output, sample, draw, now_near)
            if again.failed_gates:
                _refuse(attempt, again)
                return False
        if self._novelty is not None:
            self._novelty.add(text, outcome.item.number)
            outcome.fingerprint = fingerprint(text)
        _keep(outcome, "accepted", output, attempt)
        return True

    def _rules(self, output: dict[str, Any], sample: dict[str, Any], draw: Draw, near: Novelty | None) -> RuleVerdict:
        return rule_score(
            self._type,
            self._plan.language,
            output,
            sample,
            direction=draw.direction,
            lengths=self._lengths,
            novelty=near,
        )

    def _nearness(self, text: str) -> Novelty | None:
        return None if self._novelty is None else self._novelty.check(text)

    async def _judge(
        self,
        outcome: Outcome,
        attempt: Attempt,
        made_by: str,
        sample: dict[str, Any],
        output: dict[str, Any],
        draw: Draw,
    ) -> Judgement | None:
        """Ask for a score, twice at most; None when no usable one came."""
        question = Question(
            models=(self._plan.evaluator or made_by,),
            messages=judge_messages(self._type, self._plan.language, sample, output, draw.direction),
            temperature=0.0,
            seed=None,
            response_format=self._judge_format,
            max_tokens=JUDGE_TOKENS,
            purpose="judge",
        )
        for _ in range(JUDGE_TRIES):
            try:
                answer = await self._asker.ask(question)
            except GaveUp as end:
                attempt.reasons = [*attempt.reasons, f"judge: {end.reason}"]
                return None
            _add_up(outcome, answer)
            attempt.judge_model, attempt.judge_channel = answer.model, answer.channel
            judgement = parse_judgement(self._type, answer.completion.content)
            if judgement is not None:
                return judgement
        attempt.reasons = [*attempt.reasons, "judge: no usable score in two answers"]
        return None

    def _to_avoid(self, output: dict[str, Any], avoid: list[str]) -> list[str]:
        """Return what the next attempt must not repeat: the accepted rows nearest to this answer come first."""
        near = self._nearness(text_of(output))
        if near is None or (not near.exact_duplicate and near.max_jaccard < NEAR):
            return avoid
        return list(dict.fromkeys([*near.nearest, *avoid]))[:AVOID_AT_MOST]


NEAR = 0.85


def _unmade(work: Work, draw: Draw) -> Outcome:
    return Outcome(
        item=work.item,
        status="failed",
        direction=draw.direction,
        persona=draw.persona,
        style=draw.style,
        difficulty=draw.difficulty,
        sample=work.sample,
        attempts=[],
        course=Course(avoid=list(work.avoid)),
    )


def _refuse(attempt: Attempt, verdict: RuleVerdict) -> None:
    """Note on an attempt that had passed what it fails on after all."""
    attempt.failed_gates = list(verdict.failed_gates)
    attempt.reasons = list(verdict.reasons)[:REASONS_AT_MOST]
    attempt.rule_score = attempt.final_score = 0.0


def _attempt_of(number: int, draw: Draw, answer: Answer) -> Attempt:
    return Attempt(
        attempt=number,
        model=answer.model,
        channel=answer.channel,
        temperature=draw.temperature,
        seed=draw.seed,
        latency_ms=round(answer.latency_s * 1000, 1),
        input_tokens=answer.completion.usage.prompt_tokens,
        output_tokens=answer.completion.usage.completion_tokens,
    )


def _add_up(outcome: Outcome, answer: Answer) -> None:
    outcome.input_tokens += answer.completion.usage.prompt_tokens
    outcome.output_tokens += answer.completion.usage.completion_tokens
    outcome.cost_nano += answer.cost_nano


def _keep(outcome: Outcome, status: RowStatus, output: dict[str, Any], attempt: Attempt) -> None:
    outcome.status = status
    outcome.output = output
    outcome.model, outcome.channel = attempt.model, attempt.channel
    outcome.rule_score = attempt.rule_score
    outcome.model_score = attempt.model_score
    outcome.final_score = attempt.final_score
    outcome.kind = outcome.reason = None


def _judged_reasons(verdict: RuleVerdict, judgement: Judgement) -> list[str]:
    """Return what a next attempt should mend: the rules' remarks, the two lowest criteria, the judge's own words."""
    lowest = sorted(judgement.criteria.items(), key=lambda pair: pair[1])[:LOWEST_CRITERIA]
    marks = [f"{name}: {value:g}/10" for name, value in lowest]
    return [*verdict.reasons, *marks, *judgement.issues][:REASONS_AT_MOST]
