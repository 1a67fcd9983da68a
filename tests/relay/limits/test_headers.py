"""What clients are told of their limits, each in its own protocol."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.relay.conftest import Start
from tests.relay.rig import ASK, relay_rig
from tidemill.kernel import clock
from tidemill.platform.db import Database
from tidemill.relay.limits import Bound, Standing
from tidemill.relay.limits.headers import duration, rate_headers
from tidemill.relay.ports import CallerLimits
from tidemill.wire.canonical_parts import Dialect

KEY = Standing.of(
    Bound("key:1", rpm=60, tpm=1000),
    calls=20,
    tokens=900,
    in_flight=1,
    calls_reset_us=59_500_000,
    tokens_reset_us=30_000_000,
)
USER = Standing.of(
    Bound("user:1", rpm=100), calls=95, tokens=0, in_flight=1, calls_reset_us=6_000_000, tokens_reset_us=0
)


@pytest.mark.parametrize("dialect", [Dialect.OPENAI_CHAT, Dialect.OPENAI_RESPONSES, Dialect.GEMINI])
def test_openais_clients_read_the_tightest_limit(dialect: Dialect) -> None:
    assert dict(rate_headers(dialect, [KEY, USER])) == {
        b"x-ratelimit-limit-requests": b"100",
        b"x-ratelimit-remaining-requests": b"5",
        b"x-ratelimit-reset-requests": b"6s",
        b"x-ratelimit-limit-tokens": b"1000",
        b"x-ratelimit-remaining-tokens": b"100",
        b"x-ratelimit-reset-tokens": b"30s",
    }


def test_anthropics_clients_read_a_time_of_day() -> None:
    before = clock.now()
    told = dict(rate_headers(Dialect.ANTHROPIC, [KEY]))
    after = clock.now()
    assert told[b"anthropic-ratelimit-requests-limit"] == b"60"
    assert told[b"anthropic-ratelimit-requests-remaining"] == b"40"
    for kind in (b"tokens", b"input-tokens", b"output-tokens"):
        assert told[b"anthropic-ratelimit-" + kind + b"-limit"] == b"1000"
        assert told[b"anthropic-ratelimit-" + kind + b"-remaining"] == b"100"
    reset = datetime.fromisoformat(told[b"anthropic-ratelimit-requests-reset"].decode())
    second = timedelta(seconds=1)
    assert before + timedelta(seconds=59.5) - second <= reset <= after + timedelta(seconds=59.5) + second
    assert len(told) == 12


def test_who_is_held_to_nothing_is_told_nothing() -> None:
    assert rate_headers(Dialect.OPENAI_CHAT, []) == []
    assert rate_headers(Dialect.ANTHROPIC, [Standing("key:1", concurrent=4, in_flight=1)]) == []


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, b"0ms"),
        (0.02, b"20ms"),
        (0.0001, b"1ms"),
        (0.9999, b"1s"),
        (1.5, b"1.5s"),
        (59.9996, b"1m0s"),
        (60.0, b"1m0s"),
        (360.0, b"6m0s"),
        (61.25, b"1m1.25s"),
    ],
)
def test_durations_are_written_as_openai_does_and_never_too_short(seconds: float, text: bytes) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("path", "body", "prefix", "remaining"),
    [
        ("/v1/chat/completions", ASK, "x-ratelimit-", "x-ratelimit-remaining-requests"),
        ("/v1/messages", {**ASK, "max_tokens": 5}, "anthropic-ratelimit-", "anthropic-ratelimit-requests-remaining"),
    ],
)
async def test_answers_and_refusals_carry_them(
    memory_database: Database, services: Start, path: str, body: Any, prefix: str, remaining: str
) -> None:
    async with relay_rig(memory_database, limits_of=lambda _: CallerLimits(rpm=1, tpm=100_000)) as rig:
        await rig.channel(await services())
        told: list[dict[str, str]] = []
        for status in (200, 429):
            async with rig.post(body, path) as answer:
                assert answer.status == status, await answer.text()
                told.append({name.lower(): value for name, value in answer.headers.items()})
    for headers in told:
        assert headers[remaining] == "0"
        kinds = {name for name in headers if name.startswith(prefix)}
        assert len(kinds) == (6 if prefix == "x-ratelimit-" else 12)
    assert 0 < int(told[1]["retry-after"]) <= 60
    assert 0 < int(told[1]["retry-after-ms"]) <= 60_000
