"""Which ways out the settings open."""

from tidemill.operations.alerts.contracts import Way
from tidemill.operations.alerts.mail import AlertMail
from tidemill.operations.alerts.ports import WayOut, Ways
from tidemill.operations.alerts.webhook import Webhook
from tidemill.platform.mail import Mailer
from tidemill.platform.settings.groups.alerts import AlertSettings


def open_ways(settings: AlertSettings, mailer: Mailer | None, *, allow_private: bool) -> Ways:
    """Return the ways that are set up. ``allow_private``: a webhook may be a private or loopback address."""
    ways: dict[Way, WayOut] = {}
    if settings.webhook_url:
        ways["webhook"] = Webhook(
            settings.webhook_url,
            secret=settings.webhook_secret,
            form=settings.webhook_form,
            allow_private=allow_private,
        )
    if mailer is not None and settings.mail_to:
        ways["mail"] = AlertMail(mailer, settings.mail_to)
    return ways
