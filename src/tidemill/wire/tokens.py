"""Token counts in disjoint columns, so that each token is counted, and later priced, exactly once.

Providers nest their counts (OpenAI's ``prompt_tokens`` includes cached ones, Anthropic's ``input_tokens`` does not).
Everything past the wire speaks these columns.
"""

from msgspec import Struct

# UTF-8 bytes per token, for upstreams that report nothing: about 4 letters of English, or 1.3 Chinese characters.
_BYTES_PER_TOKEN = 4
# What a chat template adds around each message (roles, separators).
_TOKENS_PER_MESSAGE = 4


class TokenCounts(Struct, frozen=True):
    """Tokens of one call; no token stands in two columns. ``estimated``: counted here, not by the upstream."""

    fresh: int = 0
    cache_read: int = 0
    cache_write: int = 0
    audio_in: int = 0
    output: int = 0
    reasoning: int = 0
    audio_out: int = 0
    estimated: bool = False

    @property
    def request(self) -> int:
        """Every token that went in."""
        return self.fresh + self.cache_read + self.cache_write + self.audio_in

    @property
    def response(self) -> int:
        """Every token that came out."""
        return self.output + self.reasoning + self.audio_out

    @property
    def total(self) -> int:
        """In and out."""
        return self.request + self.response


NOTHING = TokenCounts()


def estimate_text(size_bytes: int) -> int:
    """Estimate the tokens of ``size_bytes`` of UTF-8 text; 0 only for no text at all."""
    return -(-size_bytes // _BYTES_PER_TOKEN)


def estimate_messages(count: int, size_bytes: int) -> int:
    """Estimate the tokens of ``count`` chat messages that hold ``size_bytes`` of UTF-8 text together."""
    return estimate_text(size_bytes) + count * _TOKENS_PER_MESSAGE
