"""Which items are finished: one bit each, so that a million items take 125 KB and nothing is inserted up front."""


class Finished:
    """The finished item numbers of one task. Invariant: ``count`` is the number of set bits below ``total``."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.count = 0
        self._bits = bytearray((total + 7) // 8)

    def __contains__(self, number: int) -> bool:
        return bool(self._bits[number >> 3] & (1 << (number & 7)))

    def add(self, number: int) -> None:
        """Mark an item finished. Raises ValueError for one that the task does not have."""
        if not 0 <= number < self.total:
            message = f"item {number} is not one of {self.total}"
            raise ValueError(message)
        if number not in self:
            self._bits[number >> 3] |= 1 << (number & 7)
            self.count += 1

    @property
    def left(self) -> int:
        """Items still to make."""
        return self.total - self.count
