"""Has this been written before? Exact duplicates by digest, near ones by bottom-k MinHash sketches.

One hash per shingle, the smallest 128 kept: Jaccard similarity is then estimated within about 4 points, and exactly
for texts of up to 128 shingles. Pure Python without numpy; memory is bounded by ``CAPACITY`` sketches.
Source: Broder, On the resemblance and containment of documents (1997); Cohen, bottom-k sketches (2007).
"""

import hashlib
import re
import unicodedata
import zlib
from array import array
from bisect import bisect_right
from collections import Counter
from collections.abc import Hashable
from functools import lru_cache
from typing import Any, Literal, TypeAlias

from msgspec import Struct

from tidemill.datagen.fields import leaves

Mode = Literal["off", "exact", "near"]
Sketch: TypeAlias = "array[int]"
"""The smallest shingle hashes of a text, ascending; fewer than 128 are all there are."""

CAPACITY = 10_000  # sketches kept; about 1 KB each. The oldest go first; exact digests stay.
_EXACT_CAPACITY = 1_000_000  # digests, about 150 bytes each with their keys
_KEPT_HASHES = 128
_INDEXED_HASHES = 16  # enough to meet any row above a similarity of 0.5: (1 - 0.5)^16 is 1.5e-5
_LOOKED_AT = 2_000  # candidates per check; frequent shingles are left out first
_COMPARED = 32  # of those, the ones that share most are compared sketch to sketch
_NEAREST = 3
_EXCERPT_CHARS = 200
_CJK_SHINGLE, _LATIN_SHINGLE = 3, 5
_CJK = re.compile(r"[\u3400-\u9fff]")
_NOT_PROSE = frozenset({"role", "type", "label", "intent", "polarity", "kind", "name", "schema", "tools", "parameters"})


class Novelty(Struct, frozen=True):
    """How new a text is. ``nearest``: excerpts of the most alike accepted rows, the closest first.

    ``max_jaccard`` is 0.0 where nearness is not measured (``measured`` false).
    """

    exact_duplicate: bool
    max_jaccard: float
    nearest: list[str] = []
    measured: bool = True


class NoveltyIndex:
    """The accepted rows of one task. What ``check`` says depends on which texts were added, not on their order."""

    def __init__(self, mode: Mode, capacity: int = CAPACITY) -> None:
        self._mode: Mode = mode
        self._capacity = capacity
        self._digests: dict[bytes, Hashable] = {}
        self._rows: dict[int, _Row] = {}
        self._postings: dict[int, list[int]] = {}
        self._next = 0

    def __len__(self) -> int:
        """Return how many sketches are kept."""
        return len(self._rows)

    def check(self, text: str, own: Hashable | None = None) -> Novelty:
        """Compare ``text`` with everything added except the row whose key is ``own``; adds nothing."""
        if self._mode == "off":
            return Novelty(exact_duplicate=False, max_jaccard=0.0, measured=False)
        plain = normalized(text)
        twin = self._digests.get(_digest(plain)) if plain else None
        exact = twin is not None and twin != own
        if self._mode == "exact":
            return Novelty(exact_duplicate=exact, max_jaccard=1.0 if exact else 0.0, measured=False)
        mine = sketch(plain)
        hashes = frozenset(mine)
        rows = [row for row in map(self._rows.__getitem__, self._near(mine)) if own is None or row.key != own]
        scored = sorted((-_similarity(mine, hashes, row.hashes), row.excerpt) for row in rows)
        closest = -scored[0][0] if scored else 0.0
        return Novelty(
            exact_duplicate=exact,
            max_jaccard=1.0 if exact else closest,
            nearest=[excerpt for score, excerpt in scored[:_NEAREST] if score < 0],
        )

    def add(self, text: str, key: Hashable) -> None:
        """Remember ``text`` as the row ``key`` (anything but None); a text that is already known stays as it is."""
        plain = normalized(text)
        if self._mode == "off" or not plain or (digest := _digest(plain)) in self._digests:
            return
        self._remember(digest, key)
        if self._mode == "near":
            self._index(_Row(sketch(plain), " ".join(text.split())[:_EXCERPT_CHARS], key))

    def add_print(self, mark: str, key: Hashable) -> None:
        """Remember the row ``key`` by its fingerprint alone: enough to know its exact duplicates."""
        digest = bytes.fromhex(mark)
        if self._mode != "off" and digest not in self._digests:
            self._remember(digest, key)

    def _remember(self, digest: bytes, key: Hashable) -> None:
        self._digests[digest] = key
        if len(self._digests) > _EXACT_CAPACITY:
            del self._digests[next(iter(self._digests))]

    def _index(self, row: "_Row") -> None:
        number = self._next
        self._next += 1
        self._rows[number] = row
        for value in _indexed(row.hashes):
            self._postings.setdefault(value, []).append(number)
        if len(self._rows) > self._capacity:
            self._forget(next(iter(self._rows)))

    def _forget(self, number: int) -> None:
        for value in _indexed(self._rows.pop(number).hashes):
            posting = self._postings[value]
            posting.remove(number)
            if not posting:
                del self._postings[value]

    def _near(self, mine: "Sketch") -> list[int]:
        """Return rows that share indexed hashes, rare hashes first, at most ``_LOOKED_AT`` of them looked at."""
        postings = sorted(
            ((value, self._postings[value]) for value in _indexed(mine) if value in self._postings),
            key=lambda pair: (len(pair[1]), pair[0]),
        )
        shared: Counter[int] = Counter()
        looked_at = 0
        for _, posting in postings:
            looked_at += len(posting)
            if looked_at > _LOOKED_AT:
                break
            shared.update(posting)
        least = 2 if len(mine) >= _INDEXED_HASHES else 1  # one hash in common of 16 is far from half alike
        found = [number for number, count in shared.items() if count >= least]
        return sorted(found, key=lambda number: (-shared[number], self._rows[number].excerpt))[:_COMPARED]


