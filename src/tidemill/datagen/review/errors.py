"""What can go wrong in review.

TidemillError
├── NotFound ── RowsNotFound
├── Conflict ── RowsChanged
└── BadInput ── RowsRefused, SelectionRefused, FormatRefused
"""

from collections.abc import Sequence

from tidemill.datagen.review.contracts import EXPORT_FORMATS
from tidemill.kernel.errors import BadInput, Conflict, FieldProblem, NotFound


class RowsNotFound(NotFound):
    """Some of the rows are not there for this caller; nothing was changed."""

    code = "rows_not_found"
    zh = "以下数据不存在：{ids}。未做任何修改，请刷新列表后重试。"
    en = "There are no rows {ids}. Nothing was changed; reload the list and try again."


class RowsChanged(Conflict):
    """Somebody else changed a row since the caller read it; ``detail`` is JSON: ``[{id, yours, current}]``."""

    code = "rows_changed"
    zh = "以下数据已被他人修改：{ids}。未做任何修改，detail 中有双方内容，请核对后重试。"
    en = "Rows {ids} have changed meanwhile. Nothing was changed; detail shows both sides. Compare and try again."


class RowsRefused(BadInput):
    """New contents that do not fit their task type; every problem is named, nothing was changed."""

    code = "rows_refused"
    zh = "有 {count} 处内容不符合任务类型的格式，未做任何修改：{problems}"
    en = "{count} problems with the contents; nothing was changed: {problems}"

    @classmethod
    def because(cls, problems: Sequence[FieldProblem]) -> "RowsRefused":
        """Name every field at once."""
        text = "; ".join(f"{problem.field}: {problem.message}" for problem in problems)
        return cls(text, fields=problems, count=len(problems), problems=text)


class SelectionRefused(BadInput):
    """A batch that does not say which rows."""

    code = "selection_refused"
    zh = "请用 ids（1–{limit} 个）或 filter（至少一个条件）之一指定数据。"
    en = "Name the rows by `ids` (1 to {limit}) or by `filter` (at least one condition), not both."

    @classmethod
    def of_limit(cls, limit: int) -> "SelectionRefused":
        """Refuse a selection and name both fields."""
        message = f"1 to {limit} ids, or a filter with at least one condition"
        return cls(fields=[FieldProblem("ids", message), FieldProblem("filter", message)], limit=limit)


class FormatRefused(BadInput):
    """An export format that does not exist, or does not suit the rows."""

    code = "format_refused"
    zh = "不能导出为 {asked}：{why}。可用格式：{known}。"
    en = "Cannot export as {asked}: {why}. The formats are {known}."

    @classmethod
    def because(cls, asked: str, why: str) -> "FormatRefused":
        """Name the format and what there is."""
        known = ", ".join(EXPORT_FORMATS)
        return cls(why, fields=[FieldProblem("format", f"{why}; one of {known}")], asked=asked, why=why, known=known)
