"""What every way of following a stream shares."""


class Committed:
    """Whether content has gone out; shared by those who follow and those who end a stream."""

    __slots__ = ("now",)

    def __init__(self) -> None:
        self.now = False

    def __bool__(self) -> bool:
        return self.now


def last_event(rest: bytes) -> list[bytes]:
    """Return what stood after the last blank line as an event: some upstreams leave the final one out."""
    rest = rest.strip()
    return [rest + b"\n\n"] if rest else []
