"""Outgoing mail: the port, SMTP, and an engine that keeps what it is given."""

from tidemill.platform.mail.engines import open_mailer
from tidemill.platform.mail.memory import MemoryMailer
from tidemill.platform.mail.port import Letter, Mailer, MailRefused

__all__ = ["Letter", "MailRefused", "Mailer", "MemoryMailer", "open_mailer"]
