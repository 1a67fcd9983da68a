"""What sending a mail promises."""

from collections.abc import Sequence
from typing import Protocol

from msgspec import Struct


class MailRefused(Exception):
    """The letter was not taken. The text says why and holds no password.

    ``lasting``: the same letter would be refused again (a wrong password, an unknown address).
    """

    def __init__(self, text: str, *, lasting: bool = False) -> None:
        self.lasting = lasting
        super().__init__(text)


class Letter(Struct, frozen=True, kw_only=True):
    """A mail in plain text. ``key`` becomes part of its Message-ID, so that a repeat can be told from another one."""

    to: Sequence[str]
    subject: str
    text: str
    key: str


class Mailer(Protocol):
    """Sends letters."""

    async def send(self, letter: Letter) -> None:
        """Hand a letter to the server; raises MailRefused. Each step has a deadline."""
        ...
