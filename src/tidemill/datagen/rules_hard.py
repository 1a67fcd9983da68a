"""Checks that a row of a type must pass; a failed one makes the score 0. Each returns its problems, none when fine."""

import json
import re
import unicodedata
from collections.abc import Mapping
from typing import Any, cast

import msgspec

from tidemill.datagen.fields import at_path, sample_text
from tidemill.datagen.novelty import jaccard, normalized
from tidemill.datagen.rules_context import RowContext, known_labels
from tidemill.datagen.rules_profile import han_share
from tidemill.kernel.errors import FieldProblem
from tidemill.kernel.lang import Lang

Problems = list[FieldProblem]

_LEAST_MESSAGES, _MOST_MESSAGES = 4, 20  # two to ten turns of two messages
_LEAST_SUMMARY, _MOST_SUMMARY = 0.05, 0.5
_LEAST_ALIKE, _MOST_ALIKE = 0.1, 0.8
_NUMBER = re.compile(r"\d+(?:[.,:]\d+)*%?")


def entity_spans(row: RowContext) -> Problems:
    """Check that each entity's value stands in the text at its offsets, and that its type is one of the samples'."""
    text = row.output.get("text", "")
    types = known_labels(row.t, row.sample, row.profile, show="types")
    problems: Problems = []
    for index, item in enumerate(at_path(row.output, "entities")):
        entity = cast("Mapping[str, Any]", item)
        value, start, end = entity.get("value", ""), entity.get("start"), entity.get("end")
        if not value or start is None or end is None or text[start:end] != value:
            zh, en = f"实体“{value}”不在文本的标注位置上", f"the entity '{value}' is not in the text at its offsets"
            problems.append(row.problem(f"entities.{index}", zh, en))
        if types and entity.get("type") not in types:
            zh = f"实体类型“{entity.get('type')}”不在可用类型中：{'、'.join(types)}"
            en = f"the type '{entity.get('type')}' is none of: {', '.join(types)}"
            problems.append(row.problem(f"entities.{index}.type", zh, en))
    return problems


def label_known(row: RowContext) -> Problems:
    """Check that the label (or intent) is one of the samples' labels, where these are known."""
    field = "label" if "label" in row.output else "intent"
    labels = known_labels(row.t, row.sample, row.profile)
    label = row.output.get(field)
    if not isinstance(label, str) or not label.strip():
        return [row.problem(field, "标签不能为空", "the label must not be empty")]
    if labels and label not in labels:
        listed = ", ".join(labels)
        zh, en = f"标签“{label}”不在可选标签中：{listed}", f"the label '{label}' is none of: {listed}"
        return [row.problem(field, zh, en)]
    return []


def evidence_quoted(row: RowContext) -> Problems:
    """Check that the evidence is copied from the passage, where there is a passage."""
    evidence = row.text("evidence").strip()
    passage = sample_text(row.t, row.sample, "passage")
    if not evidence or not passage or _squeezed(evidence) in _squeezed(passage):
        return []
    return [row.problem("evidence", "依据不是素材中的原文", "the evidence is not quoted from the passage")]


