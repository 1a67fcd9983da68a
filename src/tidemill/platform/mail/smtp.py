"""SMTP by the standard library, a connection a letter, in a thread: mails are few and the library blocks.

RFC 5321; submission and its ports: RFC 6409 and 8314.
"""

import asyncio
import smtplib
import ssl
from collections.abc import Mapping
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formatdate, parseaddr
from typing import Literal

from tidemill.kernel import clock
from tidemill.platform.mail.port import Letter, MailRefused
from tidemill.platform.settings.groups.mail import MailSettings

_PORTS: Mapping[Literal["starttls", "tls", "none"], int] = {"starttls": 587, "tls": 465, "none": 25}
_LASTING_FROM = 500  # RFC 5321 §4.2.1: 5yz is permanent, 4yz is not


class SmtpMailer:
    """Sends by one server. Certificates are checked against ``trust`` (absent: what the system trusts)."""

    def __init__(self, settings: MailSettings, trust: ssl.SSLContext | None = None) -> None:
        self._settings = settings
        self._host = settings.host or ""
        self._port = settings.port or _PORTS[settings.tls]
        self._sender = settings.sender or settings.user or ""
        self._trust = trust

    async def send(self, letter: Letter) -> None:
        """Hand a letter to the server; raises MailRefused."""
        try:
            message = self._composed(letter)
        except (ValueError, MessageError) as error:
            raise MailRefused(f"not a letter that can be sent: {error}", lasting=True) from error
        try:
            await asyncio.to_thread(self._deliver, message, list(letter.to))
        except smtplib.SMTPRecipientsRefused as error:
            codes = [code for code, _ in error.recipients.values()]
            names = ", ".join(error.recipients)
            raise MailRefused(f"the server refuses {names}", lasting=min(codes) >= _LASTING_FROM) from error
        except smtplib.SMTPResponseException as error:
            said = (
                error.smtp_error.decode(errors="replace") if isinstance(error.smtp_error, bytes) else error.smtp_error
            )
            text = f"the server answered {error.smtp_code} {said[:200]}"
            raise MailRefused(text, lasting=error.smtp_code >= _LASTING_FROM) from error
        except smtplib.SMTPNotSupportedError as error:
            raise MailRefused(f"{error}; see mail.tls and mail.user", lasting=True) from error
        except (smtplib.SMTPException, OSError) as error:
            raise MailRefused(f"no connection to {self._host}:{self._port}: {error or type(error).__name__}") from error

    def _composed(self, letter: Letter) -> EmailMessage:
        name, address = parseaddr(self._sender)
        if "@" not in address:
            raise ValueError("mail.sender must be an address, as in Tidemill <mill@example.com>")
        message = EmailMessage(policy=SMTP)
        message["From"] = Address(name, addr_spec=address)
        message["To"] = [Address(addr_spec=one) for one in letter.to]
        message["Subject"] = " ".join(letter.subject.split())
        message["Date"] = formatdate(clock.unix_s())
        message["Message-ID"] = f"<{letter.key}@{address.rpartition('@')[2]}>"
        message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office answers, please
        message.set_content(letter.text)
        return message

    def _deliver(self, message: EmailMessage, to: list[str]) -> None:
        settings = self._settings
        trust = self._trust
        if trust is None and settings.tls != "none":
            trust = ssl.create_default_context()
        if settings.tls == "tls":
            server: smtplib.SMTP = smtplib.SMTP_SSL(self._host, self._port, timeout=settings.timeout_s, context=trust)
        else:
            server = smtplib.SMTP(self._host, self._port, timeout=settings.timeout_s)
        with server:
            if settings.tls == "starttls":
                server.starttls(context=trust)
            if settings.user:
                server.login(settings.user, settings.password or "")
            server.send_message(message, to_addrs=to)
