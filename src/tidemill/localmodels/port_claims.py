"""Which port of the range belongs to which instance."""

import errno
import socket
from typing import Final

_LOOPBACK: Final = "127.0.0.1"


class PortClaims:
    """Hands out ports of ``first`` to ``last``, lowest free first; ``first`` 0 means any port the system offers.

    Invariant: a port is in ``_claimed`` from ``claim`` to ``free``, whether or not a process listens on it.
    """

    def __init__(self, first: int, last: int) -> None:
        self.first = first
        self.last = max(first, last)
        self._claimed: set[int] = set()

    def claim(self, passing_over: frozenset[int] = frozenset()) -> int | None:
        """Claim a port that nobody listens on; None when the range is used up.

        The port is proved by binding it. Between this and the child's own bind another program may be faster: the
        child then ends with "couldn't bind" and the caller claims again, passing over that port.
        """
        if self.first == 0:
            return self._any()
        for port in range(self.first, self.last + 1):
            if port not in self._claimed and port not in passing_over and _is_free(port):
                self._claimed.add(port)
                return port
        return None

    def is_listened_on(self, port: int) -> bool:
        """Tell whether some program listens on ``port`` at this moment."""
        return not _is_free(port)

    def free(self, port: int) -> None:
        """Give a port back."""
        self._claimed.discard(port)

    def _any(self) -> int:
        while True:
            with socket.socket() as probe:
                probe.bind((_LOOPBACK, 0))
                port = int(probe.getsockname()[1])
            if port not in self._claimed:
                self._claimed.add(port)
                return port


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        # As llama-server does: connections of its predecessor that linger in TIME_WAIT are no obstacle.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_LOOPBACK, port))
            probe.listen(1)
        except OSError as problem:
            if problem.errno in {errno.EADDRINUSE, errno.EACCES}:
                return False
            raise
    return True
