"""What alerts need from elsewhere: the ways out of the house."""

from collections.abc import Mapping
from typing import Protocol

from msgspec import Struct

from tidemill.kernel.lang import Lang
from tidemill.operations.alerts.contracts import AlertEvent, AlertView, Way


class Undelivered(Exception):
    """A message was not taken. The text says what to do and holds no secrets.

    ``lasting``: trying again would not help. ``retry_after_s``: not before that many seconds.
    """

    def __init__(self, text: str, *, lasting: bool = False, retry_after_s: float = 0.0) -> None:
        self.lasting = lasting
        self.retry_after_s = retry_after_s
        super().__init__(text)


class Message(Struct, frozen=True):
    """What is told of an alert; ``alert`` is in ``lang``."""

    event: AlertEvent
    alert: AlertView
    lang: Lang


class WayOut(Protocol):
    """One way to tell somebody."""

    async def send(self, message: Message) -> None:
        """Hand a message over; raises Undelivered. Bounded in time."""
        ...


Ways = Mapping[Way, WayOut]
