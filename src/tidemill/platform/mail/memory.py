"""An engine that keeps its letters: for tests, and for whoever wants to see what would be sent."""

from tidemill.platform.mail.port import Letter, MailRefused


class MemoryMailer:
    """Keeps what it is given, or refuses it with ``refusal`` while one is set."""

    def __init__(self) -> None:
        self.letters: list[Letter] = []
        self.refusal: MailRefused | None = None

    async def send(self, letter: Letter) -> None:
        """Keep a letter."""
        if self.refusal is not None:
            raise self.refusal
        self.letters.append(letter)
