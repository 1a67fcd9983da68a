"""Why attempts were refused, counted from the lineage of rows, a slice at a time."""

import re
from collections import Counter
from collections.abc import Iterable

import msgspec
from msgspec import Struct

from tidemill.datagen.reports.contracts import Reason
from tidemill.platform.db import Row

COMMONEST = 20
_MAX_KEYS = 2_000
_REASON_CHARS = 200
_MARK = re.compile(r": [\d.]+/10$")
_DUPLICATES = frozenset({"duplicate", "near_duplicate"})


class _Attempt(Struct):
    failed_gates: list[str] = []
    reasons: list[str] = []
    problem: str | None = None


class _Lineage(Struct):
    attempts: list[_Attempt] = []


class ReasonCount:
    """Counts refused attempts by cause. At most 2,000 different causes are told apart."""

    def __init__(self) -> None:
        self.attempts = 0
        self.duplicates = 0
        self._counts: Counter[str] = Counter()
        self._examples: dict[str, str] = {}

    def add(self, rows: Iterable[Row]) -> None:
        """Take rows (status, lineage) into account; the accepted attempt of a row is none that was refused."""
        decode = msgspec.json.Decoder(_Lineage).decode
        for row in rows:
            attempts = decode(row["lineage"]).attempts if row["lineage"] else []
            judged_good = row["status"] in {"accepted", "rejected"}
            for attempt in attempts[:-1] if judged_good else attempts:
                self._refused(attempt)

    def _refused(self, attempt: _Attempt) -> None:
        self.attempts += 1
        self.duplicates += not _DUPLICATES.isdisjoint(attempt.failed_gates)
        if attempt.failed_gates:
            sentences = [*attempt.reasons, *attempt.failed_gates[len(attempt.reasons) :]]
            for gate, sentence in zip(attempt.failed_gates, sentences, strict=False):
                self._count(gate, sentence)
        elif attempt.problem:
            self._count(attempt.problem, "; ".join(attempt.reasons))
        else:
            for sentence in attempt.reasons or ["low_score"]:
                # "accuracy: 4/10" counts as accuracy, whatever the mark.
                plain = _MARK.sub("", sentence)
                self._count(plain[:_REASON_CHARS], sentence)

    def _count(self, code: str, example: str) -> None:
        if code not in self._examples and len(self._examples) >= _MAX_KEYS:
            return
        self._counts[code] += 1
        self._examples.setdefault(code, example[:_REASON_CHARS])

    def commonest(self) -> list[Reason]:
        """Return the 20 commonest causes."""
        return [
            Reason(code=code, reason=self._examples[code], count=count)
            for code, count in self._counts.most_common(COMMONEST)
        ]
