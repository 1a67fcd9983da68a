"""Tell administrators who watch that the alerts have changed: a wake-up, the list is the truth.

The topic is ``alerts``; the payload names the alert and what befell it.
"""

import msgspec

from tidemill.platform.events import EventBus
from tidemill.platform.tasks import TaskOwner

TOPIC = "alerts"


class AlertNews:
    """The news of one process's alerts."""

    def __init__(self, events: EventBus) -> None:
        self._events = events
        self._sends = TaskOwner()

    def tell(self, alert_id: str, event: str) -> None:
        """Tell; never fails and never waits."""
        payload = msgspec.json.encode({"alert_id": alert_id, "event": event})
        self._sends.spawn("alerts.news", self._events.publish(TOPIC, payload, key=alert_id))
