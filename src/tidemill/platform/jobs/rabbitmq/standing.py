"""How this process stands with the broker: what the console and the metrics show, and what the log says, once each."""

from tidemill.kernel import clock
from tidemill.platform.jobs.rabbitmq.errors import BrokerAway, BrokerMisused
from tidemill.platform.jobs.transport import Facts
from tidemill.platform.telemetry import get_logger

log = get_logger(__name__)


class Standing:
    """State and counts since the process started."""

    def __init__(self, name: str) -> None:
        self.published = 0
        self.refused = 0
        self.delivered = 0
        self.redelivered = 0
        self.nacked = 0
        self._name = name
        self._state = "down"
        self._since = clock.now()
        self._reconnects = 0
        self._error: str | None = None
        # When it went away, by the monotonic clock; None while it is up.
        self._away_since_s: float | None = None

    def connecting(self) -> None:
        """Begin the first try, or the next."""
        if self._state != "connecting":
            self._turn("connecting")

    def up(self) -> None:
        """Be connected, consumers and all."""
        self._turn("up")
        if self._away_since_s is not None:
            self._reconnects += 1
            log.info("broker.back", broker=self._name, away_s=round(clock.monotonic() - self._away_since_s, 1))
        self._away_since_s = None
        self._error = None

    def away(self, error: BrokerAway) -> None:
        """Be lost, or stay so: logged when it begins, and again when somebody has to act and it is not known yet."""
        first = self._away_since_s is None
        if first:
            self._away_since_s = clock.monotonic()
        if first or (isinstance(error, BrokerMisused) and str(error) != self._error):
            log.warning("broker.away", broker=self._name, error=str(error))
        self._error = str(error)
        self._turn("down")

    def closed(self) -> None:
        """Be closed on purpose."""
        self._turn("down")

    def facts(self) -> Facts:
        """Return all of it."""
        return Facts(
            name=self._name,
            state=self._state,
            since=self._since,
            reconnects=self._reconnects,
            published=self.published,
            refused=self.refused,
            delivered=self.delivered,
            redelivered=self.redelivered,
            nacked=self.nacked,
            error=self._error,
        )

    def _turn(self, state: str) -> None:
        if state != self._state:
            self._state = state
            self._since = clock.now()
