"""Why a line of an upload was left out, kept as a code and told in the reader's language."""

from typing import Any

from msgspec import Struct

from tidemill.datagen.samples.contracts import LineProblem
from tidemill.kernel.lang import Lang

KEPT = 100

_SENTENCES: dict[str, tuple[str, str]] = {
    "not_json": ("不是有效的 JSON：{detail}", "is not valid JSON: {detail}"),
    "not_object": ('必须是 JSON 对象，例如 {{"text": …}}', 'must be a JSON object such as {{"text": …}}'),
    "no_fields": ("对象没有任何字段", "the object has no fields"),
    "too_long": ("超过每行 {detail} KB 的上限", "is longer than the limit of {detail} KB a line"),
    "encoding": ("含有无法解码的字节", "holds bytes that are not valid in the file's encoding"),
    "bad_quotes": ("引号不配对：{detail}", "has unbalanced quotes: {detail}"),
    "field_count": ("列数为 {detail}（实际/应有）", "has {detail} fields (found/expected)"),
    "header_renamed": ("列名为空或重复，已改为 {detail}", "a column name was empty or repeated; it is now {detail}"),
}


class Problem(Struct, frozen=True, array_like=True):
    """One problem as stored: line from 1, a code of the table above, what fills its sentence."""

    line: int
    code: str
    detail: str = ""

    def told(self, lang: Lang) -> LineProblem:
        """Return it as a sentence in ``lang``."""
        zh, en = _SENTENCES[self.code]
        return LineProblem(self.line, (zh if lang == "zh" else en).format(detail=self.detail))


class ProblemList:
    """The first 100 problems of a file and the count of all: a broken file of 1 GB must not fill memory."""

    def __init__(self) -> None:
        self.first: list[Problem] = []
        self.count = 0

    def add(self, line: int, code: str, detail: str = "") -> None:
        """Note one problem."""
        self.count += 1
        if len(self.first) < KEPT:
            self.first.append(Problem(line, code, detail))


def from_stored(stored: Any) -> list[Problem]:
    """Read the problems of a file's database row."""
    return [Problem(*entry) for entry in stored or ()]
