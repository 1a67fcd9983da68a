"""Tokens of one answer in buckets that exclude each other, so that each token is counted, and priced, exactly once.

A bucket nobody reported is UNSET: a provider that says nothing of its cache has not said zero.
"""

import msgspec
from msgspec import UNSET, Struct, UnsetType

from tidemill.wire.tokens import TokenCounts

Count = int | UnsetType


class Usage(Struct, frozen=True, kw_only=True):
    """No token stands in two buckets. ``cache_write_5m`` also takes writes whose lifetime nobody told.

    ``tool_in``: prompt tokens of a hosted tool's own. ``searches``: calls of a hosted search, no tokens.
    """

    fresh: Count = UNSET
    cache_read: Count = UNSET
    cache_write_5m: Count = UNSET
    cache_write_1h: Count = UNSET
    audio_in: Count = UNSET
    image_in: Count = UNSET
    tool_in: Count = UNSET
    text_out: Count = UNSET
    reasoning_out: Count = UNSET
    audio_out: Count = UNSET
    searches: Count = UNSET

    @property
    def cache_write(self) -> Count:
        """Return what was written to a cache for whatever time."""
        return total_of(self.cache_write_5m, self.cache_write_1h)

    @property
    def prompt(self) -> Count:
        """Return every token that went in."""
        return total_of(
            self.fresh,
            self.cache_read,
            self.cache_write_5m,
            self.cache_write_1h,
            self.audio_in,
            self.image_in,
            self.tool_in,
        )

    @property
    def completion(self) -> Count:
        """Return every token that came out."""
        return total_of(self.text_out, self.reasoning_out, self.audio_out)

    def counts(self) -> TokenCounts:
        """Return the columns that metering keeps; images and hosted tools' prompts are priced as fresh ones."""
        return TokenCounts(
            (self.fresh or 0) + (self.image_in or 0) + (self.tool_in or 0),
            self.cache_read or 0,
            self.cache_write or 0,
            self.audio_in or 0,
            self.text_out or 0,
            self.reasoning_out or 0,
            self.audio_out or 0,
        )

    def updated(self, later: "Usage") -> "Usage":
        """Return this with every bucket that ``later`` tells: reports are cumulative, the last one wins."""
        said = {name: value for name, value in msgspec.structs.asdict(later).items() if value is not UNSET}
        return msgspec.structs.replace(self, **said) if said else self


def total_of(*counts: Count) -> Count:
    """Return the sum of what was told; UNSET when nothing was."""
    told = [count for count in counts if count is not UNSET]
    return sum(told) if told else UNSET


def split(whole: Count, *parts: Count | None) -> tuple[Count, list[Count]]:
    """Take ``parts`` out of the ``whole`` that includes them; returns the rest and the parts, cut to what there is.

    A part that nobody told stays UNSET; parts told without a whole make the whole.
    """
    told = [part if isinstance(part, int) else UNSET for part in parts]
    if whole is UNSET:
        known = total_of(*told)
        if known is UNSET:
            return UNSET, told
        whole = known
    left = max(whole, 0)
    taken: list[Count] = []
    for part in told:
        if part is UNSET:
            taken.append(UNSET)
            continue
        share = min(max(part, 0), left)
        taken.append(share)
        left -= share
    return left, taken