class _Row(Struct, frozen=True):
    hashes: "Sketch"
    excerpt: str
    key: Hashable


def text_of(output: Any) -> str:
    """Return the prose of a row: its strings in order, without names, schemas and what was said before."""
    said = ""
    for leaf in leaves(output, _NOT_PROSE):
        text = leaf.strip()
        if text and text not in said:
            said += ("\n" if said else "") + text
    return said


@lru_cache(maxsize=256)  # the checks of one row ask for the same few texts again and again
def normalized(text: str) -> str:
    """Return letters and digits only, in NFKC and folded case: what two copies of one text have in common."""
    return "".join(filter(str.isalnum, unicodedata.normalize("NFKC", text).casefold()))


@lru_cache(maxsize=256)  # a sample is compared with each of its rows, a row with the sample and with all others
def sketch(plain: str) -> Sketch:
    """Return the 128 smallest shingle hashes of a normalised text; shingles are 3 characters of zh, 5 of en."""
    if not plain:
        return array("I")
    mostly_cjk = 2 * len(_CJK.findall(plain)) > len(plain)
    data = plain.encode("utf-32-le", "surrogatepass")
    width = 4 * min(_CJK_SHINGLE if mostly_cjk else _LATIN_SHINGLE, len(plain))
    crc = zlib.crc32
    # CRC is linear; a multiply-shift round spreads it so that the smallest hashes are a fair sample.
    hashes = {
        ((value := crc(data[at : at + width])) ^ (value >> 16)) * 0x45D9F3B & 0xFFFFFFFF
        for at in range(0, len(data) - width + 4, 4)
    }
    return array("I", sorted(hashes)[:_KEPT_HASHES])


def jaccard(one: str, other: str) -> float:
    """Estimate how much two texts share, 0..1; equal texts (after normalisation) give 1."""
    mine = sketch(normalized(one))
    return _similarity(mine, frozenset(mine), sketch(normalized(other)))


def _similarity(mine: Sketch, hashes: frozenset[int], theirs: Sketch) -> float:
    """Compare within the range of hashes that both sketches know completely."""
    if not mine or not theirs:
        return 0.0
    known = min(*(part[-1] if len(part) == _KEPT_HASHES else 0xFFFFFFFF for part in (mine, theirs)))
    shared = len(hashes.intersection(theirs))
    return shared / (bisect_right(mine, known) + bisect_right(theirs, known) - shared)


def _indexed(hashes: Sketch) -> Sketch:
    return hashes[:_INDEXED_HASHES]


def fingerprint(text: str) -> str | None:
    """Return what equal texts share, as 32 hexadecimal digits; None for a text without letters and digits."""
    plain = normalized(text)
    return _digest(plain).hex() if plain else None


def _digest(plain: str) -> bytes:
    return hashlib.blake2b(plain.encode("utf-8", "surrogatepass"), digest_size=16).digest()
