"""Checks that make a row better or worse, each a share from 0 to 1; their mean is the type's own part of the score."""

from collections.abc import Mapping
from typing import Any, cast

from tidemill.datagen.fields import at_path, texts_at
from tidemill.datagen.novelty import jaccard, normalized
from tidemill.datagen.rules_context import RowContext

_SHINGLE = 2
_SAME = 0.95


def has_entities(row: RowContext) -> float:
    """Give full marks for two entities or more, three quarters for one, none for none."""
    return (0.0, 0.75, 1.0)[min(2, len(at_path(row.output, "entities")))]


def entities_distinct(row: RowContext) -> float:
    """Return the share of entities that are not listed twice."""
    entities = [str(entity) for entity in at_path(row.output, "entities")]
    return len(set(entities)) / len(entities) if entities else 1.0


def label_not_told(row: RowContext) -> float:
    """Mark down a text that says its own label: it teaches a model to look for the word."""
    label = row.text("label")
    return 0.0 if label and label.casefold() in row.text("text").casefold() else 1.0


def answer_supported(row: RowContext) -> float:
    """Return how much of the evidence the answer takes up; rows without evidence pass."""
    evidence, answer = _pairs(row.text("evidence")), _pairs(row.text("answer"))
    return min(1.0, 2 * len(evidence & answer) / len(evidence)) if evidence else 1.0


def question_open(row: RowContext) -> float:
    """Mark down a question that contains its answer."""
    answer = normalized(row.text("answer"))
    return 0.0 if answer and answer in normalized(row.text("question")) else 1.0


def turns_distinct(row: RowContext) -> float:
    """Return the share of messages that do not repeat an earlier one."""
    said = [normalized(text) for text in texts_at(row.output, "messages.content")]
    return len(set(said)) / len(said) if said else 0.0


def replies_full(row: RowContext) -> float:
    """Return the share of assistant messages that say more than a word or two."""
    messages = cast("list[Mapping[str, Any]]", at_path(row.output, "messages"))
    replies = [
        normalized(str(message.get("content", ""))) for message in messages if message.get("role") == "assistant"
    ]
    least = 6 if row.lang == "zh" else 15
    return sum(len(reply) >= least for reply in replies) / len(replies) if replies else 0.0


def utterance_length(row: RowContext) -> float:
    """Give full marks for 4 to 60 characters of Chinese, 2 to 40 words of English; half beyond."""
    said = row.text("utterance")
    size, least, most = (len(said), 4, 60) if row.lang == "zh" else (len(said.split()), 2, 40)
    return 1.0 if least <= size <= most else 0.5


def has_aspects(row: RowContext) -> float:
    """Give full marks for a named aspect, half for an opinion about nothing."""
    return 1.0 if at_path(row.output, "aspects") else 0.5


def summary_covers(row: RowContext) -> float:
    """Return how much of the summary's wording is carried by the document."""
    summary, document = _pairs(row.text("summary")), _pairs(row.text("document"))
    return min(1.0, 1.5 * len(summary & document) / len(summary)) if summary else 0.0


def translation_length(row: RowContext) -> float:
    """Tell whether there are 1.2 to 4.5 English characters for a Chinese one, as is usual."""
    source, target = row.text("source"), row.text("target")
    chinese, english = (source, target) if row.lang == "zh" else (target, source)
    ratio = len(english) / len(chinese) if chinese else 0.0
    return 1.0 if 1.2 <= ratio <= 4.5 else 0.3  # noqa: PLR2004 - the range above


def negative_hard(row: RowContext) -> float:
    """Give full marks for a negative that shares wording with the text, nothing for one that is the text again."""
    negative = row.text("negative")
    if max(jaccard(negative, row.text("text")), jaccard(negative, row.text("positive"))) > _SAME:
        return 0.0
    return 1.0 if _pairs(negative) & _pairs(row.text("text")) else 0.5


def has_constraints(row: RowContext) -> float:
    """Give full marks for a constraint that code can check."""
    return 1.0 if at_path(row.output, "constraints") else 0.7


def answers_apart(row: RowContext) -> float:
    """Mark down answers that are much alike: they teach no preference."""
    return 1.0 - jaccard(row.text("chosen"), row.text("rejected"))


def _pairs(text: str) -> set[str]:
    plain = normalized(text)
    return {plain[at : at + _SHINGLE] for at in range(len(plain) - _SHINGLE + 1)}
