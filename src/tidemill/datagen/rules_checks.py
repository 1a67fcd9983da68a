"""The named checks that a task type may ask for in its ``type.yaml``."""

from collections.abc import Callable, Mapping
from typing import Any

from tidemill.datagen import rules_hard as hard
from tidemill.datagen import rules_soft as soft
from tidemill.datagen.fields import texts_at
from tidemill.datagen.rules_context import RowContext
from tidemill.datagen.rules_profile import detect_language
from tidemill.datagen.rules_sql import sql_runs
from tidemill.datagen.task_types import TaskType
from tidemill.kernel.errors import FieldProblem

HARD: Mapping[str, Callable[[RowContext], list[FieldProblem]]] = {
    check.__name__: check
    for check in (
        hard.entity_spans,
        hard.label_known,
        hard.evidence_quoted,
        hard.dialogue_alternates,
        hard.slots_quoted,
        hard.aspects_quoted,
        hard.summary_faithful,
        hard.translation_languages,
        hard.paraphrase_apart,
        hard.answers_differ,
        hard.constraints_hold,
        hard.calls_valid,
        sql_runs,
    )
}
SOFT: Mapping[str, Callable[[RowContext], float]] = {
    check.__name__: check
    for check in (
        soft.has_entities,
        soft.entities_distinct,
        soft.label_not_told,
        soft.answer_supported,
        soft.question_open,
        soft.turns_distinct,
        soft.replies_full,
        soft.utterance_length,
        soft.has_aspects,
        soft.summary_covers,
        soft.translation_length,
        soft.negative_hard,
        soft.has_constraints,
        soft.answers_apart,
    )
}


def hard_problems(t: TaskType, output: Mapping[str, Any]) -> list[FieldProblem]:
    """Return the faults that a row has by itself; sentences are in the row's own language."""
    told = [{path: texts_at(output, path)} for path in t.rules.language]
    row = RowContext(t, detect_language(told), output)
    return [problem for name in t.rules.hard for problem in HARD[name](row)]
