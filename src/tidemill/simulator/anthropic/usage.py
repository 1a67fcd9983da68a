"""Count a prompt's tokens, and divide them into fresh, read from the cache and written to it."""

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from tidemill.simulator.anthropic.turns import blocks_of, marked_blocks
from tidemill.simulator.deciding import as_json
from tidemill.simulator.decoded import obj, objects
from tidemill.simulator.prompt_cache import PromptCache
from tidemill.simulator.tokens import count_tokens

_TURN_TOKENS = 3
_FILE_TOKENS = 1500
_CACHED_FROM = 1024  # shorter prefixes are never cached


class PromptUsage(Struct, frozen=True):
    """Tokens of one prompt; the three parts exclude one another."""

    fresh: int
    read: int = 0
    written_5m: int = 0
    written_1h: int = 0

    def block(self) -> dict[str, Any]:
        """Return the input side of a usage block."""
        return {
            "input_tokens": self.fresh,
            "cache_creation_input_tokens": self.written_5m + self.written_1h,
            "cache_read_input_tokens": self.read,
            "cache_creation": {
                "ephemeral_5m_input_tokens": self.written_5m,
                "ephemeral_1h_input_tokens": self.written_1h,
            },
        }


def prompt_usage(body: Mapping[str, Any], cache: PromptCache) -> PromptUsage:
    """Count a checked body; a prefix that ends in a mark is written once and read when it comes again."""
    overhead = _TURN_TOKENS * len(objects(body["messages"]))
    blocks = marked_blocks(body)
    sizes = [_size(block) for block in blocks]
    total = overhead + sum(sizes)
    marks = {at: obj(block["cache_control"]) for at, block in enumerate(blocks) if block.get("cache_control")}
    if body.get("cache_control") and blocks:
        marks[len(blocks) - 1] = obj(body["cache_control"])
    if not marks:
        return PromptUsage(total)
    end = max(marks)
    so_far, parts = 0, list[tuple[str, int]]()
    ends: dict[int, int] = {}
    for at, size in enumerate(sizes[: end + 1]):
        so_far += size
        ends[at] = so_far
        bare = {key: value for key, value in blocks[at].items() if key != "cache_control"}
        parts.append((as_json(bare), so_far))
    if so_far < _CACHED_FROM:
        return PromptUsage(total)
    known, _ = cache.read(parts, body["model"])
    written = {"5m": 0, "1h": 0}
    begin = read = known if known >= _CACHED_FROM else 0
    for at in sorted(marks):
        if ends[at] > begin:
            written[marks[at].get("ttl", "5m")] += ends[at] - begin
            begin = ends[at]
    return PromptUsage(total - so_far, read, written["5m"], written["1h"])


def _size(block: Mapping[str, Any]) -> int:
    match block.get("type"):
        case "text":
            return count_tokens(block["text"])
        case "image" | "document":
            return _FILE_TOKENS
        case "tool_result":
            return _TURN_TOKENS + sum(_size(part) for part in blocks_of(block.get("content") or ""))
        case _:
            return count_tokens(as_json(block))