def dialogue_alternates(row: RowContext) -> Problems:
    """Check 2 to 10 turns, user first, roles in turn, assistant last, nothing empty."""
    messages = cast("list[Mapping[str, Any]]", at_path(row.output, "messages"))
    spoken = messages[1:] if messages and messages[0].get("role") == "system" else messages
    roles = [message.get("role") for message in spoken]
    if roles != ["user", "assistant"] * (len(spoken) // 2):
        zh, en = "角色须由用户开始、交替进行、以助手结束", "roles must alternate, from the user to the assistant"
        return [row.problem("messages", zh, en)]
    if not _LEAST_MESSAGES <= len(spoken) <= _MOST_MESSAGES:
        return [row.problem("messages", "对话须有 2 至 10 轮", "a dialogue has 2 to 10 turns")]
    return []


def slots_quoted(row: RowContext) -> Problems:
    """Check that each slot value is said in the utterance."""
    said = row.text("utterance")
    return [
        row.problem(f"slots.{index}", f"槽位值“{value}”不在语句中", f"the slot value '{value}' is not in the utterance")
        for index, value in enumerate(at_path(row.output, "slots.value"))
        if not value or value not in said
    ]


def aspects_quoted(row: RowContext) -> Problems:
    """Check that each aspect is named in the text."""
    said = row.text("text")
    return [
        row.problem(f"aspects.{index}", f"方面“{value}”不在文本中", f"the aspect '{value}' is not in the text")
        for index, value in enumerate(at_path(row.output, "aspects.aspect"))
        if not value or value not in said
    ]


def summary_faithful(row: RowContext) -> Problems:
    """Check that the summary is 5 to 50 % of its document and brings in no number of its own."""
    document, summary = row.text("document"), row.text("summary")
    problems: Problems = []
    if not _LEAST_SUMMARY * len(document) <= len(summary) <= _MOST_SUMMARY * len(document):
        zh, en = "摘要长度须为原文的 5% 至 50%", "the summary must be 5 to 50 % as long as its document"
        problems.append(row.problem("summary", zh, en))
    if strange := sorted(_figures(summary) - _figures(document)):
        listed = ", ".join(strange)
        problems.append(
            row.problem("summary", f"摘要中的数字不在原文里：{listed}", f"numbers not in the document: {listed}")
        )
    return problems


def translation_languages(row: RowContext) -> Problems:
    """Check that the source is in the task's language, the target in the other one, and that numbers are kept."""
    source, target = row.text("source"), row.text("target")
    problems: Problems = []
    for field, text, zh_wanted in (("source", source, row.lang == "zh"), ("target", target, row.lang != "zh")):
        share = han_share(text)
        if share is None or (share >= 0.3) != zh_wanted:  # noqa: PLR2004 - the share that language checks ask of Chinese
            zh, en = ("应为中文", "must be Chinese") if zh_wanted else ("应为英文", "must be English")
            problems.append(row.problem(field, zh, en))
    if lost := sorted(_figures(source) - _figures(target)):
        listed = ", ".join(lost)
        problems.append(row.problem("target", f"译文缺少数字：{listed}", f"numbers lost in translation: {listed}"))
    return problems


def paraphrase_apart(row: RowContext) -> Problems:
    """Check that the rewrite is neither a copy nor something else: 0.1 to 0.8 alike."""
    text, rewrite = row.text("text"), row.text("positive")
    alike = jaccard(text, rewrite)
    if alike > _MOST_ALIKE:
        return [row.problem("positive", "改写与原句几乎相同", "the rewrite is almost the original")]
    if max(alike, _words_alike(text, rewrite, row.lang)) < _LEAST_ALIKE:
        return [row.problem("positive", "改写与原句没有共同内容", "the rewrite shares nothing with the original")]
    return []


def answers_differ(row: RowContext) -> Problems:
    """Check that the chosen and the rejected answer are not the same text."""
    if normalized(row.text("chosen")) != normalized(row.text("rejected")):
        return []
    return [row.problem("rejected", "被拒回答与优选回答相同", "the rejected answer equals the chosen one")]


def constraints_hold(row: RowContext) -> Problems:
    """Check the constraints that a row declares about its output, by counting."""
    said = row.text("output")
    problems: Problems = []
    for index, item in enumerate(at_path(row.output, "constraints")):
        constraint = cast("Mapping[str, Any]", item)
        kind, value = str(constraint.get("kind")), str(constraint.get("value", ""))
        if not _holds(kind, value, said):
            zh, en = f"输出不满足约束 {kind} {value}", f"the output does not keep to {kind} {value}"
            problems.append(row.problem(f"constraints.{index}", zh, en))
    return problems


def _holds(kind: str, value: str, said: str) -> bool:
    if kind == "contains":
        return bool(value) and value in said
    if kind == "json":
        try:
            json.loads(said)
        except (ValueError, RecursionError):
            return False
        return True
    if not value.isascii() or not value.isdigit():
        return False
    counts = {
        "lines": sum(bool(line.strip()) for line in said.splitlines()),
        "max_words": len(said.split()),
        "max_chars": len(said),
        "min_chars": len(said),
    }
    count, limit = counts.get(kind), int(value)
    if count is None:
        return False
    return count == limit if kind == "lines" else count >= limit if kind == "min_chars" else count <= limit


def calls_valid(row: RowContext) -> Problems:
    """Check that each call names a declared tool and that its arguments fit the tool's parameters."""
    import jsonschema_rs  # noqa: PLC0415 - loaded on first use

    tools = {str(tool.get("name")): tool for tool in cast("list[Mapping[str, Any]]", at_path(row.output, "tools"))}
    problems: Problems = []
    for index, call in enumerate(cast("list[Mapping[str, Any]]", at_path(row.output, "calls"))):
        name = str(call.get("name"))
        if name not in tools:
            problems.append(row.problem(f"calls.{index}", f"没有名为 {name} 的工具", f"there is no tool {name}"))
            continue
        try:
            parameters = msgspec.json.decode(str(tools[name].get("parameters", "")), type=dict[str, Any])
            arguments = msgspec.json.decode(str(call.get("arguments", "")), type=dict[str, Any])
            fits = jsonschema_rs.is_valid(parameters, arguments)
        except (msgspec.DecodeError, RecursionError, ValueError):
            fits = False
        if not fits:
            zh, en = f"{name} 的参数不符合其定义", f"the arguments of {name} do not fit its parameters"
            problems.append(row.problem(f"calls.{index}.arguments", zh, en))
    return problems


def _words_alike(one: str, other: str, lang: Lang) -> float:
    """Compare by single characters in zh, by words in en."""
    mine, theirs = ((set(normalized(text)) if lang == "zh" else set(text.casefold().split())) for text in (one, other))
    return len(mine & theirs) / len(mine | theirs) if mine | theirs else 0.0


def _figures(text: str) -> set[str]:
    """Return the numbers that cannot well be written in words: three digits and more, decimals, percentages."""
    return {number for number in _NUMBER.findall(_folded(text)) if len(number) > 2}  # noqa: PLR2004 - as said


def _squeezed(text: str) -> str:
    return "".join(_folded(text).split())


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKC", text)
