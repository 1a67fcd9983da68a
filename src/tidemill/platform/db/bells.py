"""Change notices: who listens to which topic, and the table other processes read them from."""

from collections import defaultdict
from collections.abc import Callable, Iterable

from sqlalchemy import BigInteger, Column, Executable, Table, Text

from tidemill.platform.db.columns import metadata, upsert

change_seq = Table(
    "change_seq",
    metadata,
    Column("topic", Text, primary_key=True),
    Column("seq", BigInteger, nullable=False),
)


def bumped(topic: str) -> Executable:
    """Return the statement that counts one more change of ``topic`` and answers the count."""
    values, update = {"topic": topic, "seq": 1}, {"seq": change_seq.c.seq + 1}
    return upsert(change_seq, ["topic"], values, update).returning(change_seq.c.seq)


class Bells:
    """The listeners of one process."""

    def __init__(self) -> None:
        self._listeners: defaultdict[str, list[Callable[[], None]]] = defaultdict(list)

    def subscribe(self, topic: str, callback: Callable[[], None]) -> None:
        """Add a listener for as long as the process lives."""
        self._listeners[topic].append(callback)

    def ring(self, topics: Iterable[str]) -> None:
        """Call the listeners of these topics."""
        for topic in topics:
            for callback in self._listeners.get(topic, ()):
                callback()

    def ring_all(self) -> None:
        """Call everybody: after a gap in which notices may have been missed."""
        self.ring(list(self._listeners))
