"""What a stream is to whoever hands it on."""

from typing import Protocol

from tidemill.relay.errors import UpstreamFailed
from tidemill.relay.pipeline.record import Record


class Flow(Protocol):
    """A stream on its way through: takes the upstream's bytes, gives the client's."""

    @property
    def carried(self) -> bool:
        """Whether it has brought content: from then on it is this service's answer."""
        ...

    @property
    def ended(self) -> bool:
        """Whether nothing more is to come, well or badly; so it is once ``feed`` has been told of the end."""
        ...

    def feed(self, data: bytes) -> bytes:
        """Return what ``data`` gives, whole events; empty ``data`` is the end. May raise UpstreamFailed."""
        ...

    def note(self, record: Record) -> None:
        """Write down what has been seen so far."""
        ...

    def failure(self) -> UpstreamFailed | None:
        """Return what was wrong with a stream that is over, None if nothing was."""
        ...

    def farewell(self, failure: UpstreamFailed | None) -> bytes:
        """Return what the client is still to get after the last of ``feed``."""
        ...


def last_event(rest: bytes) -> list[bytes]:
    """Return what stood after the last blank line as an event: some upstreams leave the final one out."""
    rest = rest.strip()
    return [rest + b"\n\n"] if rest else []
