"""Alerts by mail."""

from collections.abc import Sequence

from tidemill.operations.alerts.ports import Message, Undelivered
from tidemill.operations.alerts.wording import headline, paragraph
from tidemill.platform.mail import Letter, Mailer, MailRefused


class AlertMail:
    """Writes to everybody who wants to know."""

    def __init__(self, mailer: Mailer, to: Sequence[str]) -> None:
        self._mailer = mailer
        self._to = to

    async def send(self, message: Message) -> None:
        """Send one letter to all; raises Undelivered."""
        key = f"{message.event}.{message.alert.id}.{message.alert.count}"
        letter = Letter(to=self._to, subject=headline(message), text=paragraph(message) + "\n", key=key)
        try:
            await self._mailer.send(letter)
        except MailRefused as error:
            raise Undelivered(str(error), lasting=error.lasting) from error
