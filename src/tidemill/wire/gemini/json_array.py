"""Cut a JSON list of objects, as Gemini streams one without ``alt=sse``, into its objects, whatever the network cut."""

import re

import msgspec
from msgspec import Raw

from tidemill.wire.canonical_json import MALFORMED
from tidemill.wire.sse import MAX_EVENT_BYTES, EventTooLargeError

_OUTSIDE = re.compile(rb'["{}]')
_BETWEEN = b"[], \t\r\n"
_any = msgspec.json.Decoder(Raw)
_INSIDE = re.compile(rb'[\\"]')


def _is_json(data: bytes) -> bool:
    try:
        _any.decode(data)
    except MALFORMED:
        return False
    return True


class ArraySplitter:
    """Collects bytes and hands back whole objects; what stands between them is skipped."""

    __slots__ = ("_at", "_depth", "_in_text", "_rest", "_start")

    def __init__(self) -> None:
        self._rest = b""
        self._at = 0  # up to here everything is read
        self._start = -1
        self._depth = 0
        self._in_text = False

    def feed(self, data: bytes) -> list[bytes]:
        """Add ``data`` and return the objects that are whole now; raises EventTooLargeError past the bound."""
        # One read is nearly always one object: no search mark by mark.
        if not self._rest and not self._depth and not self._in_text:
            whole = data.strip(_BETWEEN)
            if whole.startswith(b"{") and whole.endswith(b"}") and _is_json(whole):
                return [whole]
        buffer = self._rest + data
        objects: list[bytes] = []
        at = self._at
        while True:
            found = (_INSIDE if self._in_text else _OUTSIDE).search(buffer, at)
            if found is None:
                at = len(buffer)
                break
            at = found.end()
            if found.group() != b"\\":
                self._pass(found, buffer, objects)
                continue
            if at == len(buffer):
                at -= 1  # what it escapes is not here yet
                break
            at += 1
        kept = self._start if self._depth else at
        self._rest, self._at = buffer[kept:], at - kept
        if self._depth:
            self._start = 0
        if len(self._rest) > MAX_EVENT_BYTES:
            raise EventTooLargeError(f"an object is longer than {MAX_EVENT_BYTES} bytes")
        return objects

    def _pass(self, mark: re.Match[bytes], buffer: bytes, objects: list[bytes]) -> None:
        match mark.group():
            case b'"':
                self._in_text = not self._in_text
            case b"{":
                if self._depth == 0:
                    self._start = mark.start()
                self._depth += 1
            case _ if self._depth:
                self._depth -= 1
                if self._depth == 0:
                    objects.append(buffer[self._start : mark.end()])
            case _:
                pass  # the end of what never began

    def rest(self) -> bytes:
        """Return the bytes of an object that never ended."""
        return self._rest if self._depth else b""
