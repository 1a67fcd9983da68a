"""Remember which prompts came before, so that usage names cached tokens as providers do.

Only digests of prefixes are kept, the newest 4096 of them.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Iterable

_MOST_PREFIXES = 4096


class PromptCache:
    """Prefixes of earlier prompts with their size in tokens."""

    def __init__(self) -> None:
        self._prefixes: OrderedDict[bytes, None] = OrderedDict()

    def read(self, parts: Iterable[tuple[str, int]], salt: str = "") -> tuple[int, int]:
        """Look up a prompt given as (text, tokens so far including it) and remember it.

        Returns the tokens of its longest prefix known before, and of the whole. ``salt`` keeps models apart.
        """
        digest = hashlib.blake2b(salt.encode(), digest_size=16)
        known = total = 0
        for text, so_far in parts:
            digest.update(f"{len(text)}:{text}".encode())
            name = digest.digest()
            total = so_far
            if name in self._prefixes:
                known = so_far
                self._prefixes.move_to_end(name)
            else:
                self._prefixes[name] = None
        while len(self._prefixes) > _MOST_PREFIXES:
            self._prefixes.popitem(last=False)
        return known, total
