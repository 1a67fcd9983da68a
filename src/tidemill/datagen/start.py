"""Turn a start request into a plan: every field checked, every open choice made, every problem named at once."""

from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

from msgspec import Struct

from tidemill.datagen.contracts import NANO, StartRequest
from tidemill.datagen.errors import problem
from tidemill.datagen.plan import NO_JUDGE, Dedup, TaskPlan
from tidemill.datagen.task_types import TaskType
from tidemill.kernel.errors import FieldProblem
from tidemill.kernel.lang import LANGS, Lang
from tidemill.platform.settings.groups.datagen import DatagenSettings

MAX_BATCH = 1_000
MAX_VARIANTS = 1_000
MAX_ROUNDS = 1_000
MAX_RETRIES = 10
MAX_DIRECTIONS = 1_000
MAX_DIRECTION_CHARS = 200
MAX_PROMPT_CHARS = 20_000
MAX_MODELS = 100
MAX_SEED = 2**53 - 1
AUTO = "auto"
DEDUP = ("off", "exact", "near")


class Choices(Struct, frozen=True, kw_only=True):
    """The fields of a request after their checks, before the file is looked at."""

    batch_size: int
    max_concurrent: int
    min_score: float
    variants: int
    rounds: int
    max_retries: int
    directions: tuple[str, ...]
    special_prompt: str
    dedup: Dedup
    language: str
    seed: int | None
    sample_limit: int | None
    budget_nano: int | None


class Checker:
    """Collects what is wrong with a request."""

    def __init__(self, request: StartRequest, settings: DatagenSettings, lang: Lang) -> None:
        self._request = request
        self._settings = settings
        self._lang: Lang = lang
        self.problems: list[FieldProblem] = []

    def refuse(self, field: str, code: str, **values: object) -> None:
        """Note one problem."""
        self.problems.append(problem(self._lang, field, code, **values))

    def task_type(self, types: Mapping[str, TaskType]) -> TaskType | None:
        """Return the task type, None (and a problem) when it is unknown."""
        found = types.get(self._request.task_type)
        if found is None:
            self.refuse("task_type", "unknown_type", value=self._request.task_type, known=", ".join(sorted(types)))
        return found

    def choices(self) -> Choices:
        """Check every field that needs nothing but the request."""
        asked = self._request
        return Choices(
            batch_size=self._whole("batch_size", asked.batch_size, 5, 1, MAX_BATCH),
            max_concurrent=self._whole("max_concurrent", asked.max_concurrent, 5, 1, self._settings.max_concurrent),
            min_score=self._score(),
            variants=self._whole("variants_per_sample", asked.variants_per_sample, 3, 1, MAX_VARIANTS),
            rounds=self._whole("data_rounds", asked.data_rounds, 3, 1, MAX_ROUNDS),
            max_retries=self._whole("max_retries", asked.max_retries, 2, 0, MAX_RETRIES),
            directions=self._directions(),
            special_prompt=self._special_prompt(),
            dedup=self._dedup(),
            language=self._one_of("language", asked.language, AUTO, (AUTO, *LANGS)),
            seed=None if asked.seed is None else self._whole("seed", asked.seed, 0, -MAX_SEED, MAX_SEED),
            sample_limit=self._sample_limit(),
            budget_nano=self.budget(asked.budget),
        )

    def models(self) -> list[str]:
        """Return the models that were named, in order and without repeats; empty when none was."""
        named = [*([self._request.model] if self._request.model is not None else []), *(self._request.models or [])]
        if len(named) > MAX_MODELS:
            self.refuse("models", "too_many", limit=MAX_MODELS)
        if any(not name.strip() for name in named):
            self.refuse("models" if self._request.models else "model", "blank")
        return list(dict.fromkeys(name.strip() for name in named if name.strip()))

    def budget(self, asked: float | str | None) -> int | None:
        """Return credits as 1e-9 credit."""
        if asked is None:
            return None
        try:
            amount = Decimal(str(asked))
        except InvalidOperation:
            amount = Decimal(0)
        if not amount.is_finite() or amount <= 0 or amount > Decimal(2**62) / NANO:
            self.refuse("budget", "amount")
            return None
        return int(amount * NANO)

    def _whole(self, field: str, asked: int | None, default: int, low: int, high: int) -> int:
        value = default if asked is None else asked
        if not low <= value <= high:
            self.refuse(field, "range", low=low, high=high)
        return value

    def _score(self) -> float:
        value = 8.0 if self._request.min_score is None else self._request.min_score
        if not 0 <= value <= 10:  # noqa: PLR2004 - the scale of scores
            self.refuse("min_score", "range", low=0, high=10)
        return value

    def _sample_limit(self) -> int | None:
        asked = self._request.sample_limit
        return None if asked is None else self._whole("sample_limit", asked, 1, 1, 2**31 - 1)

    def _one_of(self, field: str, asked: str | None, default: str, known: Sequence[str]) -> str:
        value = default if asked is None else asked
        if value not in known:
            self.refuse(field, "one_of", value=value, known=", ".join(known))
        return value

    def _dedup(self) -> Dedup:
        asked = self._one_of("dedup", self._request.dedup, "exact", DEDUP)
        return "off" if asked == "off" else "near" if asked == "near" else "exact"

    def _directions(self) -> tuple[str, ...]:
        asked = [text.strip() for text in self._request.directions or []]
        if len(asked) > MAX_DIRECTIONS:
            self.refuse("directions", "too_many", limit=MAX_DIRECTIONS)
        if any(len(text) > MAX_DIRECTION_CHARS for text in asked):
            self.refuse("directions", "too_long", limit=MAX_DIRECTION_CHARS)
        return tuple(dict.fromkeys(text for text in asked if text))

    def _special_prompt(self) -> str:
        text = (self._request.special_prompt or "").strip()
        if len(text) > MAX_PROMPT_CHARS:
            self.refuse("special_prompt", "too_long", limit=MAX_PROMPT_CHARS)
        return text


