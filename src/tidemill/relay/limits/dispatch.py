"""Bring script calls to the server in order, many at a time, without letting those wait who want no answer.

One round is under way at a time: what comes meanwhile goes with the next, so that the order holds and a busy process
needs few round trips. What wants no answer can be sent again without harm, and is, when the server went away.
"""

import asyncio
from collections import deque
from collections.abc import Sequence

from prometheus_client import Counter

from tidemill.platform.redis import Away, Link, Refused, Word
from tidemill.platform.telemetry import get_logger
from tidemill.platform.telemetry.metrics import registry
from tidemill.relay.limits.scripts import ALL, Script

log = get_logger(__name__)

ROUND = 256
# While the server is away no more changes are kept than this: leases end by themselves, and the minute passes.
MOST_WAITING = 10_000

lost = Counter(
    "tidemill_limits_changes_lost", "Ends and corrections of calls that the shared limits missed.", registry=registry
)


Answer = asyncio.Future[list[int] | None]


class _Command:
    __slots__ = ("answer", "keys", "script", "words")

    def __init__(
        self,
        script: Script,
        keys: Sequence[str],
        words: Sequence[Word],
        answer: asyncio.Future[list[int] | None] | None,
    ) -> None:
        self.script = script
        self.keys = keys
        self.words = words
        self.answer = answer

    def by_digest(self) -> list[Word]:
        return ["EVALSHA", self.script.digest, len(self.keys), *self.keys, *self.words]

    def by_text(self) -> list[Word]:
        return ["EVAL", self.script.text, len(self.keys), *self.keys, *self.words]

    def tell(self, answer: list[int] | None) -> None:
        if self.answer is not None and not self.answer.done():
            self.answer.set_result(answer)


class Dispatch:
    """The way of one process to the server; ``round`` is to be done again and again."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._waiting: deque[_Command] = deque()
        self._wake = asyncio.Event()
        self._is_taught = False
        # What the server last said instead of an answer.
        self.error = ""

    def send(self, script: Script, keys: Sequence[str], words: Sequence[Word]) -> None:
        """Call ``script`` after all that was asked and sent before; it must do no harm twice."""
        if len(self._waiting) >= MOST_WAITING:
            lost.inc()
            return
        self._waiting.append(_Command(script, keys, words, None))
        self._wake.set()

    async def ask(self, script: Script, keys: Sequence[str], words: Sequence[Word]) -> list[int] | None:
        """Return the answer of ``script``, None when there is none (``error`` says why): it may have run all the same.

        Once cancelled it may still run, but before all that is sent afterwards.
        """
        answer: Answer = asyncio.get_running_loop().create_future()
        self._waiting.append(_Command(script, keys, words, answer))
        self._wake.set()
        return await answer

    async def round(self) -> None:
        """Send what waits, at most 256 calls; wait while there is nothing or nobody to send it to."""
        await self._wake.wait()
        if not self._link.is_up:
            self.give_up()
            self._is_taught = False
            await self._link.wait_up()
        batch = [self._waiting.popleft() for _ in range(min(ROUND, len(self._waiting)))]
        if not self._waiting:
            self._wake.clear()
        try:
            await self._teach()
            await self._carry(batch)
        except (Away, Refused) as error:
            self.error = str(error)
            self._is_taught = False
            self._waiting.extendleft(command for command in reversed(batch) if command.answer is None)
            if self._waiting:
                self._wake.set()
        finally:
            for command in batch:
                command.tell(None)

    async def _teach(self) -> None:
        """Make the scripts known to a server that was not asked before.

        A round in which one of them is unknown is not in order any more: what follows it has run before it.
        """
        if not self._is_taught:
            await self._link.ask_all([["SCRIPT", "LOAD", script.text] for script in ALL])
            self._is_taught = True

    async def _carry(self, batch: Sequence[_Command]) -> None:
        answers = await self._link.ask_all([command.by_digest() for command in batch])
        unknown = [place for place, answer in enumerate(answers) if _is_unknown(answer)]
        if unknown:
            self._is_taught = False
            # What came after an unknown script went before it now; what can be done twice is done in order again.
            again = [
                place
                for place in range(unknown[0], len(batch))
                if _is_unknown(answers[place]) or batch[place].answer is None
            ]
            repeated = await self._link.ask_all([batch[place].by_text() for place in again])
            for place, answer in zip(again, repeated, strict=True):
                answers[place] = answer
        for command, answer in zip(batch, answers, strict=True):
            if isinstance(answer, Refused):
                self.error = str(answer)
                if command.answer is None:
                    log.warning("limits.change_refused", error=self.error)
                    lost.inc()
            else:
                command.tell(answer)

    def give_up(self) -> None:
        """Tell those who want an answer that there is none; keep the rest."""
        kept = [command for command in self._waiting if command.answer is None]
        for command in self._waiting:
            command.tell(None)
        self._waiting = deque(kept)


def _is_unknown(answer: object) -> bool:
    return isinstance(answer, Refused) and str(answer).startswith("NOSCRIPT")
