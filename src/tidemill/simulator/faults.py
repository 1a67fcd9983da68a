"""Which request fails, and how: as the request itself says, in the order a test asked for, or drawn from a seed."""

import random
import re
from collections import OrderedDict, deque
from collections.abc import Iterable, Mapping

from msgspec import Struct

from tidemill.simulator.fault_words import KINDS, Fault, faults_of, parse_faults

Plan = Mapping[str, Fault]
"""The faults of one request by kind; mostly empty."""

NO_FAULTS: Plan = {}

Given = str | Mapping[str, float] | tuple[Fault, ...]

_MOST_ORDERS = 10_000  # orders that requests brought along, counted by their words; the oldest are forgotten first
_IN_PROMPT = re.compile(rb"\[simulate ([\w:=.,;/ -]{1,400})\]")


class Seen(Struct, frozen=True):
    """What of a request decides whether a fault is meant for it."""

    model: str = ""
    key: str = ""
    path: str = ""


def content_faults(plan: Plan) -> list[str]:
    """Return the planned faults that change what is said."""
    return [kind for kind in plan if KINDS[kind].group == "content"] if plan else []


class Faults:
    """Plans the faults of each request.

    An order of the request's own goes first, then the script, one entry a request (``ok`` lets a request pass), then
    the standing faults decide.
    """

    def __init__(self, standing: Given, seed: int) -> None:
        self.standing = faults_of(standing)
        self._struck: list[int] = [0] * len(self.standing)
        self._script: deque[tuple[Fault, ...]] = deque()
        self._orders: OrderedDict[str, list[int]] = OrderedDict()
        self._dice = random.Random(f"faults:{seed}")  # noqa: S311 - repeatable faults, no secret

    @property
    def are_none(self) -> bool:
        """Whether no request but one that orders a fault itself can meet one."""
        return not self.standing and not self._script

    def set(self, standing: Given) -> None:
        """Replace the standing faults and their counts; raises BadInput and changes nothing when they are wrong."""
        self.standing = faults_of(standing)
        self._struck = [0] * len(self.standing)

    def follow(self, script: Iterable[str]) -> None:
        """Give the next requests these faults in order; replaces what is left of an earlier script."""
        self._script = deque([() if words == "ok" else parse_faults(words) for words in list(script)])

    def order_in(self, header: str, body: bytes) -> str:
        """Return what a request itself orders: by header, else as ``[simulate …]`` in its body; empty for nothing."""
        if header:
            return header
        match = _IN_PROMPT.search(body) if b"[simulate " in body else None
        return match[1].decode() if match else ""

    def plan(self, seen: Seen, order: str = "") -> Plan:
        """Return the faults of one request; raises BadInput when its own order is not understood."""
        if order:
            faults = parse_faults(order)
            counts = self._orders.setdefault(order, [0] * len(faults))
            self._orders.move_to_end(order)
            if len(self._orders) > _MOST_ORDERS:
                self._orders.popitem(last=False)
            return self._drawn(faults, counts, seen)
        if self._script:
            return {fault.kind: fault for fault in self._script.popleft()}
        return self._drawn(self.standing, self._struck, seen) if self.standing else NO_FAULTS

    def _drawn(self, faults: tuple[Fault, ...], counts: list[int], seen: Seen) -> Plan:
        """Draw modifiers each for itself, of the others at most one: their shares divide the interval 0..1."""
        at = self._dice.random()
        plan: dict[str, Fault] = {}
        is_struck = False
        for number, fault in enumerate(faults):
            if not _meant_for(fault, seen) or (fault.times is not None and counts[number] >= fault.times):
                continue
            if fault.group == "modifier":
                hit = fault.rate >= 1.0 or self._dice.random() < fault.rate
            elif is_struck:
                continue
            else:
                hit = is_struck = at < fault.rate
                at -= fault.rate
            if hit:
                counts[number] += 1
                plan[fault.kind] = fault
        return plan


def _meant_for(fault: Fault, seen: Seen) -> bool:
    return (
        (not fault.model or fault.model == seen.model)
        and (not fault.key or seen.key.endswith(fault.key))
        and (not fault.path or fault.path in seen.path)
    )
