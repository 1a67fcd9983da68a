"""Which mailer the settings ask for."""

from tidemill.platform.mail.port import Mailer
from tidemill.platform.mail.smtp import SmtpMailer
from tidemill.platform.settings.groups.mail import MailSettings


def open_mailer(settings: MailSettings) -> Mailer | None:
    """Return the mailer, None where no server is named."""
    return SmtpMailer(settings) if settings.host else None