def make_plan(  # noqa: PLR0913 - everything a plan is made of
    choices: Choices,
    *,
    task_type: TaskType,
    language: Lang,
    models: Sequence[str],
    evaluator: str | None,
    file_id: int,
    file_version: int,
    rows: int,
    seed: int,
) -> TaskPlan:
    """Put checked choices and the file's facts together."""
    return TaskPlan(
        task_type=task_type.name,
        type_version=task_type.prompt_version,
        language=language,
        models=tuple(models),
        evaluator=evaluator,
        file_id=file_id,
        file_version=file_version,
        samples=rows if choices.sample_limit is None else min(rows, choices.sample_limit),
        rounds=choices.rounds,
        variants=choices.variants,
        seed=seed if choices.seed is None else choices.seed,
        batch_size=choices.batch_size,
        max_concurrent=choices.max_concurrent,
        min_score=choices.min_score,
        max_retries=choices.max_retries,
        directions=choices.directions,
        special_prompt=choices.special_prompt,
        dedup=choices.dedup,
    )


def shown_params(request: StartRequest, plan: TaskPlan, file_name: str) -> dict[str, Any]:
    """Return what ``tasks.params`` holds: the request with every default filled in."""
    return {
        "file_id": plan.file_id,
        "filename": file_name,
        "file_version": plan.file_version,
        "task_type": plan.task_type,
        "models": list(plan.models),
        "batch_size": plan.batch_size,
        "max_concurrent": plan.max_concurrent,
        "min_score": plan.min_score,
        "variants_per_sample": plan.variants,
        "data_rounds": plan.rounds,
        "directions": list(plan.directions),
        "special_prompt": plan.special_prompt,
        "evaluator_model": plan.evaluator,
        "max_retries": plan.max_retries,
        "budget": request.budget,
        "dedup": plan.dedup,
        "language": plan.language,
        "seed": plan.seed,
        "sample_limit": request.sample_limit,
        "samples": plan.samples,
    }


def evaluator_of(request: StartRequest) -> str | None:
    """Return the judging model: None for the generator's own, ``"none"`` for rules alone."""
    asked = (request.evaluator_model or "").strip()
    if not asked:
        return None
    return NO_JUDGE if asked.lower() == NO_JUDGE else asked
