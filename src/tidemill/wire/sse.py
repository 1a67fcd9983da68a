"""Cut a server-sent event stream into whole events without changing a byte.

A relay forwards events as they came, so the splitter never parses fields: it finds blank lines. Line ends are LF,
CRLF or CR (WHATWG HTML §9.2.5), in any mixture, cut anywhere by the network.
"""

import re

MAX_EVENT_BYTES = 16 * 1024 * 1024

_LINE_END = rb"(?:\r\n|\n|\r(?=[^\n]))"
_EVENT_END = re.compile(_LINE_END + _LINE_END)
_LINES = re.compile(rb"\r\n|\n|\r")
# The longest tail of a buffer that may be the beginning of an event's end: CR LF CR.
_OVERLAP = 3

HEARTBEAT = b": keep-alive\n\n"
DONE = b"data: [DONE]\n\n"
DONE_DATA = b"[DONE]"


class EventTooLargeError(ValueError):
    """An event grew past the bound without ending."""


class Splitter:
    """Collects bytes and hands back whole events, each with the blank line that ends it.

    What it hands back, in order, plus ``rest()`` is what was fed. An event may be at most ``max_event_bytes`` long.
    """

    __slots__ = ("_max_event_bytes", "_rest", "_scanned")

    def __init__(self, max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        self._rest = b""
        self._scanned = 0
        self._max_event_bytes = max_event_bytes

    def feed(self, data: bytes) -> list[bytes]:
        """Add ``data`` and return the events that are whole now.

        Raises EventTooLargeError when what is left without an end is past the bound.
        """
        # One read is nearly always one event: no copy, no search by pattern.
        if not self._rest and b"\r" not in data and data.find(b"\n\n") == len(data) - 2 > 0:
            return [data]
        buffer = self._rest + data
        events: list[bytes] = []
        start = 0
        for match in _EVENT_END.finditer(buffer, max(0, self._scanned - _OVERLAP)):
            events.append(buffer[start : match.end()])
            start = match.end()
        self._rest = buffer[start:]
        self._scanned = len(self._rest)
        if self._scanned > self._max_event_bytes:
            raise EventTooLargeError(f"an event is longer than {self._max_event_bytes} bytes")
        return events

    def rest(self) -> bytes:
        """Return the bytes after the last whole event: what a broken stream leaves behind."""
        return self._rest


def data_of(event: bytes) -> bytes | None:
    """Return an event's data, lines joined by LF; None when it has none (a comment, a bare ``retry:``)."""
    if event.startswith(b"data:") and event.find(b"\n") == len(event) - 2:
        return event[5:].strip()
    lines = [_value(line) for line in _LINES.split(event) if line == b"data" or line.startswith(b"data:")]
    return b"\n".join(lines).strip() if lines else None


def _value(line: bytes) -> bytes:
    return line[5:].removeprefix(b" ")


def event_of(data: bytes) -> bytes:
    """Return ``data`` (one line) as an event."""
    return b"data: " + data + b"\n\n"
