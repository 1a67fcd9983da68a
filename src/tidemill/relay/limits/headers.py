"""Tell clients what they have left, in the headers of the protocol that they speak: on answers and on refusals alike.

Of several bounds the tightest is told, of calls and of tokens each by itself. Google's protocol has no such headers;
its clients get OpenAI's, which most tools understand.
"""

from collections.abc import Sequence
from datetime import timedelta
from math import ceil

from tidemill.kernel import clock
from tidemill.relay.limits.contracts import Standing
from tidemill.wire.canonical_parts import Dialect

Headers = list[tuple[bytes, bytes]]
_Left = tuple[int, float, int]  # what remains, the seconds until all of it is free, the limit


def rate_headers(dialect: Dialect, standings: Sequence[Standing]) -> Headers:
    """Return the headers for a client that is held to ``standings``; none where no limit a minute holds."""
    calls = [
        (s.rpm_remaining, -(s.rpm_reset_s or 0.0), s.rpm)
        for s in standings
        if s.rpm is not None and s.rpm_remaining is not None
    ]
    tokens = [
        (s.tpm_remaining, -(s.tpm_reset_s or 0.0), s.tpm)
        for s in standings
        if s.tpm is not None and s.tpm_remaining is not None
    ]
    write = _anthropic if dialect is Dialect.ANTHROPIC else _openai
    found: Headers = []
    if calls:
        found += write((b"requests",), min(calls))
    if tokens:
        # One limit holds for what goes in and what comes out together, so each of them has all of it left.
        kinds = (b"tokens", b"input-tokens", b"output-tokens") if dialect is Dialect.ANTHROPIC else (b"tokens",)
        found += write(kinds, min(tokens))
    return found


def _openai(kinds: Sequence[bytes], left: _Left) -> Headers:
    remaining, reset_s, limit = left
    return [
        header
        for kind in kinds
        for header in (
            (b"x-ratelimit-limit-" + kind, b"%d" % limit),
            (b"x-ratelimit-remaining-" + kind, b"%d" % remaining),
            (b"x-ratelimit-reset-" + kind, duration(-reset_s)),
        )
    ]


def _anthropic(kinds: Sequence[bytes], left: _Left) -> Headers:
    remaining, reset_s, limit = left
    at = f"{clock.now() + timedelta(seconds=ceil(-reset_s)):%Y-%m-%dT%H:%M:%SZ}".encode()
    return [
        header
        for kind in kinds
        for header in (
            (b"anthropic-ratelimit-" + kind + b"-limit", b"%d" % limit),
            (b"anthropic-ratelimit-" + kind + b"-remaining", b"%d" % remaining),
            (b"anthropic-ratelimit-" + kind + b"-reset", at),
        )
    ]


def duration(seconds: float) -> bytes:
    """Write a duration as OpenAI does: ``6m0s``, ``1.5s``, ``20ms``."""
    milliseconds = ceil(seconds * 1000 - 1e-6)
    minutes, rest = divmod(milliseconds, 60_000)
    if not minutes and not rest // 1000:
        return b"%dms" % rest
    text = f"{rest / 1000:.3f}".rstrip("0").rstrip(".")
    return f"{minutes}m{text}s".encode() if minutes else f"{text}s".encode()
