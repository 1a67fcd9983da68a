"""Which mailer the settings ask for."""

from tidemill.platform.mail.port import Mailer
from tidemill.platform.settings.groups.mail import MailSettings


def open_mailer(settings: MailSettings) -> Mailer | None:
    """Return the mailer, None where no server is named."""
    if not settings.host:
        return None
    from tidemill.platform.mail.smtp import SmtpMailer  # noqa: PLC0415 - smtplib and email are for those who send

    return SmtpMailer(settings)
